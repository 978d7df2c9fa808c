"""The load generator counts every reply, and a round with a reply that is not 200 does not count."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.bench.town import http_message
from tests.bench.wire import LoadFailed, fire, fire_well

REQUEST = http_message("POST", "/", "localhost", {}, b"asked")
GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine"
BAD = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno"


@contextmanager
def answering(replies: list[list[bytes]]) -> Iterator[int]:
    """A server that gives each of one connection's requests the next reply, piece by piece; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            sock, _ = listening.accept()
            with sock:
                for pieces in replies:
                    if not sock.recv(65536):
                        return
                    for piece in pieces:
                        sock.sendall(piece)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            thread.join()


def test_every_reply_is_counted_however_it_is_cut() -> None:
    cut = [[GOOD], [GOOD[:10], GOOD[10:]], [GOOD[:-1], GOOD[-1:]], *([byte.to_bytes() for byte in GOOD],)]
    with answering(cut) as port:
        fired = fire_well(port, [REQUEST] * len(cut), 1)
    assert (len(fired.latencies), fired.errors, fired.received) == (4, 0, 4 * len(GOOD))
    assert fired.latencies == sorted(fired.latencies)


def test_a_round_with_another_status_fails() -> None:
    with answering([[GOOD], [BAD], [GOOD]]) as port:
        fired = fire(port, [REQUEST] * 3, 1)
    assert (len(fired.latencies), fired.errors) == (3, 1)
    with answering([[GOOD], [BAD], [GOOD]]) as port, pytest.raises(LoadFailed, match=r"1 of 3 .*503"):
        fire_well(port, [REQUEST] * 3, 1)


def test_a_connection_that_is_closed_fails_the_round() -> None:
    with answering([[GOOD]]) as port, pytest.raises(LoadFailed, match="closed"):
        fire_well(port, [REQUEST] * 2, 1)


def test_a_reply_without_a_length_fails_the_round() -> None:
    with answering([[b"HTTP/1.1 200 OK\r\n\r\nfine"]]) as port, pytest.raises(LoadFailed, match="length"):
        fire_well(port, [REQUEST], 1)
