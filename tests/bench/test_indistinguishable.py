"""The statistics of times: what is known of them by hand, and that they tell apart what lies apart."""

from __future__ import annotations

import random

import pytest

from tests.bench.indistinguishable import compare, ks_distance, mann_whitney, summary


def test_one_sample_twice_is_not_told_apart() -> None:
    sample = [random.Random(1).gauss(5, 1) for _ in range(200)]
    found = compare(sample, list(reversed(sample)))
    assert (found["ks"], found["superiority"], found["median_difference_ms"]) == (0, 0.5, 0)
    assert found["ks_p"] == found["mw_p"] == 1


def test_samples_that_do_not_overlap_are() -> None:
    found = compare([1.0, 2.0, 3.0] * 20, [4.0, 5.0, 6.0] * 20)
    assert (found["ks"], found["superiority"], found["median_difference_ms"]) == (1, 1, 3)
    assert max(found["ks_p"], found["mw_p"]) < 1e-12


def test_what_is_counted_by_hand() -> None:
    # Above 2: one of two against none of three; 3 and 4 are above 1 and 2, and 2 ties with 2.
    assert ks_distance([1, 2], [2, 3, 4]) == pytest.approx(2 / 3)
    assert mann_whitney([1, 2], [2, 3, 4]) == pytest.approx(5.5 / 6)
    assert summary([1.0, 2.0, 3.0, 4.0, 5.0])["q3_ms"] == 4


def test_a_table_of_kolmogorovs_distribution() -> None:
    """P(K > 1.3581) = 0.05 (Smirnov 1948); the distance itself comes in steps of a sample's 10,000th."""
    first = [float(n) for n in range(10_000)]
    second = [n + 10_000 * 1.3581 / 5_000**0.5 for n in first]
    found = compare(first, second)
    assert found["ks"] == pytest.approx(1.3581 / 5_000**0.5, abs=1e-4)
    assert found["ks_p"] == pytest.approx(0.05, abs=3e-3)


def test_a_shift_of_a_tenth_of_the_spread_is_found_in_enough_requests() -> None:
    chance = random.Random(2)
    first = [chance.gauss(5, 1) for _ in range(4_000)]
    second = [chance.gauss(5.1, 1) for _ in range(4_000)]
    found = compare(first, second)
    assert found["ks_p"] < 0.01
    assert found["mw_p"] < 0.01
