"""The page shows every figure, and what missed its target as plainly as what reached it."""

from __future__ import annotations

from pathlib import Path

from tests.bench import fields
from tests.bench.appends import Appended
from tests.bench.offline import Verified
from tests.bench.queries import GATEWAY, OPPONENTS, Played, Sample
from tests.bench.results import BY_HAND, write
from tests.bench.targets import Results, targets

KIND = {"n": 9, "median_ms": 1.0, "q1_ms": 1.0, "q3_ms": 1.0, "p99_ms": 1.0}
PAIR = {"median_difference_ms": 0.5, "ks": 0.1, "ks_p": 0.9, "superiority": 0.5, "mw_p": 0.8}
TIMING = {
    "each": 9,
    "kinds": {"no consent": KIND, "unknown person": KIND},
    "pairs": [PAIR | {"first": "unknown person", "second": "no consent", "control": False}],
}


def _sample(rate: float) -> Sample:
    return Sample(rate, 64 / rate, 128 / rate, 1 / rate, 2 / rate, 1e-5, 4000)


def _results(gateway: float) -> Results:
    rates = {GATEWAY: gateway, "plain": 100.0, "crud": 300.0, "floor": 1500.0, "raw floor": 3000.0}
    samples = {
        (name, connections): [_sample(rates[name] * (1 + n / 10)) for n in range(3)]
        for name in (GATEWAY, *OPPONENTS)
        for connections in (1, 16, 64)
    }
    played = Played(samples, dict.fromkeys(rates, "gthread"), [1e-4, 2e-4, 3e-4])
    spent = {fields.RAW: ([1e-6], [1e-6]), fields.OURS: ([2e-6], [1e-6]), "Fernet": ([9e-6], [9e-6])}
    fast = Verified(1000, 0.001, 1 << 20)
    return Results(
        [("cores", "2")],
        played,
        Appended([9_000.0], [2.0]),
        Appended([20_000.0], [2.0]),
        spent,
        fast,
        fast,
        TIMING,
    )


def _reached(results: Results) -> dict[str, bool]:
    return {target.name: target.reached for target in targets(results)}


def test_a_target_is_reached_or_it_is_not() -> None:
    fast, slow = _reached(_results(1500)), _reached(_results(150))
    for name in ("gateway / plain", "gateway / crud", "gateway / floor", "p99, beside plain's p50"):
        assert (fast[name], slow[name]) == (True, False), name
    assert not fast["durable appends a second, PostgreSQL, 64 writers"]
    assert fast["durable appends a second, SQLite, 64 writers"]
    assert not fast["sealing a field, of raw AES-GCM's speed"]


def test_the_page_shows_all_of_it_and_keeps_what_was_written_by_hand(tmp_path: Path) -> None:
    file = tmp_path / "RESULTS.md"
    first = write(_results(1500), file)
    assert first.endswith(f"{BY_HAND}\n")
    file.write_text(first + "\nBecause of the disk.\n")
    text = write(_results(200), file)
    assert text.endswith(f"{BY_HAND}\n\nBecause of the disk.\n")
    assert "| gateway / plain | 2.00 (2.00 to 2.00) | >= 10.0 | **not reached** |" in text
    for target in targets(_results(200)):
        assert f"| {target.name} |" in text
    assert "| unknown person, no consent | +0.500 |" in text
    for name in (GATEWAY, *OPPONENTS):
        assert text.count(f"| {name} | gthread |") == 3
