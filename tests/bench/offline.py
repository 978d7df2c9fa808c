"""Offline verification of a big log: the auditor's own `audit`, started anew, on all cores.

The time is that of the whole process, from its start to its end. `python -m tests.bench.offline` (`make
bench-verify LEAVES=10000000`) makes a log of so many leaves, verifies it in both ways, prints the figures and
removes the log.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
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
_LEAF: Final = 1_000
"""Bytes that a leaf takes on disk, with its part of the tiles; somewhat less."""
_LEAST: Final = 1_000
_PSS: Final = re.compile(rb"^Pss: +([0-9]+) kB", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Verified:
    """One verification: leaves, seconds from start to end of the command, most memory of all its processes,
    seconds of CPU of all of them.

    Memory is proportional set size in bytes: what processes share counts once.
    """

    leaves: int
    seconds: float
    peak: int
    cpu: float = 0.0

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
    begun, peak, before = time.perf_counter(), 0, _spent()
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
    return Verified(leaves, seconds, peak, _spent() - before)


def _spent() -> float:
    """CPU seconds of the children of this process that have ended, and of theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


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


def watched(directory: str, vkey: str, what: str) -> None:
    """The process that is watched."""
    jobs = len(os.sched_getaffinity(0))
    audit(Path(directory), Trust(parse_vkey(vkey)), jobs=jobs, replayed=what == "replayed")


def main() -> None:
    """Make a log, verify it in both ways, print the figures."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.offline", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--leaves", type=int, default=10_000_000)
    leaves = parser.parse_args().leaves
    if leaves < _LEAST:
        parser.error(f"--leaves: at least {_LEAST:,}")
    room = tempfile.gettempdir()
    if shutil.disk_usage(room).free < leaves * _LEAF:
        parser.error(f"{leaves:,} leaves take {leaves * _LEAF >> 20:,} MiB, which {room} has not: set TMPDIR")
    with tempfile.TemporaryDirectory(prefix="chengxin-bench-") as folder:
        vkey = make(Path(folder) / "log", leaves)
        for name, replayed in (("chain and tree", False), ("enforcement replayed too", True)):
            one = verify(Path(folder) / "log", vkey, leaves, replayed=replayed)
            sys.stdout.write(
                f"{name}: {one.leaves:,} leaves in {one.seconds:.1f} s, {one.rate:,.0f} leaves/s,"
                f" {1e6 * one.cpu / leaves:.1f} us of CPU a leaf, {one.peak >> 20:,} MiB"
                f" (at most {PEAK_LIMIT >> 20:,})\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    if len(sys.argv) == len(("", "directory", "vkey", "what")) and not sys.argv[1].startswith("-"):
        watched(*sys.argv[1:])
    else:
        main()
