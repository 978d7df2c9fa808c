"""What a round cost the machine, read from /proc (Linux).

Invariant: the load generator's own time is never part of a server's. Two readings are kept apart: everything
the machine did less the generator (which a noisy neighbour spoils), and what the processes of the server and
of the database did (which a neighbour does not).
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")
_IDLE: Final = (3, 4)  # idle and iowait among the columns of /proc/stat
_COLUMNS: Final = 8  # user nice system idle iowait irq softirq steal; guest time is in user already


@dataclass(frozen=True, slots=True)
class Reading:
    """Seconds of CPU since some beginning: machine (all cores), process trees by name, this process; wall."""

    machine: float
    trees: dict[str, float]
    own: float
    wall: float

    def since(self, earlier: Reading) -> Reading:
        """What was spent between the two."""
        trees = {name: spent - earlier.trees[name] for name, spent in self.trees.items()}
        return Reading(
            self.machine - earlier.machine, trees, self.own - earlier.own, self.wall - earlier.wall
        )


def read(roots: dict[str, int]) -> Reading:
    """Read now; `roots` names the processes whose trees are added up, their ended children included."""
    children = _children()
    trees = {name: sum(map(_spent, _tree(pid, children))) for name, pid in roots.items()}
    return Reading(_busy(), trees, time.process_time(), time.perf_counter())


def _busy() -> float:
    line = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0]
    columns = [int(word) for word in line.split()[1 : _COLUMNS + 1]]
    return TICK_S * (sum(columns) - sum(columns[n] for n in _IDLE))


def _stat(pid: int) -> list[str]:
    """Columns of /proc/PID/stat from the third on (the second may hold spaces); empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return []


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and (columns := _stat(int(entry.name))):
            found.setdefault(int(columns[1]), []).append(int(entry.name))
    return found


def _tree(root: int, children: dict[int, list[int]]) -> list[int]:
    tree, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        tree.append(pid)
        waiting += children.get(pid, [])
    return tree


def _spent(pid: int) -> float:
    """utime, stime, and both of its children that were waited for."""
    return TICK_S * sum(map(int, _stat(pid)[11:15]))
