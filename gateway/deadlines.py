"""The server's worker: time limits for clients, turns at accepting, and what it hands to the front.

Invariant: slow clients cannot hold the server's threads. A request that was not received whole in `READ_S` is
cut off, however it dribbles in, and a client that does not take its answer is given up after `STALL_S`. What
is being answered is never cut short by it: only reading ends. A proxy in front that buffers requests remains
the better defence against a flood.
"""

from __future__ import annotations

import resource
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from errno import EAGAIN, ECONNABORTED, EMFILE, ENFILE
from functools import partial
from typing import Any, Final

from gunicorn.workers import gthread

from gateway.accepting import YIELD_S, Place
from gateway.front import Front
from gateway.http.express import Express

READ_S = 8.0
STALL_S = 20.0
LINGER_S = 2.0
TICK_S = 0.5


class ReadDeadlines:
    """Sockets that are being read, each with the moment at which reading from it ends."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._due: dict[socket.socket, float] = {}

    @contextmanager
    def reading(self, client: socket.socket) -> Iterator[None]:
        """While the block runs, reading from `client` ends `seconds` from now."""
        with self._lock:
            self._due[client] = time.monotonic() + self._seconds
        try:
            yield
        finally:
            with self._lock:
                self._due.pop(client, None)

    def end_overdue(self) -> None:
        """Let the reads of every socket that is overdue see the end of its stream."""
        now = time.monotonic()
        with self._lock:
            overdue = [client for client, due in self._due.items() if due <= now]
            for client in overdue:
                del self._due[client]
        for client in overdue:
            with suppress(OSError):  # closed meanwhile
                client.shutdown(socket.SHUT_RD)

    def watch(self) -> None:
        """End what is overdue, for as long as the process lives."""
        while True:
            time.sleep(TICK_S)
            self.end_overdue()


class DeadlineWorker(gthread.ThreadWorker):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn's threaded worker with these limits: of itself it would wait for a client for ever.

    A connection goes to a thread when there is something to read, not before. With a `front`, a query that
    arrived whole goes there and needs no thread. Nothing in the main thread waits for a client. With a
    `place`, connections are spread evenly over the workers.
    """

    front: Front | None = None
    place: Place | None = None
    yields_until: float | None = None
    """While it is ahead of another worker: when (monotonic, s) it accepts all the same; else None."""

    def init_process(self) -> None:
        """In the worker process, after the fork."""
        self.lingering: deque[Any] = deque()
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a thousand connections, and files besides
        self.deadlines = ReadDeadlines(READ_S)
        threading.Thread(target=self.deadlines.watch, name="deadlines", daemon=True).start()
        super().init_process()

    def answer_at_the_front(self, express: Express, limit: int) -> None:
        """Have queries answered by `express`, at most `limit` at a time."""
        done = partial(self.method_queue.defer, self._given_back)
        self.front = Front(express, limit, self.enqueue_req, self._stuck, done)
        self.front.start()

    def accept(self, listener: Any) -> None:
        """Accept a connection, and wait for its first bytes in the poller: gunicorn has a thread wait."""
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno in (EMFILE, ENFILE):  # no more than there is room for, from now on
                self.worker_connections = max(1, self.nr_conns)
            elif error.errno not in (EAGAIN, ECONNABORTED):
                raise
            return
        self.nr_conns += 1
        self.yields_until = None
        self.finish_request(gthread.TConn(self.cfg, client, address, listener.getsockname()), _SILENT)

    def run(self) -> None:
        """The worker's life; whatever ends it, nobody waits for it from then on."""
        try:
            super().run()
        finally:
            if self.place is not None:
                self.place.leave()

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """A turn of the main loop: whoever holds fewer connections goes first at accepting one."""
        left = self._report_and_yield()
        if left <= 0:
            super().wait_for_and_dispatch_events(timeout)
            return
        self.set_accept_enabled(False)
        try:
            super().wait_for_and_dispatch_events(min(timeout, left))
        finally:
            self.set_accept_enabled(True)

    def _report_and_yield(self) -> float:
        """Report its count; for how long (s) it leaves new connections to the others. Not above 0: none."""
        if self.place is None:
            return 0
        if not self._accepting:
            self.place.leave()
            return 0
        self.place.report(max(self.nr_conns, 0))
        if not self.place.is_ahead():
            self.yields_until = None
            return 0
        now = time.monotonic()
        if self.yields_until is None:
            self.yields_until = now + YIELD_S
        return self.yields_until - now

    def on_client_socket_readable(self, conn: Any, client: Any) -> None:
        """A connection that was kept has something to read."""
        if not self._taken(conn, self.keepalived_conns):
            super().on_client_socket_readable(conn, client)

    def on_pending_socket_readable(self, conn: Any, client: Any) -> None:
        """A new connection has."""
        if not self._taken(conn, self.pending_conns):
            super().on_pending_socket_readable(conn, client)

    def _taken(self, conn: Any, waiting: deque[Any]) -> bool:
        whole = None if self.front is None or not self.alive else self.front.look(conn)
        if self.front is None or whole is None:
            return False
        self.poller.unregister(conn.sock)
        waiting.remove(conn)
        conn.init()
        self.front.serve(conn, whole)
        return True

    def _given_back(self, answered: Iterable[tuple[Any, bool]]) -> None:
        """In the main thread: what the front has answered waits for its next request, or is closed."""
        for conn, is_open in answered:
            self.finish_request(conn, _KEPT if is_open else _ENDED)

    def _stuck(self, conn: Any, rest: bytes) -> None:
        """A client is slow to take its answer: a thread sends the rest, within the limit for that."""
        future = self.tpool.submit(_send_rest, conn.sock, rest)
        future.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

    def finish_request(self, conn: Any, fs: Any) -> None:
        """In the main thread: what becomes of a connection whose request was served.

        One that is over is said to be, and closed once the client has closed or `LINGER_S` have gone by, so
        that its answer is not lost to what it still sends. gunicorn would wait for that here and now.
        """
        if fs.cancelled() or fs.exception() is not None or fs.result():
            super().finish_request(conn, fs)
            return
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._drain, conn))
        except OSError:  # it has gone already
            self._close(conn)
        else:
            conn.timeout = time.monotonic() + LINGER_S
            self.lingering.append(conn)

    def _drain(self, conn: Any, client: socket.socket) -> None:
        """Something came on a connection that is over: it is dropped, and at its end so is the connection."""
        try:
            over = not client.recv(65_536)
        except BlockingIOError:
            over = False
        except OSError:
            over = True
        if over:
            self.lingering.remove(conn)
            self._end(conn)

    def murder_pending(self) -> None:
        """Close what has waited long enough, for its first byte or for its end."""
        super().murder_pending()
        while self.lingering and self.lingering[0].timeout <= time.monotonic():
            self._end(self.lingering.popleft())

    def _end(self, conn: Any) -> None:
        self.poller.unregister(conn.sock)
        self._close(conn)

    def _close(self, conn: Any) -> None:
        self.nr_conns -= 1
        conn.close()

    def _cap_keepalive(self, deadline: float) -> None:
        """At a stop: a connection without a request is not waited for longer than a kept one."""
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)

    def handle(self, conn: Any) -> Any:
        """One request on a connection, in a thread of the pool."""
        with self.deadlines.reading(conn.sock):
            return super().handle(conn)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Its head was read: from here on no single wait for the client is endless."""
        conn.sock.settimeout(STALL_S)
        return super().handle_request(req, conn)


def _send_rest(client: socket.socket, rest: bytes) -> bool:
    client.settimeout(STALL_S)
    try:
        client.sendall(rest)
    except OSError:  # gone, or given up
        return False
    return True


def _finished(result: object) -> Future[object]:
    """What gunicorn asks how a request ended."""
    future: Future[object] = Future()
    future.set_result(result)
    return future


_SILENT: Final = _finished(gthread._DEFER)  # noqa: SLF001  gunicorn's word for it
_KEPT: Final = _finished(True)
_ENDED: Final = _finished(False)
