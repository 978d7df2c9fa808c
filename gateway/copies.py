"""Copies of custody (备份): each stands in the ledger before it leaves, and again once it is destroyed.

Invariant: an epoch's key is destroyed only when every copy that holds it is attested as destroyed too; so a
copy that nobody recorded cannot be made by command. What is attested is the operator's word, which the ledger
keeps.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gateway import rows
from gateway.errors import EvidenceBroken, GatewayError
from gateway.tables import custody_copies
from ledger.log import Entry
from ledger.tables import ledger_leaves

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.house import House
    from gateway.transaction import Transaction

KEPT, DESTROYED = "made", "destroyed"
MAX_LABEL = 64


class CopyRefused(GatewayError):
    """No such copy, or one that is attested already; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy that was made at leaf `made`; `changed` is the leaf that last spoke of it."""

    copy: str
    label: str
    epochs: tuple[int, ...]
    state: str
    made: int
    changed: int


def announce_copy(
    house: House, copy: str, label: str, epochs: Sequence[int], shares: int, threshold: int
) -> Entry:
    """Say that a copy with the keys of these epochs is about to leave, its root in so many shares."""
    if not 0 < len(label) <= MAX_LABEL or not label.isprintable():
        raise CopyRefused(f"a label is 1 to {MAX_LABEL} printable characters: say where the copy is kept")
    body = {
        "copy": copy,
        "event": "made",
        "epochs": list(epochs),
        "shares": shares,
        "threshold": threshold,
    }
    return house.transact(partial(_announce, label=label, body=body), seals=False)


def _announce(tx: Transaction, label: str, body: dict[str, Any]) -> Entry:
    entry = tx.append("key.backup", body, about=rows.about(custody_copies, str(body["copy"])))
    row = {
        "copy": body["copy"],
        "label": label,
        "epochs": " ".join(map(str, body["epochs"])),
        "made_index": entry.index,
        "state": KEPT,
    }
    tx.conn.execute(custody_copies.insert(), tx.protect(custody_copies, row, entry))
    return entry


def attest_destroyed(house: House, copy: str) -> Entry:
    """Record that a copy was destroyed wherever it was. `CopyRefused` unless it is one that is kept."""
    return house.transact(partial(_attest, copy=copy), seals=False)


def _attest(tx: Transaction, copy: str) -> Entry:
    house = tx.house
    found = rows.read_evident(tx.conn, custody_copies, "copy", [copy], house.shard)
    if not found:
        raise CopyRefused(f"there is no copy {copy}: see `chengxin keys copies`")
    rows.require_evident(house.custody, custody_copies, found[0])
    if found[0]["state"] != KEPT:
        raise CopyRefused(f"the copy {copy} is attested as destroyed already")
    body = {"copy": copy, "event": "destroyed"}
    entry = tx.append("key.backup", body, about=rows.about(custody_copies, copy))
    row = {**rows.columns_of(custody_copies, found[0]), "state": DESTROYED}
    changed = sa.update(custody_copies).where(custody_copies.c.copy == copy)
    tx.conn.execute(changed.values(tx.protect(custody_copies, row, entry)))
    return entry


def copies(house: House, conn: sa.Connection) -> list[Copy]:
    """All copies there ever were, in the order of their making.

    `EvidenceBroken` when a copy's row was changed, or is missing although a leaf speaks of it.
    """
    names = {*conn.scalars(sa.select(custody_copies.c.copy)), *_spoken_of(house, conn)}
    found = rows.read_evident(conn, custody_copies, "copy", names, house.shard)
    if names != {row["copy"] for row in found}:
        raise EvidenceBroken("a copy of custody that the ledger speaks of is missing")
    for row in found:
        rows.require_evident(house.custody, custody_copies, row)
    made = [
        Copy(
            row["copy"],
            row["label"],
            tuple(map(int, row["epochs"].split())),
            row["state"],
            row["made_index"],
            row["changed_index"],
        )
        for row in found
    ]
    return sorted(made, key=lambda copy: copy.made)


def kept_with(house: House, conn: sa.Connection, epoch: int) -> list[Copy]:
    """The copies that hold the key of an epoch and are not attested as destroyed; raises as `copies` does."""
    return [copy for copy in copies(house, conn) if epoch in copy.epochs and copy.state != DESTROYED]


def _spoken_of(house: House, conn: sa.Connection) -> set[str]:
    """Every copy that a leaf speaks of."""
    named, leaves = rows.about(custody_copies, ""), ledger_leaves.c
    said = sa.select(leaves.about).where(
        leaves.shard == house.shard, leaves.type == "key.backup", leaves.about.like(f"{named}%")
    )
    return {name.removeprefix(named) for name in conn.scalars(said)}
