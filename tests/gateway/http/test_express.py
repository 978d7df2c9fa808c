"""The express lane says what Flask says, byte for byte, and leaves the same traces.

Every case is sent twice, as the same kind of request with fresh ids: once when the bank's key is not known
yet to the process, so that Flask does all of it, and once when it is.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from gateway.http import express
from gateway.http.whole import ROUTE
from gateway.query import answer as answer_module
from tests.attacks.seen import Got, Seen, send
from tests.gateway import kit
from tests.gateway.query.asked import somebody
from tests.gateway.world import World, new_world


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with new_world(tmp_path_factory.mktemp("express") / "home") as world:
        yield world


@pytest.fixture(scope="module")
def consent(shared: World) -> str:
    return shared.consent(shared.citizen(somebody(shared, loans=2)), max_uses=10)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How each request left: `express` when nothing of Flask was asked."""
    ways: list[str] = []
    original = express.Express.__call__

    def call(self: Any, environ: dict[str, Any], start_response: Any) -> Any:
        flask, used = self._flask, []

        def through(*arguments: Any) -> Any:
            used.append("flask")
            return flask(*arguments)

        self._flask = through
        try:
            return original(self, environ, start_response)
        finally:
            self._flask = flask
            ways.append(used[0] if used else "express")

    monkeypatch.setattr(express.Express, "__call__", call)
    return ways


Body = Callable[[str], dict[str, Any]]
CASES: dict[str, tuple[Body, int]] = {
    "answered": (kit.query_body, 200),
    "refused": (lambda consent: kit.query_body(consent, purpose="03"), 403),
    "nobody's consent": (lambda _: kit.query_body(str(uuid.uuid4())), 403),
    "another person": (lambda consent: kit.query_body(consent, person_check={"citizen_number": "x"}), 403),
    "malformed": (lambda consent: kit.query_body(consent, purpose="2"), 400),
    "unknown member": (lambda consent: kit.query_body(consent, hint="please"), 400),
    "unsorted": (lambda consent: kit.query_body(consent, categories=["repayment", "loan"]), 400),
    "statute": (
        lambda _: kit.query_body(
            None,
            statute={"code": "no-such", "document": "1"},
            person_check={"citizen_number": kit.NUMBER},
        ),
        403,
    ),
}


def both_ways(world: World, ask: Callable[[], Got]) -> tuple[Seen, Seen]:
    seen = []
    for warm in (False, True):
        if not warm:
            world.house.operators.clear()
        else:
            known(world)
        with capture_logs() as logged:
            got = ask()
        seen.append(Seen(got, [], [one for one in logged if one["event"] == "request"]))
    return seen[0], seen[1]


def known(world: World) -> None:
    """Have the bank's key known: any signed request that Flask serves does that."""
    if world.bank_key.kid not in world.house.operators:
        send(world, "POST", ROUTE, kit.query_body(str(uuid.uuid4())))
        send(world, "GET", f"/v1/consents/{uuid.uuid4()}")
    assert world.bank_key.kid in world.house.operators


@pytest.mark.parametrize("name", CASES)
def test_both_lanes_say_the_same(shared: World, consent: str, taken: list[str], name: str) -> None:
    body, status = CASES[name]
    cold, warm = both_ways(shared, lambda: send(shared, "POST", ROUTE, body(consent)))
    assert cold.status == warm.status == status
    assert warm.differs(cold) == []
    assert warm.logged == cold.logged != []
    assert taken[-1] == ("express" if status == 200 else "flask")


def test_a_failure_after_the_entry_is_said_alike(
    shared: World, consent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(kit.PRIVATE)

    monkeypatch.setattr(answer_module, "decrypt", fail)
    cold, warm = both_ways(shared, lambda: send(shared, "POST", ROUTE, kit.query_body(consent)))
    assert cold.status == warm.status == 503
    assert warm.differs(cold) == []


def test_what_nobody_foresaw_is_said_alike(
    shared: World, consent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(kit.PRIVATE)

    for warm in (False, True):
        known(shared)
        with monkeypatch.context() as broken:
            broken.setattr("gateway.query.answer.prepare", fail)
            if not warm:
                shared.house.operators.clear()
            got = send(shared, "POST", ROUTE, kit.query_body(consent))
        assert got.status == 500
        assert kit.PRIVATE.encode() not in got.body


def test_a_request_sent_twice_is_answered_once(shared: World, consent: str) -> None:
    known(shared)
    request = kit.prepare(shared, shared.bank_key, "POST", ROUTE, kit.query_body(consent))
    assert request.send().status_code == 200
    assert kit.name_of(request.send()) == "replayed-nonce"


def test_a_bad_signature_counts_and_is_never_ruled_on(shared: World, consent: str) -> None:
    known(shared)
    before = kit.size(shared.house)
    request = kit.prepare(shared, shared.bank_key, "POST", ROUTE, kit.query_body(consent))
    assert request.content is not None
    request.content = request.content.replace(b'"02"', b'"03"')
    assert kit.name_of(request.send()) == "bad-signature"
    assert kit.size(shared.house) == before


def test_an_answer_is_counted_like_any_other_request(shared: World, consent: str, taken: list[str]) -> None:
    def served() -> float:
        labels = {"route": ROUTE, "status": "200"}
        return REGISTRY.get_sample_value("chengxin_http_requests_total", labels) or 0

    known(shared)
    before = served()
    assert send(shared, "POST", ROUTE, kit.query_body(consent)).status == 200
    assert taken[-1] == "express"
    assert served() == before + 1
