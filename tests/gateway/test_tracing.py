"""Traces: what a collector is sent of a query, nothing personal in it, and that its absence costs nothing."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from gateway import tracing
from gateway.client.bank import Answer, Person
from gateway.config import SettingsError
from gateway.errors import NotReady
from gateway.query import answer as answer_module
from tests.attacks.haystack import Searcher
from tests.gateway import kit
from tests.gateway.test_logs import Written, logging_to_memory
from tests.gateway.workers.served import start
from tests.gateway.world import World, new_home, new_world
from tests.ports import free_port

NAME = "欧阳测试人"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@dataclass
class Collector:
    """An OTLP/HTTP collector: keeps what it is sent, as bytes and as spans."""

    port: int
    bodies: list[bytes] = field(default_factory=list)
    paths: set[str] = field(default_factory=set)
    came: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def sent(self) -> list[ExportTraceServiceRequest]:
        return [ExportTraceServiceRequest.FromString(body) for body in self.bodies]

    def spans(self) -> list[Span]:
        return [
            span
            for sent in self.sent()
            for resource in sent.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def tree(self, root: Span) -> dict[str, list[str]]:
        """Names of the spans of a trace -> the names of their children, in the order they began."""
        mine = sorted(
            (s for s in self.spans() if s.trace_id == root.trace_id), key=lambda s: s.start_time_unix_nano
        )
        children = {span.name: [c.name for c in mine if c.parent_span_id == span.span_id] for span in mine}
        return {name: below for name, below in children.items() if below}

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans() if span.name == name]


@contextmanager
def collecting() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.paths.add(self.path)
            made.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            reply = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)
            made.came.set()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Collector(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def traced(home: Path, endpoint: str) -> Iterator[World]:
    """A gateway that traces to this endpoint; what waits is sent on leaving."""
    with new_world(home, otlp_endpoint=endpoint) as world:
        tracing.start(world.house.settings)
        try:
            yield world
        finally:
            tracing.stop()


def told(span: Span) -> dict[str, Any]:
    """The attributes of a span."""
    return {
        one.key: one.value.int_value if one.value.HasField("int_value") else one.value.string_value
        for one in span.attributes
    }


def test_a_query_is_one_trace_whose_parts_lie_where_they_ran(tmp_path: Path) -> None:
    with collecting() as collector:
        with traced(tmp_path / "home", collector.url) as world:
            world.import_records([kit.loan()])
            consent = world.consent(world.citizen(kit.NUMBER))
            assert isinstance(world.query(consent), Answer)
            assert world.query(consent, purpose="01").problem.name == "purpose-mismatch"
        answered, refused = collector.named("POST /v1/queries")
        asked = {"http.request.method": "POST", "http.route": "/v1/queries"}
        assert told(answered) == asked | {"http.response.status_code": 200, "chengxin.decision": "answer"}
        assert told(refused) == asked | {"http.response.status_code": 403, "chengxin.decision": "refusal"}
        assert answered.kind == Span.SPAN_KIND_SERVER
        assert answered.parent_span_id == b""
        assert collector.tree(answered) == {
            "POST /v1/queries": ["authenticate", "query.find", "ledger.wait", "query.deliver"],
            "ledger.wait": ["ledger.commit"],
        }
        assert "query.deliver" not in str(collector.tree(refused))
        assert {told(span)["chengxin.batch"] for span in collector.named("ledger.commit")} == {1}
        assert collector.paths == {"/v1/traces"}
        [resource] = {str(one.resource) for sent in collector.sent() for one in sent.resource_spans}
        assert "chengxin-gateway" in resource


def test_who_shares_a_commit_waits_for_it_and_one_of_them_makes_it(tmp_path: Path) -> None:
    with collecting() as collector:
        with traced(tmp_path / "home", collector.url) as world:
            consent = world.consent(world.citizen(kit.NUMBER), max_uses=9)
            kit.Crowd().run([lambda: world.query(consent) for _ in range(8)])
        queries = collector.named("POST /v1/queries")
        assert len(queries) == 8
        assert all("ledger.wait" in collector.tree(one)["POST /v1/queries"] for one in queries)
        traces = {one.trace_id for one in queries}
        commits = [one for one in collector.named("ledger.commit") if one.trace_id in traces]
        assert sum(told(one)["chengxin.batch"] for one in commits) == 8


def test_nothing_personal_and_no_id_reaches_the_collector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In paths, headers, bodies and in the messages of what is raised there is enough of it."""
    with collecting() as collector:
        with traced(tmp_path / "home", collector.url) as world:
            world.import_records([kit.loan()])
            citizen = world.citizen(kit.NUMBER, NAME)
            consent = world.consent(citizen)
            answered = world.query(consent, person_check=Person(kit.NUMBER), case_ref=NAME)
            assert isinstance(answered, Answer)
            citizen.client.report()
            citizen.client.accesses()
            for path in (
                f"/v1/consents/{kit.NUMBER}",
                f"/v1/me/accesses?after={kit.NUMBER}",
                f"/{kit.NUMBER}",
            ):
                kit.prepare(world, world.bank_key, "GET", path).send()
            named = kit.prepare(world, world.bank_key, "POST", "/v1/queries", kit.query_body(consent))
            named.headers |= {
                "tracestate": f"chengxin={kit.NUMBER}",
                "traceparent": f"00-{kit.NUMBER}-{NAME.encode().hex()}-01",
                "baggage": f"person={kit.NUMBER}",
                "X-Request-Id": kit.NUMBER,
            }
            named.send()
            with httpx.Client(trust_env=False) as http:
                http.request(kit.NUMBER, f"{world.url}/v1/queries")

            def fail(*_: object) -> None:
                raise RuntimeError(f"{NAME} {kit.NUMBER}")

            monkeypatch.setattr(answer_module, "minimise", fail)
            assert world.query(consent).problem.name == "undelivered"
            monkeypatch.setattr(answer_module, "prepare", fail)
            assert world.query(consent).problem.name == "internal"
            operators = list(world.operators.values())
        sent = {str(place): body for place, body in enumerate(collector.bodies)}
        secret = [
            kit.NUMBER,
            NAME,
            consent,
            answered.receipt.query_id,
            *operators,
            "RuntimeError",
            "127.0.0.1",
        ]
        assert Searcher(secret).search(sent) == set()
        assert Searcher(["authenticate"]).search(sent), "the search does not find what is there"
        keys = {key for span in collector.spans() for key in told(span)}
        assert keys == {
            "http.request.method",
            "http.route",
            "http.response.status_code",
            "chengxin.decision",
            "chengxin.batch",
        }
        assert not any(span.events or span.links or span.trace_state for span in collector.spans())
        failed = [
            one for one in collector.named("POST /v1/queries") if one.status.code == Status.STATUS_CODE_ERROR
        ]
        assert [told(one)["http.response.status_code"] for one in failed] == [503, 500]


