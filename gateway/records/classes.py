"""Which data key a record is sealed under: one for each retention class, and in it for each end of a term.

Invariant: records of one person that are to be erased on different days never share a key, so that erasing
what is past its term leaves everything else as it was, in every backup too. The name says nothing of the day,
for what is erased is named in the ledger. (Before 0.3 they shared one: `gateway.records.reseal`.)

    without a term  the catalogue's class, such as `current`
    with one        the same || `-` || hex(HMAC-SHA-256(`rows-1`, lp("record-term", subject, end in ms))[:6])
"""

from __future__ import annotations

import re
from typing import Final

from gateway.rows import ROW_KEY
from keys.custody import Custody
from keys.fields import length_prefixed

_SHOWN: Final = 6
_TERM: Final = re.compile(r"-[0-9a-f]{12}\Z")


def class_of(custody: Custody, klass: str, subject: bytes, shown_until: int | None) -> str:
    """The class of a record of the catalogue's class `klass`, shown until then (ms), or without end."""
    if shown_until is None:
        return klass
    ends = length_prefixed(b"record-term", subject, shown_until.to_bytes(8, "big", signed=True))
    return f"{klass}-{custody.mac(ROW_KEY, ends)[:_SHOWN].hex()}"


def retention_class(klass: str) -> str:
    """The catalogue's retention class that a stored class belongs to."""
    return _TERM.sub("", klass)
