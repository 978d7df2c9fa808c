"""Held grants: one consent's row, evident, with the person it belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gateway import rows
from gateway.errors import EvidenceBroken, Rejected
from gateway.people.subjects import Subject, find_by_tag
from gateway.tables import grants
from gateway.transaction import Transaction

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
    if rows.latest(conn, rows.about(grants, consent), house.shard) is not None:
        raise EvidenceBroken("the ledger holds a grant whose row is gone")
    raise Rejected("not-found", "no such consent was granted")


def held_grant(tx: Transaction, consent: str) -> tuple[dict[str, Any], Subject]:
    """A grant and its person. `Rejected` when there is none, `EvidenceBroken` if the ledger has one."""
    row = granted(tx.house, tx.conn, consent)
    subject = find_by_tag(tx.house, tx.conn, row["tag"])
    if not subject.known or subject.tag != row["tag"]:
        raise EvidenceBroken("a grant belongs to nobody")
    return row, subject
