"""Quotas are counted in windows of the leaves' own time, and each ask against those that are its own."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.policy import default_policy
from consent.quotas import WINDOW_MS, Per, Quota, quotas_for, window, window_end
from keys.instant import parse_instant
from tests.consent.asking import BANK, DEMO

AT = parse_instant("2026-11-21T15:59:59.999Z")
EACH_OPERATOR = Quota(scope="operator", per="minute", limit=3)
EACH_BANK = Quota(scope="institution", per="day", limit=9)
FOR_02 = Quota(scope="purpose", purpose="02", per="day", limit=5)
FOR_22 = Quota(scope="purpose", purpose="22", per="day", limit=1)


def test_an_ask_counts_against_its_operator_its_institution_and_its_purpose_alone() -> None:
    rows = (EACH_BANK, EACH_OPERATOR, FOR_02, FOR_22)
    assert quotas_for(rows, BANK, "op-1", "02") == (
        (EACH_BANK, BANK),
        (EACH_OPERATOR, "op-1"),
        (FOR_02, BANK),
    )
    assert quotas_for(rows, BANK, "op-1", "03") == ((EACH_BANK, BANK), (EACH_OPERATOR, "op-1"))
    assert quotas_for((), BANK, "op-1", "02") == ()
    assert DEMO.quotas_for(BANK, "op-1", "22") == quotas_for(DEMO.quotas, BANK, "op-1", "22") != ()


@pytest.mark.parametrize(
    ("per", "ends"),
    [
        ("minute", "2026-11-21T16:00:00.000Z"),
        ("hour", "2026-11-21T16:00:00.000Z"),
        ("day", "2026-11-22T00:00:00.000Z"),
    ],
)
def test_windows_are_whole_ones_of_utc_whatever_the_day_in_china(per: Per, ends: str) -> None:
    assert window_end(per, AT) == parse_instant(ends)
    assert window(per, parse_instant(ends)) == window(per, AT) + 1


@given(st.sampled_from(sorted(WINDOW_MS)), st.integers(0, 2**52))
def test_every_instant_lies_in_the_one_window_that_ends_after_it(per: Per, at: int) -> None:
    end = window_end(per, at)
    assert end - WINDOW_MS[per] <= at < end
    assert window(per, end - 1) == window(per, at) != window(per, end)


@pytest.mark.parametrize(
    "members",
    [
        {"scope": "purpose", "per": "day", "limit": 1},
        {"scope": "operator", "purpose": "02", "per": "day", "limit": 1},
        {"scope": "operator", "per": "week", "limit": 1},
        {"scope": "operator", "per": "day", "limit": 0},
        {"scope": "sector", "per": "day", "limit": 1},
        {"scope": "operator", "per": "day"},
        {"scope": "operator", "per": "day", "limit": 1, "burst": 2},
    ],
)
def test_a_quota_that_says_too_little_or_too_much_is_refused(members: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(members, Quota)


def test_the_shipped_quotas_limit_every_operator_and_every_institution() -> None:
    for demo in (True, False):
        scopes = {quota.scope for quota, _ in default_policy(demo=demo).quotas_for(BANK, "op-1", "02")}
        assert scopes == {"operator", "institution"}
