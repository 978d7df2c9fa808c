"""What a lane reckons with texts is what the rules reckon with numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from keys.instant import DAY, format_instant, parse_instant
from ledger.verify.taking import _lasts

BEGIN = parse_instant("2026-02-27T23:59:59.999Z")


@given(
    st.integers(0, 800 * DAY).map(lambda since: BEGIN + since),
    st.integers(0, 400),
    st.integers(-2, 2) | st.integers(-DAY, DAY),
    st.integers(0, 400),
)
def test_a_consent_lasts_as_long_as_the_rule_says(begin: int, days: int, more: int, most: int) -> None:
    """The last millisecond counts."""
    end = begin + days * DAY + more
    lasts = _lasts(format_instant(begin).encode(), format_instant(end).encode(), most)
    assert lasts is (0 < end - begin <= most * DAY)
    lasts = _lasts(format_instant(begin).encode(), format_instant(end).encode(), days)
    assert lasts is (0 < end - begin <= days * DAY)
