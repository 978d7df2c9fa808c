"""Turns at accepting: connections spread evenly over the workers that listen on one socket.

Invariant: a worker that has two connections more than another lets that one go first, for `YIELD_S` at most
before each connection it takes. For a worker that does not come a burst is accepted one by one, `YIELD_S`
apart; one that is gone, stopping or full is not waited for. Each place has one writer, its worker (the
parent, once that is gone), and an aligned int is written at once: there is no lock.

Every connection wakes all workers, and the quickest has it. Of 64 that a client opened at once one worker was
seen to have 62, for as long as the client kept them, while the other had nothing to do (ADR 23).
"""

from __future__ import annotations

import mmap
import struct
from collections import deque
from typing import Final

YIELD_S: Final = 0.02
"""How long a worker that is ahead leaves a connection to the others (s): a few turns of a busy main loop."""
_SLACK: Final = 1
"""So much more is not ahead yet: of an odd number one must have more."""
_AWAY: Final = -1
_FORMAT: Final = "i"


class Place:
    """A worker's place on the scoreboard: how many connections it holds, for the others to see."""

    def __init__(self, counts: memoryview[int], index: int) -> None:
        self._counts, self.index = counts, index

    def report(self, held: int) -> None:
        """It accepts, and holds so many."""
        self._counts[self.index] = held

    def leave(self) -> None:
        """It accepts nothing: nobody waits for it."""
        self._counts[self.index] = _AWAY

    def is_ahead(self) -> bool:
        """Whether another that accepts holds fewer, by more than one."""
        own = self._counts[self.index]
        return any(_AWAY < held < own - _SLACK for held in self._counts)


class Scoreboard:
    """The places of all workers, in memory that they inherit from the parent. The parent alone gives them."""

    def __init__(self, places: int) -> None:
        shared = mmap.mmap(-1, places * struct.calcsize(_FORMAT))
        self._counts = memoryview(shared).cast(_FORMAT)
        self._free = deque(range(places))
        for index in self._free:
            self._counts[index] = _AWAY

    def acquire(self) -> Place | None:
        """A place for a new worker. None where none is left: it takes what it gets, unseen by others."""
        return Place(self._counts, self._free.popleft()) if self._free else None

    def release(self, place: Place | None) -> None:
        """Its worker is gone, however it ended."""
        if place is not None:
            place.leave()
            self._free.append(place.index)