def test_a_traceparent_continues_its_trace_and_cannot_switch_it_off(tmp_path: Path) -> None:
    with collecting() as collector:
        with (
            logging_to_memory(tmp_path / "settings") as written,
            traced(tmp_path / "home", collector.url) as world,
        ):
            for sampled in ("00", "01"):
                parent = {"traceparent": f"00-{TRACE}-{PARENT}-{sampled}", "tracestate": "vendor=1"}
                assert httpx.get(f"{world.url}/healthz", headers=parent, trust_env=False).status_code == 200
            httpx.get(f"{world.url}/healthz", headers={"traceparent": "no such thing"}, trust_env=False)
        first, second, own = collector.named("GET /healthz")
        for span in (first, second):
            assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
            assert span.trace_state == ""
        assert own.parent_span_id == b""
        assert own.trace_id.hex() != TRACE
        said = [line["trace_id"] for line in written.of("request")]
        assert said == [TRACE, TRACE, own.trace_id.hex()]


def lost(written: Written) -> list[dict[str, Any]]:
    return written.of("tracing.failed")


def test_a_collector_that_is_down_costs_nothing_but_spans(tmp_path: Path) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    with (
        logging_to_memory(tmp_path / "settings") as written,
        traced(tmp_path / "home", nobody) as world,
    ):
        consent = world.consent(world.citizen(kit.NUMBER), max_uses=9)
        for _ in range(3):
            assert isinstance(world.query(consent), Answer)
    [said] = lost(written)
    assert said["level"] == "warning"
    assert nobody not in str(said)


