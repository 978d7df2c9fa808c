"""The front: what it takes it answers, what it does not take is untouched, and no client holds it up."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from http.client import HTTPResponse
from queue import SimpleQueue
from typing import Any, cast

import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from gateway.front import Front
from gateway.http.express import Express
from gateway.http.whole import ROUTE, parse_whole
from gateway.logs import name_requests
from gateway.query import answer as answer_module
from keys.canonical import parse_canonical
from tests.gateway import kit
from tests.gateway.policies import generous
from tests.gateway.query.asked import somebody
from tests.gateway.world import World, new_world

PATIENCE_S = 30


@dataclass
class Connection:
    """Both ends of a client's connection; the server's is as gunicorn's `TConn` has it."""

    sock: socket.socket
    theirs: socket.socket
    client: tuple[str, int] = ("127.0.0.1", 40_000)

    def read(self) -> tuple[int, dict[str, str], bytes]:
        reply = HTTPResponse(self.theirs)
        reply.begin()
        return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()


@dataclass
class Desk:
    """A front, and what it calls back."""

    front: Front
    left: SimpleQueue[Any] = field(default_factory=SimpleQueue)
    stuck: SimpleQueue[Any] = field(default_factory=SimpleQueue)
    done: SimpleQueue[Any] = field(default_factory=SimpleQueue)

    def serve(self, connection: Connection) -> None:
        whole = self.front.look(connection)
        assert whole is not None
        self.front.serve(connection, whole)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with new_world(tmp_path_factory.mktemp("front") / "home", policy=generous()) as world:
        yield world


@pytest.fixture(scope="module")
def consent(shared: World) -> str:
    return shared.consent(shared.citizen(somebody(shared, loans=2)), max_uses=100)


@pytest.fixture
def express(shared: World, consent: str) -> Express:
    """The express lane of the world's application; the bank's key is known to it."""
    assert kit.post_query(shared, kit.query_body(consent)).status_code == 200
    return cast(Express, shared.server.app.wsgi_app)


@pytest.fixture
def desk(express: Express) -> Desk:
    queues: list[SimpleQueue[Any]] = [SimpleQueue() for _ in range(3)]
    left, stuck, done = queues
    front = Front(express, 64, left.put, lambda *what: stuck.put(what), done.put)
    front.start()
    return Desk(front, left, stuck, done)


@pytest.fixture
def connection() -> Iterator[Connection]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(PATIENCE_S)
    with closing(ours), closing(theirs):
        yield Connection(ours, theirs)


def wire(world: World, body: dict[str, Any]) -> bytes:
    """A signed query as it travels."""
    made = kit.prepare(world, world.bank_key, "POST", ROUTE, body)
    assert made.content is not None
    fields = {"Host": "localhost", "Content-Length": str(len(made.content)), **made.headers}
    head = [f"POST {ROUTE} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + made.content


def waiting(connection: Connection) -> bytes:
    """What stands in the server's end, unread."""
    return connection.sock.recv(1 << 20, socket.MSG_PEEK | socket.MSG_DONTWAIT)


def test_an_answer_leaves_and_the_connection_is_given_back(
    shared: World, consent: str, desk: Desk, connection: Connection
) -> None:
    for _ in range(2):
        connection.theirs.sendall(wire(shared, kit.query_body(consent)))
        desk.serve(connection)
        status, headers, body = connection.read()
        assert (status, headers["content-type"], headers["connection"]) == (
            200,
            "application/json",
            "keep-alive",
        )
        assert parse_canonical(body).keys() == {"answer", "receipt"}
        assert desk.done.get(timeout=PATIENCE_S) == [(connection, True)]
        with pytest.raises(BlockingIOError):
            waiting(connection)


def test_many_are_answered_together_each_on_its_own_connection(
    shared: World, consent: str, desk: Desk
) -> None:
    pairs = [socket.socketpair() for _ in range(12)]
    connections = [Connection(*pair) for pair in pairs]
    ids = []
    for connection in connections:
        connection.theirs.settimeout(PATIENCE_S)
        body = kit.query_body(consent)
        ids.append(body["query_id"])
        connection.theirs.sendall(wire(shared, body))
    for connection in connections:
        desk.serve(connection)
    for connection, query in zip(connections, ids, strict=True):
        status, _, body = connection.read()
        assert status == 200
        assert query.encode() in body
    for pair in pairs:
        for end in pair:
            end.close()


def test_what_is_not_whole_is_not_looked_at_twice(
    shared: World, consent: str, desk: Desk, connection: Connection
) -> None:
    data = wire(shared, kit.query_body(consent))
    connection.theirs.sendall(data[:-1])
    assert desk.front.look(connection) is None
    assert waiting(connection) == data[:-1]
    connection.theirs.sendall(data[-1:] + data)
    assert desk.front.look(connection) is None
    assert waiting(connection) == data + data


def test_silence_and_a_closed_connection_are_nothing(desk: Desk, connection: Connection) -> None:
    assert desk.front.look(connection) is None
    connection.theirs.close()
    assert desk.front.look(connection) is None
    connection.sock.close()
    assert desk.front.look(connection) is None


def said_by(express: Express, connection: Connection) -> tuple[str, bytes]:
    """What WSGI says to the request that waits on a connection, read as the server would read it."""
    whole = parse_whole(waiting(connection), "127.0.0.1")
    assert whole is not None
    statuses: list[str] = []
    environ = {
        **whole.environ,
        "wsgi.input": io.BytesIO(whole.body),
        "gunicorn.socket": connection.sock,
        "PATH_INFO": ROUTE,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
    }
    body = b"".join(express(environ, lambda status, *_: statuses.append(status)))
    return statuses[0], body


def test_a_refusal_is_ruled_once_and_said_by_flask(
    shared: World, consent: str, desk: Desk, express: Express, connection: Connection
) -> None:
    data = wire(shared, kit.query_body(consent, purpose="03"))
    connection.theirs.sendall(data)
    before = kit.size(shared.house)
    desk.serve(connection)
    assert desk.left.get(timeout=PATIENCE_S) is connection
    assert waiting(connection) == data
    status, body = said_by(express, connection)
    assert (status, b"purpose-mismatch" in body, b'"receipt"' in body) == ("403 FORBIDDEN", True, True)
    assert kit.size(shared.house) == before + 1
    # What was said once is not said to whoever sends the same again, on this connection or another.
    status, body = said_by(express, connection)
    assert status == "401 UNAUTHORIZED"
    assert b"replayed-nonce" in body


def test_what_was_ruled_for_one_connection_is_not_said_on_another(
    shared: World, consent: str, desk: Desk, express: Express, connection: Connection
) -> None:
    data = wire(shared, kit.query_body(consent, purpose="03"))
    connection.theirs.sendall(data)
    desk.serve(connection)
    assert desk.left.get(timeout=PATIENCE_S) is connection
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs):
        theirs.sendall(data)
        status, body = said_by(express, Connection(ours, theirs))
    assert (status, b"replayed-nonce" in body) == ("401 UNAUTHORIZED", True)
    assert said_by(express, connection)[0] == "403 FORBIDDEN"


