"""`python -m tests.faults.soak`: full load and random kills, on PostgreSQL and on SQLite; `make soak`.

SOAK_SECONDS (600) is how long in all, SOAK_SEED what strikes when, SOAK_LOG where to leave the servers' logs
(a path, to which the engine's name is added); exit status 1 when anything is lost or
unexplained.
"""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from pathlib import Path

from tests import databases
from tests.faults.soak.run import Plan, Verdict, soak

SHARES = {"postgresql": 0.75, "sqlite": 0.25}
"""How much of the time each engine is given."""
MOST_A_SECOND = 500
"""More queries than that the consents do not allow; what is beyond is refused, as it must be."""


def main() -> int:
    """Soak both engines; the exit status."""
    seconds = float(os.environ.get("SOAK_SECONDS") or 600)
    seed = int(os.environ.get("SOAK_SEED") or secrets.randbelow(1_000_000))
    say(f"soak: {seconds:.0f} s, SOAK_SEED={seed}")
    found = []
    try:
        for engine, share in SHARES.items():
            with tempfile.TemporaryDirectory(prefix="chengxin-soak-") as folder:
                plan = Plan(engine, seconds * share, seed, queries=int(seconds * share * MOST_A_SECOND))
                verdict = soak(plan, Path(folder), say)
            found.append(verdict)
            show(verdict)
    finally:
        databases.RUN.closing.close()
    wrong = sum(len(verdict.wrong) for verdict in found)
    say("nothing lost, nothing unexplained" if not wrong else f"FAILED: {wrong} findings, SOAK_SEED={seed}")
    return 1 if wrong else 0


def show(verdict: Verdict) -> None:
    """Its summary, and what is wrong."""
    for line in (*verdict.lines, *(f"  WRONG     {line}" for line in verdict.wrong[:50])):
        say(line)


def say(line: str) -> None:
    """Print at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
