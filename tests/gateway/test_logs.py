"""Every line that is written while a request is served carries its id, and never another request's."""

from __future__ import annotations

import io
import json
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import structlog

from gateway.lane import Lane, Slot
from gateway.logs import begin_request, carrying, configure, current_request, end_request
from gateway.query import answer as answer_module
from gateway.query.request import Person
from tests.gateway import kit
from tests.gateway.world import World, new_home, new_world
from tests.loggers import as_found


class Written:
    """What was written to the log, line by line."""

    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]

    def of(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event]


@contextmanager
def logging_to_memory(home: Path) -> Iterator[Written]:
    """The log as `chengxin serve` writes it."""
    stream = io.StringIO()
    with as_found():
        configure(new_home(home), stream)
        yield Written(stream)


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Written]:
    with logging_to_memory(tmp_path / "settings") as made:
        yield made


@pytest.fixture
def world(tmp_path: Path, written: Written) -> Iterator[World]:
    with new_world(tmp_path / "home") as made:
        yield made


def test_a_line_deep_inside_a_request_carries_the_id_that_the_reply_has(
    world: World, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.import_records([kit.loan()])
    consent = world.consent(world.citizen(kit.NUMBER))

    def fail(*_: object) -> None:
        raise RuntimeError(kit.PRIVATE)

    monkeypatch.setattr(answer_module, "minimise", fail)
    reply = kit.post_query(world, kit.query_body(consent))
    kit.check_problem(reply, 503, "undelivered")
    asked = reply.headers["X-Request-Id"]
    said = [line for line in written.lines if line.get("request_id") == asked]
    assert [line["event"] for line in said] == ["query.undelivered", "request"]
    assert all(line["request_id"] for line in written.of("request"))
    assert kit.PRIVATE not in json.dumps(written.lines, ensure_ascii=False)


def test_the_id_is_the_gateways_whatever_a_client_calls_its_request(world: World, written: Written) -> None:
    prepared = kit.prepare(world, world.bank_key, "GET", f"/v1/consents/{uuid.uuid4()}")
    prepared.headers["X-Request-Id"] = kit.PRIVATE.encode("ascii", "ignore").decode() or "mine"
    prepared.headers["traceparent"] = f"00-{'1' * 32}-{'2' * 16}-01"
    reply = prepared.send()
    assert str(uuid.UUID(reply.headers["X-Request-Id"])) == reply.headers["X-Request-Id"]
    [line] = [one for one in written.of("request") if one["request_id"] == reply.headers["X-Request-Id"]]
    assert line.keys() == {"event", "request_id", "method", "route", "status", "ms", "level", "timestamp"}
    assert line["route"] == "/v1/consents/<uuid:consent_id>"
    assert kit.NUMBER not in json.dumps(written.lines)


def test_two_requests_never_have_the_same_id(world: World, written: Written) -> None:
    """The threads of a server serve one request after the other."""
    for _ in range(5):
        kit.post_query(world, kit.query_body(str(uuid.uuid4())))
    ids = [line["request_id"] for line in written.of("request")]
    assert len(set(ids)) == len(ids) >= 5


@dataclass
class _Told:
    number: str = kit.NUMBER


def test_whatever_is_logged_becomes_a_line_and_values_of_ours_by_their_repr_alone(written: Written) -> None:
    log = structlog.get_logger()
    log.info("odd", half="\ud800", great=1 << 70)
    log.info("value", asked=Person(kit.NUMBER), told=_Told(), when=date(2026, 1, 1))
    assert [line["event"] for line in written.lines] == ["odd", "value"]
    assert written.of("odd")[0]["great"] == 1 << 70
    said = written.of("value")[0]
    assert (said["asked"], said["when"]) == ("Person(…)", "datetime.date(2026, 1, 1)")
    assert isinstance(said["told"], str)


def test_a_thread_that_serves_nothing_says_no_request(written: Written) -> None:
    begin_request("one")
    end_request()
    structlog.get_logger().info("later")
    assert current_request() is None
    assert "request_id" not in written.of("later")[0]


def test_a_line_about_a_shared_commit_names_all_who_share_it_and_not_its_leader_alone(
    written: Written,
) -> None:
    """Who leads runs everybody's asks in its own thread: a broken row of one is not another's."""
    log = structlog.get_logger()
    first_inside, all_waiting = threading.Event(), threading.Event()

    def carry(batch: Sequence[Slot[Any, Any]]) -> None:
        with carrying([slot.request for slot in batch]):
            log.info("carried", size=len(batch))
        if not first_inside.is_set():
            first_inside.set()
            assert all_waiting.wait(30)

    lane = Lane(carry, 8)

    def ask(name: str | None) -> None:
        if name is not None:
            begin_request(name, "f" * 32)
        lane.submit(carry, None)
        end_request()

    def start(name: str | None, waiting: int) -> threading.Thread:
        thread = threading.Thread(target=ask, args=(name,))
        thread.start()
        while waiting and len(lane._waiting) < waiting:
            assert thread.is_alive()
        return thread

    threads = [start("leader", 0)]
    assert first_inside.wait(30)
    threads += [start("b", 1), start(None, 2), start("a", 3)]
    all_waiting.set()
    for thread in threads:
        thread.join(30)
    alone, shared = written.of("carried")
    assert (alone["size"], alone["request_id"], alone["trace_id"]) == (1, "leader", "f" * 32)
    assert (shared["size"], shared["requests"]) == (3, ["a", "b"])
    assert not {"request_id", "trace_id"} & shared.keys()
