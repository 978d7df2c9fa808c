"""Points in time: integers of milliseconds since the Unix epoch, written in exactly one RFC 3339 form.

Invariant: `parse_instant(format_instant(ms)) == ms` for every instant from 1970 to 9999, and no other text
parses. UTC only, three decimals, upper-case T and Z, no leap second (the Unix count has none).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TypeAlias

from keys.errors import Malformed

Instant: TypeAlias = int

SECOND: Instant = 1_000
MINUTE: Instant = 60 * SECOND
HOUR: Instant = 60 * MINUTE
DAY: Instant = 24 * HOUR
LAST_INSTANT: Instant = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LENGTH = len("2026-11-21T08:00:00.000Z")
_FORM = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})\.([0-9]{3})Z")


@lru_cache(maxsize=1024)
def format_instant(ms: Instant) -> str:
    """`2026-11-21T08:00:00.000Z`. Raises Malformed outside 1970 to 9999."""
    if not 0 <= ms <= LAST_INSTANT:
        raise Malformed("an instant lies between the years 1970 and 9999")
    moment = _EPOCH + ms * _MILLISECOND
    return f"{moment.isoformat(timespec='milliseconds')[:23]}Z"


def parse_instant(text: object) -> Instant:
    """Milliseconds since the Unix epoch, of any JSON value in the one form.

    Raises Malformed, also for 30 February.
    """
    # The length first: what is remembered below is small, whatever is sent here.
    if not isinstance(text, str) or len(text) != _LENGTH:
        raise Malformed("a time is written 2026-11-21T08:00:00.000Z")
    return _read(text)


@lru_cache(maxsize=1024)
def _read(text: str) -> Instant:
    """The same of 24 characters: the leaves of a batch, and a leaf and its receipt, are of one time."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise Malformed("a time is written 2026-11-21T08:00:00.000Z")
    try:
        moment = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    except ValueError as error:
        raise Malformed("no such calendar time") from error
    ms = (moment - _EPOCH) // _MILLISECOND + int(match[2])
    if ms < 0:
        raise Malformed("an instant lies between the years 1970 and 9999")
    return ms
