"""Identifiers in their one form, and the keyed blind index by which they are found.

Invariant: two spellings of one identifier give one blind index, two identifiers never do, and
without the custody key the index says nothing: the 10^17 possible citizen numbers could be
tried against a plain hash in hours.

The citizen number (公民身份号码) is GB 11643-1999: six digits of place, eight of birth date, three of
sequence, one check character. Place codes are not looked up: counties are merged and renamed, and numbers
keep the code of their day. The unified social credit code (统一社会信用代码, USCC) is GB 32100-2015.
"""

from __future__ import annotations

import re
from datetime import date

from stdnum.cn import ric, uscc
from stdnum.exceptions import ValidationError

from keys.custody import Custody
from keys.errors import BadIdentifier, Malformed

_CITIZEN_NUMBER = re.compile(r"[1-9][0-9]{16}[0-9X]")
_USCC = re.compile(r"[0-9A-Z]{18}")


def canonical_citizen_number(text: str) -> str:
    """The 18 characters, trimmed, with an upper-case X.

    Raises BadIdentifier unless date and check digit hold.
    """
    number = text.strip().upper()
    if _CITIZEN_NUMBER.fullmatch(number) is None:
        raise BadIdentifier("a citizen number has 17 digits and a digit or X")
    try:
        date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        raise BadIdentifier("the citizen number holds no calendar date") from None
    if ric.calc_check_digit(number) != number[-1]:
        raise BadIdentifier("the check digit of the citizen number is wrong")
    return number


def canonical_uscc(text: str) -> str:
    """The 18 characters of a unified social credit code, trimmed, upper-case. Raises BadIdentifier."""
    code = text.strip().upper()
    if _USCC.fullmatch(code) is None:
        raise BadIdentifier("a social credit code has 18 digits and capital letters")
    try:
        return str(uscc.validate(code))
    except ValidationError:
        raise BadIdentifier("the social credit code or its check character is wrong") from None


def index_key_name(version: int) -> str:
    """Custody's name for the key of an index version: `index-1`."""
    return f"index-{version}"


def blind_index(custody: Custody, version: int, domain: str, value: bytes) -> bytes:
    """HMAC-SHA-256 over domain || 0x00 || value, 32 bytes; `domain` keeps kinds of identifier apart.

    `value` is the canonical identifier. Raises UnknownKeyName when custody lacks that version's key.
    """
    if not domain.isascii() or "\0" in domain:
        raise Malformed("an index domain is ASCII without NUL")
    return custody.mac(index_key_name(version), domain.encode("ascii") + b"\0" + value)
