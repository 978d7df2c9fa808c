"""Free loopback ports for servers that tests start.

Invariant: no two calls of one run give the same port, in one process or in two of its workers. They lie below
the range that the kernel takes for outgoing connections: nobody's client socket sits on one meanwhile.
"""

from __future__ import annotations

import itertools
import os
import random
import socket
from collections.abc import Iterator
from typing import Final

_FIRST, _LAST = 12_000, 32_000
_PER_WORKER: Final = 1_000


def free_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago and is given once."""
    return next(_GIVEN)


def _free(first: int, last: int) -> Iterator[int]:
    start = random.randrange(first, last)  # another run of the tests may stand beside this one
    for port in itertools.islice(itertools.cycle(range(first, last)), start - first, None):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        yield port


def _mine() -> tuple[int, int]:
    """This worker's own part of the range: "gw3" is pytest-xdist's fourth; without it, the part after all."""
    workers = (_LAST - _FIRST) // _PER_WORKER - 1
    number = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    first = _FIRST + (int(number) % workers if number else workers) * _PER_WORKER
    return first, first + _PER_WORKER


_GIVEN: Final = _free(*_mine())
