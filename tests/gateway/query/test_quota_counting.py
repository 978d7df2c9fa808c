"""The counting of quotas, pure: windows, limits, what is broken, and when there is room again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.quotas import WINDOW_MS, Quota
from gateway.query.quota import Count, Key, take, wait
from keys.instant import DAY, HOUR, MINUTE

AT = 1_795_000_000_000
OPERATOR = Quota(scope="operator", per="minute", limit=3)
PURPOSE = Quota(scope="purpose", purpose="02", per="day", limit=5)
BOTH = ((OPERATOR, "op"), (PURPOSE, "bank"))
OF_OPERATOR = Key("operator", "op", "", "minute")
OF_PURPOSE = Key("purpose", "bank", "02", "day")


def test_exactly_the_limit_is_let_through() -> None:
    counts: dict[Key, Count] = {}
    taken = [take(counts, [(OPERATOR, "op")], AT) is None for _ in range(20)]
    assert taken == [True] * 3 + [False] * 17
    assert counts[OF_OPERATOR].count == 3


def test_an_ask_counts_against_all_of_its_quotas_or_none() -> None:
    counts: dict[Key, Count] = {}
    for _ in range(5):
        take(counts, BOTH, AT)
    assert (counts[OF_OPERATOR].count, counts[OF_PURPOSE].count) == (3, 3)


def test_a_full_window_is_empty_again_at_its_end_and_not_before() -> None:
    begun = AT // MINUTE * MINUTE
    counts = {OF_OPERATOR: Count(AT // MINUTE, 3)}
    assert wait(counts, [(OPERATOR, "op")], begun) == 60
    assert wait(counts, [(OPERATOR, "op")], begun + 1) == 60
    assert wait(counts, [(OPERATOR, "op")], begun + MINUTE - 1) == 1
    assert take(counts, [(OPERATOR, "op")], begun + MINUTE) is None
    assert counts[OF_OPERATOR] == Count(AT // MINUTE + 1, 1)


def test_the_longest_wait_is_told() -> None:
    full = {OF_OPERATOR: Count(AT // MINUTE, 3), OF_PURPOSE: Count(AT // DAY, 5)}
    assert wait(full, BOTH, AT) == -(-(DAY - AT % DAY) // 1000)


@pytest.mark.parametrize(
    "found",
    [
        Count(0, 0, sound=False),  # its MAC fails
        Count(AT // MINUTE, -1),
        Count(AT // MINUTE + 1, 0),  # a window that has not begun
    ],
)
def test_a_counter_that_cannot_be_ours_counts_as_full(found: Count) -> None:
    counts = {OF_OPERATOR: found}
    assert wait(counts, [(OPERATOR, "op")], AT) is not None
    assert take(counts, [(OPERATOR, "op")], AT) is not None
    assert counts == {OF_OPERATOR: found}


@given(
    st.lists(st.integers(0, 3 * HOUR), max_size=60).map(sorted),
    st.sampled_from(["minute", "hour", "day"]),
    st.integers(1, 5),
)
def test_no_window_ever_holds_more_than_its_limit_and_none_is_cut_short(
    times: list[int], per: str, limit: int
) -> None:
    quota = Quota(scope="operator", per=per, limit=limit)  # type: ignore[arg-type]
    counts: dict[Key, Count] = {}
    passed: dict[int, int] = {}
    asked: dict[int, int] = {}
    for at in times:
        window = at // WINDOW_MS[quota.per]
        asked[window] = asked.get(window, 0) + 1
        if take(counts, [(quota, "op")], at) is None:
            passed[window] = passed.get(window, 0) + 1
    assert passed == {window: min(count, limit) for window, count in asked.items()}
