"""A signed request serves once, wherever and whenever it is heard again, on either engine.

At once, by another worker, after a restart, after the clock went on and back; as it was, or its nonce under
something else. Also played by real worker processes in tests/gateway/workers/test_one_log.py and
test_start_and_stop.py, sixty-four copies at once in tests/gateway/http/test_replay.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import httpx
import pytest

from gateway.transaction import purge_nonces
from tests import databases
from tests.attacks.bent import Asking, Raw
from tests.attacks.siege import besieged, check_silent, nothing_given, somebody
from tests.gateway import kit
from tests.gateway.http.test_replay import serving as serving_beside
from tests.gateway.world import Citizen, SettableClock, World, _people, new_house, serving

MINUTE = 60_000
NEXT = count(100)


@pytest.fixture(scope="module", params=databases.ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, engine: str) -> Iterator[World]:
    with besieged(engine, tmp_path_factory) as made:
        yield made


@pytest.fixture(scope="module")
def victim(world: World) -> Citizen:
    return somebody(world, next(NEXT))


@pytest.fixture(scope="module")
def asking(world: World, victim: Citizen) -> Asking:
    return Asking(world, world.consent(victim, max_uses=100))


@pytest.fixture
def sent(asking: Asking) -> Raw:
    """A query that was answered once."""
    raw = asking.signed()
    assert raw.send().status_code == 200
    return raw


def check_replayed(reply: httpx.Response, *persons: Citizen) -> None:
    kit.check_problem(reply, 401, "replayed-nonce")
    check_silent(reply, *persons)


# --- the same again


def test_replayed_at_once(world: World, victim: Citizen, asking: Asking, sent: Raw) -> None:
    with nothing_given(world):
        for _ in range(3):
            check_replayed(sent.send(), victim)
    assert asking.signed().send().status_code == 200


def test_replayed_to_another_worker(world: World, victim: Citizen, asking: Asking, sent: Raw) -> None:
    """A second house on the same database; what it answers is spent for the first as well."""
    with serving_beside(world.reopen()) as url:
        port = int(url.rpartition(":")[2])
        with nothing_given(world):
            check_replayed(replace(sent, port=port).send(), victim)
        honest = asking.signed()
        assert replace(honest, port=port).send().status_code == 200
    with nothing_given(world):
        check_replayed(honest.send(), victim)


def test_replayed_after_the_clock_went_back(world: World, victim: Citizen, asking: Asking, sent: Raw) -> None:
    """Stale once the nonce may be forgotten, and refused by the log's own time when the clock is set back."""
    world.clock.offset += 5 * MINUTE
    somebody(world, next(NEXT))  # a leaf at the later time, by which the nonce is forgotten
    world.house.transact(purge_nonces, seals=False)
    assert not kit.insider(world.house, "SELECT 1 FROM request_nonces WHERE nonce = ?", [_nonce(sent)])
    with nothing_given(world):
        kit.check_problem(sent.send(), 401, "stale-signature")
        world.clock.offset -= 5 * MINUTE
        check_replayed(sent.send(), victim)
    world.clock.offset += 5 * MINUTE
    assert asking.signed().send().status_code == 200


def test_replayed_after_a_restart(tmp_path: Path, engine: str) -> None:
    """Everything is closed and opened anew from what is on disk: nothing was known in memory alone."""
    clock = SettableClock()
    with databases.using(engine), databases.fresh() as where:
        house = new_house(tmp_path / "home", clock, **where)
        with serving(house) as (publishing, server):
            world = _people(house, publishing, server, clock)
            citizen = somebody(world, next(NEXT))
            asking = Asking(world, world.consent(citizen))
            sent = asking.signed()
            assert sent.send().status_code == 200
        house = world.house = world.reopen()
        with serving(house):
            with nothing_given(world):
                check_replayed(sent.send(), citizen)
            assert asking.signed().send().status_code == 200


def _nonce(raw: Raw) -> str:
    return raw.header("Signature-Input").partition('nonce="')[2].partition('"')[0]


# --- its nonce under something else


def test_a_nonce_under_another_body(world: World, victim: Citizen, asking: Asking, sent: Raw) -> None:
    """Freshly and well signed by the same operator."""
    with nothing_given(world):
        check_replayed(asking.signed(nonce=_nonce(sent)).send(), victim)
        later = world.clock() // 1000 + 30
        check_replayed(asking.signed(nonce=_nonce(sent), created=later).send(), victim)
    assert asking.signed().send().status_code == 200


def test_a_nonce_under_another_route(world: World, victim: Citizen, asking: Asking, sent: Raw) -> None:
    with nothing_given(world):
        look = kit.prepare(world, world.bank_key, "GET", f"/v1/consents/{asking.consent}", nonce=_nonce(sent))
        check_replayed(look.send(), victim)
    assert kit.prepare(world, world.bank_key, "GET", f"/v1/consents/{asking.consent}").send().is_success
