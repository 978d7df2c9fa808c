from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.errors import Malformed
from keys.instant import LAST_INSTANT, format_instant, parse_instant


@given(st.integers(0, LAST_INSTANT))
def test_round_trip(ms: int) -> None:
    text = format_instant(ms)
    assert parse_instant(text) == ms
    assert len(text) == 24


@given(st.datetimes(datetime.fromisoformat("1970-01-01"), timezones=st.just(UTC)))
def test_agrees_with_the_standard_library(moment: datetime) -> None:
    text = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert format_instant(parse_instant(text)) == text
    assert parse_instant(text) // 1000 == int(moment.replace(microsecond=0).timestamp())


def test_known_instants() -> None:
    assert format_instant(0) == "1970-01-01T00:00:00.000Z"
    assert format_instant(LAST_INSTANT) == "9999-12-31T23:59:59.999Z"
    assert parse_instant("2026-11-21T08:00:00.000Z") == 1_795_248_000_000
    assert parse_instant("2024-02-29T00:00:00.001Z") == 1_709_164_800_001


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T08:00:00Z",
        "2026-11-21T08:00:00.00Z",
        "2026-11-21T08:00:00.0000Z",
        "2026-11-21T08:00:00.000z",
        "2026-11-21t08:00:00.000Z",
        "2026-11-21 08:00:00.000Z",
        "2026-11-21T08:00:00.000+00:00",
        "2026-11-21T08:00:00,000Z",
        "2026-11-21T08:00:00.000Z\n",
        "2026-02-29T00:00:00.000Z",
        "2026-13-01T00:00:00.000Z",
        "2026-11-21T24:00:00.000Z",
        "2026-11-21T23:59:60.000Z",
        "1969-12-31T23:59:59.999Z",
        "0000-01-01T00:00:00.000Z",
        "２０２６-11-21T08:00:00.000Z",
        "",
        None,
        1_795_248_000_000,
    ],
    ids=repr,
)
def test_any_other_spelling_is_refused(text: object) -> None:
    with pytest.raises(Malformed):
        parse_instant(text)


@pytest.mark.parametrize("ms", [-1, LAST_INSTANT + 1])
def test_instants_without_a_spelling_are_refused(ms: int) -> None:
    with pytest.raises(Malformed):
        format_instant(ms)
