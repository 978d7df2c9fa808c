"""The load generator: one process, raw sockets, requests made beforehand; cheap, and it says how cheap.

Invariant: the load is bounded. A connection has one request under way and sends the next when the reply is
whole; every request of a round is sent exactly once, and every reply is counted as 200 or as an error. A
connection that the server closes, or a reply that does not say its length, ends the run.
"""

from __future__ import annotations

import re
import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

TIMEOUT_S: Final = 30.0
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_OK: Final = b" 200 "
_READ: Final = 1 << 18


class LoadFailed(Exception):
    """A reply was not 200, or did not come: the round does not count."""


@dataclass(slots=True)
class Fired:
    """One round: seconds from the first send to the last reply, each reply's time in seconds, ascending."""

    connections: int
    seconds: float
    latencies: list[float]
    errors: int
    received: int
    """Bytes of all replies, heads included."""

    first_error: bytes = b""

    @property
    def rate(self) -> float:
        """Replies a second."""
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """The time within which this share of the replies came (nearest rank)."""
        return self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))]


@dataclass(slots=True)
class _Connection:
    sock: socket.socket
    sent: float = 0.0
    data: bytes = b""
    wanted: int = 0
    """Bytes of the reply that is coming, its head included; 0 until that is known."""


def fire(port: int, requests: Sequence[bytes], connections: int, *, keep: list[bytes] | None = None) -> Fired:
    """Send every request once over this many keep-alive connections. Raises `LoadFailed`.

    The whole replies go into `keep`, in the order in which they came, where somebody wants them.
    """
    opened = [_Connection(_connect(port)) for _ in range(min(connections, len(requests)))]
    try:
        return _run(opened, requests, keep)
    finally:
        for one in opened:
            one.sock.close()


def fire_well(port: int, requests: Sequence[bytes], connections: int) -> Fired:
    """The same, where any reply but 200 fails the round."""
    fired = fire(port, requests, connections)
    if fired.errors:
        raise LoadFailed(f"{fired.errors} of {len(requests)} were not answered 200: {fired.first_error!r}")
    return fired


def _connect(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _run(opened: list[_Connection], requests: Sequence[bytes], keep: list[bytes] | None) -> Fired:
    waiting = iter(requests)
    by_fd = {one.sock.fileno(): one for one in opened}
    latencies: list[float] = []
    errors, received, first_error, left = 0, 0, b"", len(opened)
    clock = time.perf_counter
    with select.epoll() as poll:
        for fd in by_fd:
            poll.register(fd, select.EPOLLIN)
        begun = clock()
        for one in opened:
            one.sent = clock()
            one.sock.sendall(next(waiting))
        while left:
            ready = poll.poll(TIMEOUT_S)
            if not ready:
                raise LoadFailed(f"no reply within {TIMEOUT_S:.0f} s")
            for fd, _ in ready:
                one = by_fd[fd]
                reply = _read(one)
                if reply is None:
                    continue
                now = clock()
                latencies.append(now - one.sent)
                received += len(reply)
                if keep is not None:
                    keep.append(reply)
                if reply[8:13] != _OK:
                    errors += 1
                    first_error = first_error or reply[:2000]
                following = next(waiting, None)
                if following is None:
                    poll.unregister(fd)
                    left -= 1
                    continue
                one.sent = now
                one.sock.sendall(following)
        seconds = clock() - begun
    latencies.sort()
    return Fired(len(opened), seconds, latencies, errors, received, first_error)


def _read(one: _Connection) -> bytes | None:
    """What came; the whole reply when it is whole."""
    more = one.sock.recv(_READ)
    if not more:
        raise LoadFailed(f"the server closed a connection after {one.data[:200]!r}")
    data = one.data + more if one.data else more
    if not one.wanted:
        end = data.find(b"\r\n\r\n")
        if end < 0:
            one.data = data
            return None
        said = _LENGTH.search(data, 0, end + 2)
        if said is None:
            raise LoadFailed(f"a reply that does not say its length: {data[:200]!r}")
        one.wanted = end + 4 + int(said[1])
    if len(data) < one.wanted:
        one.data = data
        return None
    one.data, one.wanted = b"", 0
    return data
