"""The figures as a page: medians with their spread, beside the targets, reached or not.

Invariant: every figure of the page comes from this run; a figure that misses its target is shown like any
other. What somebody wrote by hand about those that do (`BY_HAND`) is kept from the page before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tests.bench.queries import GATEWAY, OPPONENTS, Played, Sample
from tests.bench.targets import Results, count, plainly, ratio, spread, targets, verifications

BY_HAND: Final = "## What was not reached, and why"
_INTRODUCTION: Final = """\
Written by `make bench`; do not edit above the last heading. Every figure is the median of its rounds, and
behind it stands the spread (least to most). Rounds of all contestants are interleaved. `README.md` beside
this page says what is measured, and how."""


def page(results: Results, before: str = "") -> str:
    """The whole page; `before` is the one that it replaces."""
    parts = [
        "# Results",
        _INTRODUCTION,
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC.",
        table(["on", ""], [list(fact) for fact in results.facts]),
        "## Against the targets",
        table(["figure", "measured", "target", ""], [target.row() for target in targets(results)]),
        "## Queries",
        *_queries(results.played),
        "## Durable appends, 64 writers",
        table(
            ["entries a second", "served by one thread of each process", "a thread each"],
            [
                [name, spread(one.together, count), spread(one.crowded, count)]
                for name, one in (("PostgreSQL", results.postgresql), ("SQLite", results.sqlite))
            ],
        ),
        "## Field encryption, 300 bytes",
        table(["", "seal, us", "open, us"], [_field(name, *times) for name, times in results.fields.items()]),
        "## Offline verification",
        _offline(results),
        "## Times of refusals",
        *_timing(results.timing),
    ]
    _, found, kept = before.partition(BY_HAND)
    parts.append(f"{BY_HAND}{kept.rstrip()}" if found else BY_HAND)
    return "\n\n".join(parts) + "\n"


def _queries(played: Played) -> list[str]:
    verify = spread([1e6 * one for one in played.verify], plainly)
    parts = [f"One PyNaCl Ed25519 verification took {verify} us of CPU."]
    for connections in sorted({connections for _, connections in played.samples}):
        rows = [
            _contestant(name, played.servers[name], played.samples[name, connections])
            for name in (GATEWAY, *OPPONENTS)
        ]
        ratios = ", ".join(
            f"{name} {spread(ratio(played, name, connections), plainly)}" for name in OPPONENTS
        )
        head = [
            "",
            "server",
            "queries/s",
            "p50, ms",
            "p99, ms",
            "CPU/query, us",
            "of the machine, us",
            "generator, us",
        ]
        parts += [f"### {connections} connection{'s' if connections > 1 else ''}", table(head, rows)]
        cost = spread(verifications(played, connections), plainly)
        parts.append(f"The gateway over each: {ratios}. Machine CPU per query, in verifications: {cost}.")
    return parts


def _contestant(name: str, server: str, samples: Sequence[Sample]) -> list[str]:
    def of(value: Callable[[Sample], float], form: Callable[[float], str]) -> str:
        return spread([value(one) for one in samples], form)

    return [
        name,
        server,
        of(lambda one: one.rate, count),
        of(lambda one: 1e3 * one.p50, plainly),
        of(lambda one: 1e3 * one.p99, plainly),
        of(lambda one: 1e6 * one.trees, count),
        of(lambda one: 1e6 * one.machine, count),
        of(lambda one: 1e6 * one.generator, count),
    ]


def _field(name: str, sealing: list[float], opening: list[float]) -> list[str]:
    return [name, *(spread([1e6 * one for one in times], plainly) for times in (sealing, opening))]


def _offline(results: Results) -> str:
    rows = [
        [name, count(one.leaves), f"{one.seconds:.1f}", count(one.rate), count(one.peak / 2**20)]
        for name, one in (("chain and tree", results.tree), ("enforcement replayed too", results.replay))
    ]
    return table(["", "leaves", "seconds", "leaves/s", "memory, MiB"], rows)


def _timing(found: dict[str, Any]) -> list[str]:
    """Medians and quartiles of each kind of refusal; how far each two of them lie apart."""
    kinds = [
        [kind, *(f"{said[name]:.2f}" for name in ("median_ms", "q1_ms", "q3_ms", "p99_ms"))]
        for kind, said in found["kinds"].items()
    ]
    pairs = [
        [
            f"{pair['first']}, {pair['second']}",
            f"{pair['median_difference_ms']:+.3f}",
            *(f"{pair[name]:.3f}" for name in ("ks", "ks_p", "superiority", "mw_p")),
        ]
        for pair in found["pairs"]
    ]
    said = f"Each asked {found['each']:,} times, shuffled, over one connection; the answered are the control."
    return [
        said,
        table(["", "median, ms", "first quartile", "third quartile", "p99"], kinds),
        table(["pair", "difference of medians, ms", "KS", "p", "P(second later)", "p"], pairs),
    ]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write(results: Results, file: Path) -> str:
    """Replace the page; gives it back."""
    text = page(results, file.read_text(encoding="utf-8") if file.exists() else "")
    file.write_text(text, encoding="utf-8")
    return text
