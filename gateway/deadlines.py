"""A time limit for whoever sends us a request, so that slow clients cannot hold the server's threads.

Invariant: a request that was not received whole in `READ_S` is cut off, however it dribbles in, and a client
that does not take its answer is given up after `STALL_S`. What is being answered is never cut short by it:
only reading ends. A proxy that buffers requests, in front, remains the better defence against a flood.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from gunicorn.workers import gthread

READ_S = 8.0
STALL_S = 20.0
TICK_S = 0.5
FIRST_BYTE_S = 0.02
"""How long a thread waits for a new connection's first byte before the poller does."""


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
    """gunicorn's threaded worker with these limits: of itself it would wait for a client for ever."""

    def init_process(self) -> None:
        """In the worker process, after the fork."""
        self.deadlines = ReadDeadlines(READ_S)
        threading.Thread(target=self.deadlines.watch, name="deadlines", daemon=True).start()
        super().init_process()

    def handle(self, conn: Any) -> Any:
        """One request on a connection, in a thread of the pool.

        A connection that stays silent goes to the poller at once: gunicorn would have it hold a thread for
        five seconds. Its own constant for that is left alone, as it also bounds how long a thread may take to
        come to the end of a body that was read: a busy one would close a connection it has promised to keep.
        """
        fresh = not (conn.initialized or conn.data_ready)
        if fresh and not conn.wait_for_data(FIRST_BYTE_S):
            return gthread._DEFER  # noqa: SLF001  gunicorn's word for it
        with self.deadlines.reading(conn.sock):
            return super().handle(conn)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Its head was read: from here on no single wait for the client is endless."""
        conn.sock.settimeout(STALL_S)
        return super().handle_request(req, conn)
