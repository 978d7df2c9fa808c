"""The runs of a log, read by as many processes as there are, and handed over in their order.

Invariant: what is handed over does not depend on the number of processes; only so many runs are read ahead
that memory stays bounded, however slow the taker is.
"""

from __future__ import annotations

import gc
import multiprocessing
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Final

from ledger.verify.parts import Part, Run, read_packed, read_part, unpack

AHEAD = 3
"""Runs for each process that are read, or waiting to be taken."""


_FORKS: Final = sys.platform == "linux"
"""Elsewhere a system's own libraries may have threads that Python does not know of."""


@contextmanager
def without_collector() -> Iterator[None]:
    """Nothing here refers to itself in a circle, and looking for that would take a third of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def parts(runs: Iterable[Run], jobs: int) -> Iterator[Part]:
    """The parts of all runs, in their order; with one job, read here and now.

    Raises what `read_part` raises, and BrokenProcessPool (a RuntimeError) when a process was ended from
    outside.
    """
    coming = iter(runs)
    if jobs == 1:
        yield from map(read_part, coming)
        return
    with ProcessPoolExecutor(jobs, multiprocessing.get_context(_start()), gc.disable) as pool:
        ahead: deque[Future[bytes]] = deque(
            pool.submit(read_packed, run) for run in islice(coming, jobs * AHEAD)
        )
        try:
            while ahead:
                packed = ahead.popleft().result()
                ahead.extend(pool.submit(read_packed, run) for run in islice(coming, 1))
                yield unpack(packed)
        finally:
            pool.shutdown(cancel_futures=True)


def _start() -> str:
    """How processes are started: forked they are there at once, having nothing to import; but a copy of a
    process with other threads would bring along their locks, which nobody there lets go.
    """
    return "fork" if _FORKS and threading.active_count() == 1 else "spawn"
