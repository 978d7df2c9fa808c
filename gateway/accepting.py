"""Turns at accepting: connections spread evenly over the workers that listen on one socket.

Invariant: a worker that has more connections than another lets that one go first, but for `YIELD_S` at the
most: no connection waits longer for a worker that does not come.

Every connection wakes all workers, and the quickest has it. Of 64 that a client opened at once one worker was
seen to have 62, for as long as the client kept them, while the other had nothing to do.
"""

from __future__ import annotations

import mmap
import struct
from collections import deque
from typing import Final

YIELD_S: Final = 0.02
_SLACK: Final = 1
_AWAY: Final = -1
_COUNT: Final = "i"


class Share:
    """A worker's place among all: how many connections it holds, for the others to see."""

    def __init__(self, counts: memoryview[int], place: int) -> None:
        self._counts, self.place = counts, place

    def tell(self, held: int) -> None:
        """It accepts, and holds so many."""
        self._counts[self.place] = held

    def leave(self) -> None:
        """It accepts nothing: nobody waits for it."""
        self._counts[self.place] = _AWAY

    def is_ahead(self) -> bool:
        """Whether another that accepts holds fewer, by more than one."""
        own = self._counts[self.place]
        return any(_AWAY < held < own - _SLACK for held in self._counts)


class Shares:
    """The places of all workers, in memory that they inherit from the parent. The parent alone gives them."""

    def __init__(self, workers: int) -> None:
        shared = mmap.mmap(-1, workers * struct.calcsize(_COUNT))
        self._counts = memoryview(shared).cast(_COUNT)
        self._free = deque(range(workers))
        for place in self._free:
            self._counts[place] = _AWAY

    def take(self) -> Share | None:
        """A place for a new worker; None where there are more of them than places."""
        return Share(self._counts, self._free.popleft()) if self._free else None

    def give_back(self, share: Share | None) -> None:
        """Its worker is gone, however it ended."""
        if share is not None:
            share.leave()
            self._free.append(share.place)
