"""The front: queries that arrived whole are taken off their sockets, and answered many at a time.

Invariant: a request is only looked at (`MSG_PEEK`) until its answer is there, so that whatever the express
lane does not answer a thread of the server's pool reads from the socket as if nobody had been here. What was
answered is taken off the socket before the answer leaves. No client can hold the front up: it neither waits
for bytes nor for room to send; the rest of a long answer is a pool thread's.

A thread woken for each request costs more than many requests' work: here one thread serves all that wait.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from email.utils import formatdate
from queue import Empty, SimpleQueue
from socket import MSG_DONTWAIT, MSG_PEEK, MSG_WAITALL
from typing import Any, Final, TypeAlias

import structlog

from gateway.http.express import Express, Reply
from gateway.http.whole import MAX_WHOLE, Whole, parse_whole

Connection: TypeAlias = Any
"""gunicorn's `TConn`, which ships no types."""

_STATUS: Final = "HTTP/1.1 200 OK\r\nServer: gunicorn\r\nDate: "
_KEPT: Final = "\r\nConnection: keep-alive\r\n"

log = structlog.get_logger(__name__)


class Front:
    """Answers queries for a server's worker. What it calls back, it calls from a thread of its own.

    `left` is told a connection whose request somebody else has to read; `stuck` one that takes no more for
    now, and the rest of its answer; `done` those that were answered, each with whether it is still open.
    """

    def __init__(
        self,
        express: Express,
        limit: int,
        left: Callable[[Connection], None],
        stuck: Callable[[Connection, bytes], None],
        done: Callable[[list[tuple[Connection, bool]]], None],
    ) -> None:
        self._express, self._limit = express, limit
        self._left, self._stuck, self._done = left, stuck, done
        self._waiting: SimpleQueue[tuple[Connection, Whole]] = SimpleQueue()

    def start(self) -> None:
        """Serve, for as long as the process lives."""
        threading.Thread(target=self._run, name="front", daemon=True).start()

    @staticmethod
    def look(connection: Connection) -> Whole | None:
        """The query that waits whole on this connection; None for anything else. Nothing is taken yet."""
        try:
            data = connection.sock.recv(MAX_WHOLE, MSG_PEEK | MSG_DONTWAIT)
        except OSError:  # for whoever reads it
            return None
        return parse_whole(data, connection.client[0])

    def serve(self, connection: Connection, whole: Whole) -> None:
        """Answer this query, which waits on a connection that nobody else reads from until then."""
        self._waiting.put((connection, whole))

    def _run(self) -> None:
        while True:
            batch = [self._waiting.get(), *self._others()]
            try:
                self._serve(batch)
            except Exception as error:  # noqa: BLE001  the thread must outlive whatever happens to a batch
                log.error("front.failed", error=type(error).__name__)
                self._done([(connection, False) for connection, _ in batch])

    def _others(self) -> Iterable[tuple[Connection, Whole]]:
        for _ in range(self._limit - 1):
            try:
                yield self._waiting.get_nowait()
            except Empty:
                return

    def _serve(self, batch: list[tuple[Connection, Whole]]) -> None:
        sent: list[tuple[Connection, bool]] = []
        replies = self._express.answer_all([(connection.sock, whole) for connection, whole in batch])
        for (connection, whole), reply in zip(batch, replies, strict=True):
            if reply is None:
                self._left(connection)
            else:
                self._send(connection, whole, _bytes(reply), sent)
        self._done(sent)

    def _send(
        self, connection: Connection, whole: Whole, data: bytes, sent: list[tuple[Connection, bool]]
    ) -> None:
        client = connection.sock
        try:
            client.recv(whole.size, MSG_WAITALL)
            count = client.send(data, MSG_DONTWAIT)
        except BlockingIOError:
            count = 0
        except OSError:  # the client is gone; its answer is in the ledger, and is there to be asked for again
            sent.append((connection, False))
            return
        if count < len(data):
            self._stuck(connection, data[count:])
        else:
            sent.append((connection, True))


def _bytes(reply: Reply) -> bytes:
    """A reply as the server would have sent it."""
    fields = "".join([f"{name}: {value}\r\n" for name, value in reply.headers])
    return f"{_STATUS}{formatdate(usegmt=True)}{_KEPT}{fields}\r\n".encode("ascii") + reply.body
