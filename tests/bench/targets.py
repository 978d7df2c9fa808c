"""The figures that have a target, and whether each reached it.

Invariant: a target is held against the median of its rounds; every figure is listed, reached or not.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.bench import fields
from tests.bench.appends import Appended
from tests.bench.offline import PEAK_LIMIT, Verified
from tests.bench.queries import GATEWAY, Played

MOST_CONNECTIONS: Final = 64
"""Where the targets about queries are measured."""

IN_VERIFICATIONS: Final = "machine CPU per query / one PyNaCl Ed25519 verification"


@dataclass(slots=True)
class Results:
    """Everything that was measured. Rates in a second, times in seconds."""

    facts: list[tuple[str, str]]
    played: Played
    postgresql: Appended
    sqlite: Appended
    fields: dict[str, tuple[list[float], list[float]]]
    tree: Verified
    replay: Verified
    timing: dict[str, Any]
    """What `indistinguishable.measure` found."""


@dataclass(frozen=True, slots=True)
class Target:
    """A figure against its target: `values` are its rounds; `least` or `most` is what it should keep to."""

    name: str
    values: list[float]
    form: Callable[[float], str]
    least: float | None = None
    most: float | None = None

    @property
    def reached(self) -> bool:
        value = statistics.median(self.values)
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def row(self) -> list[str]:
        wanted = (
            f">= {self.form(self.least)}" if self.least is not None else f"<= {self.form(self.most or 0)}"
        )
        return [
            self.name,
            spread(self.values, self.form),
            wanted,
            "reached" if self.reached else "**not reached**",
        ]


def targets(results: Results) -> list[Target]:
    """Each figure that has a target."""
    return [*_of_queries(results.played), *_of_ledger(results), *_of_fields(results), *_offline(results)]


def _of_queries(played: Played) -> list[Target]:
    plain = played.samples["plain", MOST_CONNECTIONS]
    late = [one.p99 for one in played.samples[GATEWAY, MOST_CONNECTIONS]]
    return [
        *(
            Target(f"gateway / {name}", ratio(played, name, MOST_CONNECTIONS), plainly, least=least)
            for name, least in (("plain", 10.0), ("crud", 4.0), ("floor", 0.7))
        ),
        Target(IN_VERIFICATIONS, verifications(played, MOST_CONNECTIONS), plainly, most=9.0),
        Target(
            "p99, beside plain's p50", late, milliseconds, most=statistics.median(one.p50 for one in plain)
        ),
    ]


def _of_ledger(results: Results) -> list[Target]:
    said = "durable appends a second, {}, 64 writers"
    return [
        Target(said.format("PostgreSQL"), results.postgresql.together, count, least=10_000),
        Target(said.format("SQLite"), results.sqlite.together, count, least=15_000),
    ]


def _of_fields(results: Results) -> list[Target]:
    listed = []
    for which, act in enumerate(("sealing", "opening")):
        times = {name: [1e6 * one for one in spent[which]] for name, spent in results.fields.items()}
        raw, ours = times.pop(fields.RAW), times.pop(fields.OURS)
        share = [one / other for one, other in zip(raw, ours, strict=True)]
        fastest = min(statistics.median(one) for one in times.values())
        listed += [
            Target(f"{act} a field, of raw AES-GCM's speed", share, plainly, least=0.6),
            Target(f"{act} a field, us, beside the fastest of the others", ours, plainly, most=fastest),
        ]
    return listed


def _offline(results: Results) -> list[Target]:
    replay, tree = results.replay, results.tree
    return [
        Target("offline: chain and tree, leaves a second", [tree.rate], count, least=600_000),
        Target("offline: enforcement replayed, leaves a second", [replay.rate], count, least=150_000),
        Target(
            f"offline: memory for {replay.leaves:,} leaves, MiB",
            [replay.peak / 2**20],
            count,
            most=PEAK_LIMIT / 2**20,
        ),
    ]


def ratio(played: Played, opponent: str, connections: int) -> list[float]:
    """The gateway's rate over an opponent's, round by round."""
    ours, theirs = played.samples[GATEWAY, connections], played.samples[opponent, connections]
    return [one.rate / other.rate for one, other in zip(ours, theirs, strict=True)]


def verifications(played: Played, connections: int) -> list[float]:
    """The machine's CPU for a query of the gateway, in PyNaCl verifications of the same run."""
    verify = statistics.median(played.verify)
    return [one.machine / verify for one in played.samples[GATEWAY, connections]]


def spread(values: Sequence[float], form: Callable[[float], str]) -> str:
    """The median, and the least and the most where there are several."""
    middle = form(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({form(min(values))} to {form(max(values))})"


def plainly(value: float) -> str:
    """Three figures that count."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def count(value: float) -> str:
    """A whole number."""
    return f"{value:,.0f}"


def milliseconds(value: float) -> str:
    """Seconds as milliseconds."""
    return f"{plainly(1e3 * value)} ms"
