"""The front: queries that arrived whole are taken off their sockets, and answered many at a time.

Invariant: a request is only looked at (`MSG_PEEK`) until its answer is there, so that whatever the express
lane does not answer a thread of the server's pool reads from the socket as if nobody had been here. What was
answered is taken off the socket before the answer leaves. No client can hold the front up: it neither waits
for bytes nor for room to send; the rest of a long answer is a pool thread's.

A thread woken for each request costs more than many requests' work: here one thread serves all that wait.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from email.utils import formatdate
from functools import lru_cache
from queue import Empty, SimpleQueue
from socket import MSG_DONTWAIT, MSG_PEEK, socket
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
            batch = deque([self._waiting.get(), *self._others()])
            sent: list[tuple[Connection, bool]] = []
            try:
                self._serve(batch, sent)
            except BaseException as error:  # noqa: BLE001  the thread must outlive whatever happens to a batch
                self._done([*sent, *((connection, False) for connection, _ in batch)])
                with suppress(Exception):  # it may be the log that fails
                    log.error("front.failed", error=type(error).__name__)

    def _others(self) -> Iterable[tuple[Connection, Whole]]:
        for _ in range(self._limit - 1):
            try:
                yield self._waiting.get_nowait()
            except Empty:
                return

    def _serve(self, batch: deque[tuple[Connection, Whole]], sent: list[tuple[Connection, bool]]) -> None:
        """What leaves `batch` is somebody else's, or in `sent`; what an error leaves there is nobody's."""
        for reply in self._express.answer_all([(connection.sock, whole) for connection, whole in batch]):
            connection, whole = batch[0]
            data = b"" if reply is None else _bytes(reply)
            count = None if reply is None else _exchange(connection.sock, whole, data)
            batch.popleft()
            if reply is None:
                self._left(connection)
            elif count is None:  # the client is gone; its answer is in the ledger, and may be asked for again
                sent.append((connection, False))
            elif count < len(data):
                self._stuck(connection, data[count:])
            else:
                sent.append((connection, True))
        if sent:
            self._done(sent)


def _exchange(client: socket, whole: Whole, data: bytes) -> int | None:
    """Take the request off the socket, and send what there is room for: so many bytes, None if it is gone."""
    try:
        if len(client.recv(whole.size, MSG_DONTWAIT)) != whole.size:
            return None
    except OSError:
        return None
    try:
        return client.send(data, MSG_DONTWAIT)
    except BlockingIOError:
        return 0
    except OSError:
        return None


def _bytes(reply: Reply) -> bytes:
    """A reply as the server would have sent it."""
    fields = "".join([f"{name}: {value}\r\n" for name, value in reply.headers])
    return f"{_STATUS}{_date(int(time.time()))}{_KEPT}{fields}\r\n".encode("ascii") + reply.body


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