def test_a_collector_that_never_replies_holds_up_no_request(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # takes connections and says nothing
        endpoint = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        with (
            logging_to_memory(tmp_path / "settings") as written,
            traced(tmp_path / "home", endpoint) as world,
        ):
            consent = world.consent(world.citizen(kit.NUMBER), max_uses=9)
            assert isinstance(world.query(consent), Answer)
        assert lost(written)


def test_without_a_collector_nothing_of_opentelemetry_is_imported() -> None:
    code = (
        "import sys\n"
        "from gateway import server, tracing\n"
        "from gateway.config import Settings\n"
        "tracing.start(Settings()); tracing.require_installed(Settings())\n"
        "assert tracing.span('authenticate') is tracing.span('ledger.wait')\n"
        "assert tracing.request('GET', '/', None) is None\n"
        "with tracing.span('authenticate'): tracing.tell('chengxin.batch', 1)\n"
        "tracing.stop()\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={"HOME": "/nonexistent"},
    )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_a_collector_without_the_packages_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = new_home(tmp_path, otlp_endpoint="http://127.0.0.1:4318")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(NotReady, match=r"pip install 'chengxin-gateway\[otel\]'"):
        tracing.start(settings)


@pytest.mark.slow
def test_a_served_worker_traces_after_its_fork(tmp_path: Path) -> None:
    """`chengxin serve` as it is: the thread that sends must live in the worker, not in its parent."""
    with collecting() as collector, new_world(tmp_path / "home") as world:
        world.server.shutdown()
        world.server.server_close()
        server = start(
            world.house.settings,
            tmp_path / "server.out",
            CHENGXIN_OTLP_ENDPOINT=collector.url,
            CHENGXIN_HOST="127.0.0.1",
        )
        try:
            server.wait_until_ready()
            citizen = world.citizen(kit.NUMBER)
            with world.bank() as bank, closing(citizen.client):
                assert isinstance(world.query(world.consent(citizen, bank), bank), Answer)
            assert collector.came.wait(60)
        finally:
            assert server.stop() == 0
        [query] = collector.named("POST /v1/queries")
        assert told(query)["chengxin.decision"] == "answer"
        assert collector.tree(query)["ledger.wait"] == ["ledger.commit"]


@pytest.mark.parametrize(
    "endpoint",
    [
        "localhost:4318",
        "grpc://localhost:4317",
        "http://",
        "http://:4318",
        "http://localhost:0",
        "http://localhost:99999",
        "http://[::1",
        "http://user:secret@localhost:4318",
        "http://localhost:4318/v1?key=secret",
        "http://localhost:4318/#x",
        "http://localhost:4318/\n",
    ],
)
def test_a_collector_is_named_by_a_plain_url_without_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setenv("CHENGXIN_OTLP_ENDPOINT", endpoint)
    with pytest.raises(SettingsError, match="CHENGXIN_OTLP_ENDPOINT in the environment") as said:
        new_home(tmp_path)
    assert "secret" not in str(said.value)


@pytest.mark.parametrize("endpoint", ["none", "http://localhost:4318", "https://[::1]:4318/collect/"])
def test_a_collector_may_be_named_or_not(tmp_path: Path, endpoint: str) -> None:
    settings = new_home(tmp_path, otlp_endpoint=endpoint)
    assert settings.otlp_endpoint == (None if endpoint == "none" else endpoint.rstrip("/"))
