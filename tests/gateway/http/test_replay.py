"""A signed request serves once: replayed at once, elsewhere, after a restart, or once the clock went back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from werkzeug.serving import make_server

from gateway.house import House
from gateway.http.app import create_app
from gateway.publishing import PublishingThread
from gateway.transaction import purge_nonces
from tests.gateway import kit
from tests.gateway.world import World

MINUTE = 60_000


@contextmanager
def serving(house: House) -> Iterator[str]:
    """A second gateway process's worth on the same database; the address it listens on."""
    server = make_server("127.0.0.1", 0, create_app(house, PublishingThread(house)), threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        house.engine.dispose()


@pytest.fixture
def sent(world: World) -> kit.Prepared:
    """A query that was answered once."""
    prepared = kit.prepare(
        world, world.bank_key, "POST", "/v1/queries", kit.query_body(world.consent(world.citizen(kit.NUMBER)))
    )
    assert prepared.send().status_code == 200
    return prepared


def test_a_request_sent_twice_is_answered_once_and_leaves_one_leaf(world: World, sent: kit.Prepared) -> None:
    before = kit.size(world.house)
    again = sent.send()
    assert (again.status_code, kit.name_of(again)) == (401, "replayed-nonce")
    assert "receipt" not in again.json()
    assert kit.size(world.house) == before


def test_sixty_four_copies_at_once_are_answered_once(world: World) -> None:
    prepared = kit.prepare(
        world, world.bank_key, "POST", "/v1/queries", kit.query_body(world.consent(world.citizen(kit.NUMBER)))
    )
    statuses = [reply.status_code for reply in kit.together(*[prepared.send] * 64)]
    assert sorted(statuses) == [200] + [401] * 63
    assert len(kit.of_type(world.house, "query.disclosed")) == 1
    assert not kit.of_type(world.house, "query.refused")


def test_a_request_replayed_to_another_process_is_refused(world: World, sent: kit.Prepared) -> None:
    before = kit.size(world.house)
    with serving(world.reopen()) as address:
        sent.url = sent.url.replace(world.url, address)
        assert kit.name_of(sent.send()) == "replayed-nonce"
    new = [leaf.type for leaf in kit.leaves(world.house)[before:]]
    assert new == ["key.sealing"]  # the other process's own; nothing of the request


def test_a_replay_after_the_clock_went_back_is_refused(world: World, sent: kit.Prepared) -> None:
    """Long enough for the nonce to be forgotten, then the clock is set to when the request was fresh."""
    world.clock.offset += 5 * MINUTE
    world.house.transact(purge_nonces, seals=False)
    assert kit.name_of(sent.send()) == "stale-signature"
    world.clock.offset -= 5 * MINUTE
    assert kit.name_of(sent.send()) == "replayed-nonce"


def test_a_forgotten_nonce_is_stale_by_the_logs_own_time(world: World, sent: kit.Prepared) -> None:
    """What is forgotten is refused by the head's time, which does not go back with the clock."""
    world.clock.offset += 5 * MINUTE
    world.citizen(kit.OTHER_NUMBER)  # a leaf at the later time
    world.house.transact(purge_nonces, seals=False)
    kept = kit.insider(world.house, "SELECT nonce FROM request_nonces")
    assert all(nonce not in sent.headers["Signature-Input"] for (nonce,) in kept)
    world.clock.offset -= 5 * MINUTE
    before = kit.size(world.house)
    assert kit.name_of(sent.send()) == "replayed-nonce"
    assert kit.size(world.house) == before


def test_a_citizens_reading_replayed_reads_nothing(world: World) -> None:
    citizen = world.citizen(kit.NUMBER)
    prepared = kit.citizens_request(world, citizen.key, "GET", "/v1/me/report")
    assert prepared.send().status_code == 200
    assert kit.name_of(prepared.send()) == "replayed-nonce"
    assert len(kit.of_type(world.house, "subject.read")) == 1


def test_a_look_at_a_consent_replayed_shows_nothing(world: World) -> None:
    consent = world.consent(world.citizen(kit.NUMBER))
    prepared = kit.prepare(world, world.bank_key, "GET", f"/v1/consents/{consent}")
    assert prepared.send().status_code == 200
    assert kit.name_of(prepared.send()) == "replayed-nonce"


@pytest.mark.parametrize(
    ("off_ms", "problem"),
    [(-61_001, "stale-signature"), (-58_000, None), (58_000, None), (62_001, "stale-signature")],
)
def test_created_may_lie_a_minute_off_either_way(world: World, off_ms: int, problem: str | None) -> None:
    consent = world.consent(world.citizen(kit.NUMBER))
    before = kit.size(world.house)
    reply = kit.prepare(
        world,
        world.bank_key,
        "POST",
        "/v1/queries",
        kit.query_body(consent),
        created_ms=world.clock() + off_ms,
    ).send()
    if problem is None:
        assert reply.status_code == 200
    else:
        assert (reply.status_code, kit.name_of(reply)) == (401, problem)
        assert kit.size(world.house) == before


def test_one_nonce_under_two_keys_is_two_nonces(world: World) -> None:
    consent, nonce = world.consent(world.citizen(kit.NUMBER)), "A" * 22
    for key, status in ((world.bank_key, 200), (world.other_key, 403)):
        body = kit.query_body(consent)
        assert kit.prepare(world, key, "POST", "/v1/queries", body, nonce=nonce).send().status_code == status
