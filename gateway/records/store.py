"""Records at rest: one row a record, its body encrypted under the person's data key of its retention class.

Invariant: a revision is known by the hash of its stored bytes (header and ciphertext), which ledger
commitments cover; it opens only in its own row, for its own person. Opening checks that hash again.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gateway.errors import EvidenceBroken
from gateway.query.minimise import Record
from gateway.tables import records
from keys.canonical import parse_canonical, sha256
from keys.fields import field_key_id

if TYPE_CHECKING:
    from gateway.house import House


def open_revisions(house: House, subject: bytes, revisions: Iterable[sa.Row[Any]]) -> list[Record]:
    """Decrypt stored revisions of one person. `EvidenceBroken` when one is not what its hash says."""
    wanted = list(revisions)
    if not wanted:
        return []
    with house.read() as conn:
        keys = house.keyring.open(conn, subject, {row.klass for row in wanted})
        if any(field_key_id(row.body) != keys[row.klass].version for row in wanted):
            wanted = _rekeyed(conn, wanted)
    opened = []
    for row in wanted:
        if sha256(row.body) != row.revision_hash:
            raise EvidenceBroken("a stored record is not the revision that the ledger committed to")
        body = parse_canonical(keys[row.klass].open("records", "body", row.record, row.body))
        if body["category"] != row.category:  # the column chose it; only what was encrypted counts
            raise EvidenceBroken("a stored record is of another category than its row says")
        opened.append(Record(row.category, body, row.shown_until))
    return opened


def _rekeyed(conn: sa.Connection, wanted: Sequence[sa.Row[Any]]) -> list[sa.Row[Any]]:
    """The same records as they stand now: their keys were replaced since these rows were read.

    `EvidenceBroken` unless each still has the content that was decided on.
    """
    found = conn.execute(sa.select(records).where(records.c.record.in_([row.record for row in wanted])))
    now = {row.record: row for row in found}
    anew = [now.get(row.record) for row in wanted]
    same = [
        row
        for row, before in zip(anew, wanted, strict=True)
        if row is not None and hmac.compare_digest(row.content_mac, before.content_mac)
    ]
    if len(same) != len(wanted):
        raise EvidenceBroken("a stored record is another than the one that was decided on")
    return same


def revisions_of(conn: sa.Connection, subject: bytes) -> list[sa.Row[Any]]:
    """All stored revisions of one person, in the order of their leaves, those of one leaf by their ids."""
    in_order = (records.c.idx, records.c.record)
    return list(conn.execute(sa.select(records).where(records.c.subject == subject).order_by(*in_order)))