def test_what_was_ruled_is_not_said_to_another_request_on_the_same_connection(
    shared: World, consent: str, desk: Desk, express: Express, connection: Connection
) -> None:
    data = wire(shared, kit.query_body(consent, purpose="03"))
    connection.theirs.sendall(data)
    desk.serve(connection)
    assert desk.left.get(timeout=PATIENCE_S) is connection
    connection.sock.recv(len(data))
    connection.theirs.sendall(wire(shared, kit.query_body(consent)))
    assert said_by(express, connection)[0] == "200 OK"


@pytest.mark.parametrize("spoilt", [(b'"02"', b'"03"'), (b"sha-256=:", b"sha-256=:A")])
def test_what_is_not_authenticated_is_left_and_ruled_by_nobody(
    shared: World,
    consent: str,
    desk: Desk,
    express: Express,
    connection: Connection,
    spoilt: tuple[bytes, bytes],
) -> None:
    data = wire(shared, kit.query_body(consent)).replace(*spoilt)
    connection.theirs.sendall(data)
    before = kit.size(shared.house)
    desk.serve(connection)
    assert desk.left.get(timeout=PATIENCE_S) is connection
    status, body = said_by(express, connection)
    assert (status, b"bad-signature" in body) == ("401 UNAUTHORIZED", True)
    assert kit.size(shared.house) == before


def test_a_client_that_left_has_its_answer_in_the_ledger(
    shared: World, consent: str, desk: Desk, connection: Connection
) -> None:
    connection.theirs.sendall(wire(shared, kit.query_body(consent)))
    whole = desk.front.look(connection)
    assert whole is not None
    connection.theirs.close()
    before = kit.size(shared.house)
    desk.front.serve(connection, whole)
    assert desk.done.get(timeout=PATIENCE_S) == [(connection, False)]
    assert kit.of_type(shared.house, "query.disclosed")[-1].index >= before


def test_a_client_that_does_not_read_holds_nobody_up(
    shared: World, consent: str, desk: Desk, connection: Connection
) -> None:
    connection.sock.setblocking(True)
    with suppress(BlockingIOError):  # until there is no room for an answer
        while True:
            connection.sock.send(b"x" * 65_536, socket.MSG_DONTWAIT)
    connection.theirs.sendall(wire(shared, kit.query_body(consent)))
    desk.serve(connection)
    stuck, rest = desk.stuck.get(timeout=PATIENCE_S)
    assert stuck is connection
    assert rest.startswith(b"HTTP/1.1 200 OK\r\n")
    ours, theirs = socket.socketpair()
    theirs.settimeout(PATIENCE_S)
    with closing(ours), closing(theirs):
        another = Connection(ours, theirs)
        theirs.sendall(wire(shared, kit.query_body(consent)))
        desk.serve(another)
        assert another.read()[0] == 200


