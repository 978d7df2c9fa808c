"""Held grants: one consent's row, evident, with the person it belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gateway import rows
from gateway.errors import EvidenceBroken, Rejected
from gateway.people.subjects import Subject, find_by_tag
from gateway.tables import grants
from gateway.transaction import Transaction
from ledger.bodies import ConsentWithdrawn
from ledger.entries import parse_leaf
from ledger.log import Entry
from ledger.rows import read_leaf

if TYPE_CHECKING:
    from gateway.house import House


def grant_row(house: House, conn: sa.Connection, consent: str, **own: object) -> dict[str, Any] | None:
    """One evident grant whose columns are as in `own`, or None; the decoy is nobody's.

    One that is not so is not authenticated either, so that it takes no longer than one that is not there.
    """
    if consent == house.decoy.consent:
        return None
    found = rows.read_evident(conn, grants, "consent", [consent], house.shard)
    if not found or any(found[0][name] != value for name, value in own.items()):
        return None
    rows.require_evident(house.custody, grants, found[0])
    return found[0]


def granted(house: House, conn: sa.Connection, consent: str) -> dict[str, Any]:
    """A grant's row. `Rejected` when there is none, `EvidenceBroken` if the ledger has one."""
    row = grant_row(house, conn, consent)
    if row is not None:
        return row
    if not _ended_with_its_person(house, conn, consent):
        raise EvidenceBroken("the ledger holds a grant whose row is gone")
    raise Rejected("not-found", "no such consent was granted")


def _ended_with_its_person(house: House, conn: sa.Connection, consent: str) -> bool:
    """Whether no leaf speaks of a consent, or the last one says that everything of its person was erased."""
    latest = rows.latest(conn, rows.about(grants, consent), house.shard)
    if latest is None:
        return True
    body = parse_leaf(read_leaf(conn, house.shard, latest) or b"").body
    return isinstance(body, ConsentWithdrawn) and body.by == "erasure"


def held_grant(tx: Transaction, consent: str) -> tuple[dict[str, Any], Subject]:
    """A grant and its person. `Rejected` when there is none, `EvidenceBroken` if the ledger has one."""
    row = granted(tx.house, tx.conn, consent)
    subject = find_by_tag(tx.house, tx.conn, row["tag"])
    if not subject.known or subject.tag != row["tag"]:
        raise EvidenceBroken("a grant belongs to nobody")
    return row, subject


def store_state(tx: Transaction, row: dict[str, Any], state: str, entry: Entry) -> None:
    """Write the state that a grant's row has since `entry`, protected."""
    changed = tx.protect(grants, rows.columns_of(grants, row) | {"state": state}, entry)
    tx.conn.execute(sa.update(grants).where(grants.c.consent == row["consent"]).values(**changed))
