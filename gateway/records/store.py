"""Records at rest: one row a record, its body encrypted under the person's data key of its retention class.

Invariant: a revision is known by the hash of its stored bytes (header and ciphertext), which ledger
commitments cover; it opens only in its own row, for its own person. Opening checks that hash again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from gateway.errors import EvidenceBroken
from gateway.keyring import DataKey
from gateway.query.minimise import Record
from gateway.tables import records
from gateway.verified import digest_of
from keys.canonical import parse_stored, sha256
from keys.values import Value
from ledger.exchange import Reading, run
from ledger.fixed import Call, Row
from ledger.sets import both, same

if TYPE_CHECKING:
    from gateway.house import House


_OF_ONE: Final = same(
    sa.select(records)
    .where(records.c.subject == sa.bindparam("of"))
    .order_by(records.c.idx, records.c.record)
)

OF_MANY: Final = both(lambda among: sa.select(records).where(among(records.c.subject, "subjects")))
"""All stored revisions of these persons."""


class Revisions(Value, frozen=True):
    """Stored revisions of one person; `digest` tells just these rows from any others, None if nothing can."""

    rows: tuple[Row, ...] = ()
    digest: bytes | None = None


def held_together(rows: Iterable[Row]) -> Revisions:
    """These rows of one person."""
    there = tuple(rows)
    return Revisions(there, digest_of([tuple(row) for row in there]))


def reading_revisions(subjects: Iterable[bytes]) -> Reading[dict[bytes, Revisions]]:
    """All stored revisions of each of these persons."""
    found: dict[bytes, list[Row]] = {subject: [] for subject in subjects}
    for row in (yield Call(OF_MANY, {"subjects": sorted(found)})):
        found[row.subject].append(row)
    return {subject: held_together(rows) for subject, rows in found.items()}


def open_revisions(house: House, revisions: Iterable[Row], wrapped: Mapping[str, Row]) -> list[Record]:
    """Decrypt stored revisions of one person, by the person's wrapped data keys of the same snapshot.

    `EvidenceBroken` when one is not what its hash says, or its key is missing.
    """
    there = tuple(revisions)
    return decrypt(unwrap_keys(house, there, wrapped), there)


def unwrap_keys(house: House, revisions: Iterable[Row], wrapped: Mapping[str, Row]) -> dict[str, DataKey]:
    """The data keys of these revisions of one person, unwrapped, by class.

    `EvidenceBroken` for one that is missing or does not unwrap.
    """
    return {klass: _unwrapped(house, wrapped.get(klass)) for klass in {row.klass for row in revisions}}


def decrypt(keys: Mapping[str, DataKey], revisions: Iterable[Row]) -> list[Record]:
    """Decrypt stored revisions of one person under their data keys, by class.

    `EvidenceBroken` for one that is not what its hash says, does not open in its place, or is of another
    category than its row says.
    """
    opened = []
    for row in revisions:
        if sha256(row.body) != row.revision_hash:
            raise EvidenceBroken("a stored record is not the revision that the ledger committed to")
        stored = keys[row.klass].open("records", "body", row.record, row.body)
        body = parse_stored(stored)
        if body["category"] != row.category:  # the column chose it; only what was encrypted counts
            raise EvidenceBroken("a stored record is of another category than its row says")
        opened.append(Record(row.category, body, row.shown_until, stored))
    return opened


def _unwrapped(house: House, row: Row | None) -> DataKey:
    if row is None:
        raise EvidenceBroken("a data key is missing")
    return house.keyring.unwrap(row.subject, row.klass, row.version, row.epoch, row.wrapped)


def revisions_of(conn: sa.Connection, subject: bytes) -> list[Row]:
    """All stored revisions of one person, in the order of their leaves, those of one leaf by their ids."""
    [rows] = run(conn, [Call(_OF_ONE, {"of": subject})])
    return rows
