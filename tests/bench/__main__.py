"""`make bench`: everything that is measured, in one run, written to RESULTS.md.

`BENCH_QUICK=1` runs each part shortly and prints its page without keeping it: it tells whether the bench
works, not how fast anything is. `BENCH_LEAVES` is the size of the log that is verified offline. Do nothing
else on the machine meanwhile.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests import databases
from tests.bench import appends, fields, indistinguishable, offline, queries
from tests.bench.cluster import durable_postgres, postmaster
from tests.bench.facts import facts
from tests.bench.results import page, write
from tests.bench.serving import end_in_order
from tests.bench.targets import Results
from tests.bench.town import new_town

PAGE: Final = Path(__file__).with_name("RESULTS.md")


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything. `rounds` is by connections; seconds are those of one round."""

    people: int
    rounds: Mapping[int, int]
    seconds: float
    append_seconds: float
    append_rounds: int
    field_rounds: int
    leaves: int
    asked: int
    """How often for each kind of refusal."""


FULL: Final = Plan(600, {1: 3, 16: 3, 64: 7}, 3.0, 4.0, 5, 9, 1_000_000, 1_500)
QUICK: Final = Plan(40, {1: 1, 16: 1, 64: 1}, 0.5, 1.0, 1, 2, 20_000, 50)


def main() -> None:
    """Measure, write, say where."""
    end_in_order()
    quick = os.environ.get("BENCH_QUICK", "") not in ("", "0", "no", "false")
    plan = QUICK if quick else FULL
    leaves = int(os.environ.get("BENCH_LEAVES") or plan.leaves)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="chengxin-bench-") as folder, durable_postgres() as postgres:
        results = measure(plan, leaves, Path(folder), postgres)
    if quick:
        say(page(results))
    else:
        write(results, PAGE)
        say(f"{PAGE} written in {(time.monotonic() - begun) / 60:.1f} minutes")


def measure(plan: Plan, leaves: int, folder: Path, postgres: databases.Postgres) -> Results:
    """Everything, one after the other; nothing runs beside what is measured."""
    say(f"a log of {leaves:,} leaves, verified offline")
    exported = folder / "log"
    vkey = offline.make(exported, leaves)
    tree = offline.verify(exported, vkey, leaves, replayed=False)
    replay = offline.verify(exported, vkey, leaves, replayed=True)
    say("field encryption")
    sealed = fields.measure(plan.field_rounds)
    say("durable appends")
    seconds, rounds = plan.append_seconds, plan.append_rounds
    on_sqlite = appends.on_sqlite(folder / "sqlite", seconds, rounds)
    on_postgresql = appends.on_postgresql(postgres, folder / "postgresql", seconds, rounds)
    say(f"queries: {plan.people} people are settled first")
    with new_town(postgres, folder / "home", plan.people) as town:
        played = queries.play(postgres, postmaster(postgres), town, plan.rounds, plan.seconds, say)
        say("times of refusals")
        timing = indistinguishable.measure(town, plan.asked)
    return Results(facts(postgres), played, on_postgresql, on_sqlite, sealed, tree, replay, timing)


def say(text: str) -> None:
    """Print at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
