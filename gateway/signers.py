"""The gateway's own signing keys: which of those in custody the ledger published, and for which indices.

Invariant: a key is used only as its published row says, whose evidence is checked each time. Custody names a
key `<use>` or `<use>-<n>`, the newest highest; one that no row names is a successor whose rotation did not
come to its leaf yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import sqlalchemy as sa

from gateway.institutions.published import listed, public_key
from gateway.receipts import RECEIPT_KEY, CustodySigner, Receipts, custody_signer
from keys.canonical import parse_canonical, unb64u
from keys.custody import Custody
from keys.errors import UnknownKeyName
from keys.notes import Vkey, make_vkey
from ledger.logkeys import LogKey, LogKeys

if TYPE_CHECKING:
    from gateway.house import House

CHECKPOINT_KEY = "checkpoint"
OwnUse: TypeAlias = Literal["checkpoint", "receipt"]


def names_of(custody: Custody, use: str) -> list[str]:
    """The names in custody of keys of this use, oldest first."""
    numbered = [(number_of(name), name) for name in custody.names() if _is_of(name, use)]
    return [name for _, name in sorted(numbered)]


def number_of(name: str) -> int:
    """The number in a name of custody; a name without one is the first's."""
    return int(name.partition("-")[2] or 1)


def signers_of(custody: Custody, use: str) -> dict[str, CustodySigner]:
    """Thumbprint -> signer, of every key of this use in custody, oldest first."""
    signers = (custody_signer(custody, name) for name in names_of(custody, use))
    return {signer.kid: signer for signer in signers}


def receipts_of(house: House, conn: sa.Connection) -> Receipts:
    """The signer of receipts, as the ledger says by now: unusable when custody lacks the key in force."""
    held = signers_of(house.custody, RECEIPT_KEY)
    rows = listed(house, conn, RECEIPT_KEY)
    found = tuple((_since(rows, row), held[row["kid"]]) for row in rows if row["kid"] in held)
    usable = bool(rows) and rows[-1]["ended_index"] is None and rows[-1]["kid"] in held
    return Receipts(house.origin, found if usable else ())


def log_keys(house: House, conn: sa.Connection) -> LogKeys:
    """The keys that sign this log's checkpoints, each with its range."""
    rows = listed(house, conn, CHECKPOINT_KEY)
    return LogKeys(
        tuple(LogKey(_vkey(house.origin, row), _since(rows, row), row["ended_index"]) for row in rows)
    )


def sign_note_with(custody: Custody, vkey: Vkey, message: bytes) -> bytes:
    """The signature (64 bytes) of a checkpoint's text by the key that `vkey` verifies."""
    for name in reversed(names_of(custody, CHECKPOINT_KEY)):
        if custody.public(name) == vkey.public:
            return custody.sign(name, message)
    raise UnknownKeyName("custody does not hold the checkpoint key that is in force")


def _vkey(origin: str, row: Mapping[str, Any]) -> Vkey:
    public_key(row)  # whole, and on the curve
    return make_vkey(origin, unb64u(parse_canonical(row["public"].encode())["x"], 32))


def _since(rows: list[Mapping[str, Any]], row: Mapping[str, Any]) -> int:
    """The first key of a log counts from its first leaf on, which is before its own."""
    return 0 if row is rows[0] else int(row["since"])


def _is_of(name: str, use: str) -> bool:
    family, _, number = name.partition("-")
    return family == use and (not number or number.isdecimal())