@dataclass
class Held:
    """Two queries that wait together: a refusal, then an answer."""

    refused: Connection
    answered: Connection


@pytest.fixture
def held(shared: World, consent: str) -> Iterator[Held]:
    with ExitStack() as ends:
        made = []
        for changes in ({"purpose": "03"}, {}):
            ours, theirs = (ends.enter_context(closing(end)) for end in socket.socketpair())
            theirs.settimeout(PATIENCE_S)
            theirs.sendall(wire(shared, kit.query_body(consent, **changes)))
            made.append(Connection(ours, theirs))
        yield Held(*made)


def serve_together(desk: Desk, *connections: Connection) -> None:
    """As one batch: the thread takes what waits, and all of them wait before it is started."""
    front = desk.front
    fresh = Front(front._express, 64, front._left, front._stuck, front._done)
    for connection in connections:
        whole = fresh.look(connection)
        assert whole is not None
        fresh.serve(connection, whole)
    fresh.start()


def test_each_connection_is_handed_on_once_whatever_fails(
    desk: Desk, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(kit.PRIVATE)

    monkeypatch.setattr("gateway.front._exchange", fail)
    serve_together(desk, held.refused, held.answered)
    assert desk.left.get(timeout=PATIENCE_S) is held.refused
    assert desk.done.get(timeout=PATIENCE_S) == [(held.answered, False)]
    assert (desk.left.empty(), desk.stuck.empty(), desk.done.empty()) == (True, True, True)


def test_an_answer_that_cannot_be_made_is_undelivered_alone(
    shared: World, consent: str, desk: Desk, express: Express, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening, met = answer_module.decrypt, list[object]()

    def fail_first(*arguments: Any) -> Any:
        met.append(arguments)
        if len(met) == 1:
            raise OSError(kit.PRIVATE)
        return opening(*arguments)

    with ExitStack() as ends:
        both = []
        for _ in range(2):
            ours, theirs = (ends.enter_context(closing(end)) for end in socket.socketpair())
            theirs.settimeout(PATIENCE_S)
            theirs.sendall(wire(shared, kit.query_body(consent)))
            both.append(Connection(ours, theirs))
        monkeypatch.setattr(answer_module, "decrypt", fail_first)
        serve_together(desk, *both)
        assert desk.left.get(timeout=PATIENCE_S) is both[0]
        assert both[1].read()[0] == 200
        assert said_by(express, both[0])[0].startswith("503")


def test_the_front_outlives_a_log_that_cannot_be_written(
    shared: World,
    consent: str,
    desk: Desk,
    express: Express,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An answer that could not be logged does not leave, and the ledger says so; the next one does."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(kit.PRIVATE)

    connection.theirs.sendall(wire(shared, kit.query_body(consent)))
    with monkeypatch.context() as broken:
        broken.setattr("gateway.http.served.Served.over", fail)
        broken.setattr("gateway.front.log", None)
        desk.serve(connection)
        assert desk.left.get(timeout=PATIENCE_S) is connection
    status, body = said_by(express, connection)
    assert (status, kit.PRIVATE.encode() in body) == ("503 SERVICE UNAVAILABLE", False)
    assert [leaf.type for leaf in kit.leaves(shared.house)[-2:]] == ["query.disclosed", "query.undelivered"]
    connection.sock.recv(1 << 16)
    connection.theirs.sendall(wire(shared, kit.query_body(consent)))
    desk.serve(connection)
    assert connection.read()[0] == 200


def test_what_is_said_of_a_query_names_its_own_request(
    shared: World, consent: str, desk: Desk, held: Held, connection: Connection
) -> None:
    connection.theirs.sendall(wire(shared, kit.query_body(consent)))
    with capture_logs(processors=[merge_contextvars, name_requests]) as logged:
        desk.serve(held.refused)
        assert desk.left.get(timeout=PATIENCE_S) is held.refused
        desk.serve(connection)
        _, headers, _ = connection.read()
        assert desk.done.get(timeout=PATIENCE_S)
    said = [one for one in logged if one["event"] == "request"]
    assert [one["request_id"] for one in said] == [headers["x-request-id"]]


def test_a_batch_that_fails_whole_closes_its_connections_and_nothing_else(
    shared: World, consent: str, desk: Desk, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(kit.PRIVATE)

    connection.theirs.sendall(wire(shared, kit.query_body(consent)))
    with monkeypatch.context() as broken:
        broken.setattr(Express, "answer_all", fail)
        desk.serve(connection)
        assert desk.done.get(timeout=PATIENCE_S) == [(connection, False)]
    desk.serve(connection)
    assert connection.read()[0] == 200
