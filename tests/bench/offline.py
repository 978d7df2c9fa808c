"""Offline verification of a big log: the auditor's own `audit`, started anew, on all cores.

The time is that of the whole process, from its start to its end.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from keys.notes import parse_vkey
from ledger.verify import Trust, audit
from tests.bench.biglog import make_log

PEAK_LIMIT: Final = 1 << 30
_POLL_S: Final = 0.1
_PSS: Final = re.compile(rb"^Pss: +([0-9]+) kB", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Verified:
    """One verification: leaves, seconds from start to end of the command, most memory of all its processes.

    Memory is proportional set size in bytes: what processes share counts once.
    """

    leaves: int
    seconds: float
    peak: int

    @property
    def rate(self) -> float:
        """Leaves a second."""
        return self.leaves / self.seconds


def make(directory: Path, leaves: int) -> str:
    """Write the log; the key to verify it with."""
    return make_log(directory, leaves)


def verify(directory: Path, vkey: str, leaves: int, *, replayed: bool) -> Verified:
    """Audit the log with as many processes as there are cores, and watch. Raises CalledProcessError.

    Unless `replayed`, only the checkpoint, the tree, and that each leaf names the one before it.
    """
    what = "replayed" if replayed else "tree"
    command = [sys.executable, "-m", "tests.bench.offline", str(directory), vkey, what]
    begun, peak = time.perf_counter(), 0
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        while process.poll() is None:
            peak = max(peak, sum(map(_pss, _tree(process.pid))))
            time.sleep(_POLL_S)
        seconds = time.perf_counter() - begun
        assert process.stderr is not None
        said = process.stderr.read()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, stderr=said[-2000:])
    return Verified(leaves, seconds, peak)


def _pss(pid: int) -> int:
    try:
        found = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_bytes())
    except OSError:  # it has ended
        return 0
    return 1024 * int(found[1]) if found else 0


def _tree(root: int) -> Iterator[int]:
    yield root
    try:
        threads = list(Path(f"/proc/{root}/task").iterdir())
        children = [int(word) for thread in threads for word in (thread / "children").read_text().split()]
    except OSError:
        return
    for child in children:
        yield from _tree(child)


def main(directory: str, vkey: str, what: str) -> None:
    """The process that is watched."""
    jobs = len(os.sched_getaffinity(0))
    audit(Path(directory), Trust(parse_vkey(vkey)), jobs=jobs, replayed=what == "replayed")


if __name__ == "__main__":
    main(*sys.argv[1:])
