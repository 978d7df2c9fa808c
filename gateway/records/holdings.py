"""Holdings: which record rows of a person there must be, by what the ledger says was ingested.

Invariant: a person's rows are whole when, leaf by leaf, they are exactly as many as `record.ingested`
counted, hash to its root, and each carries its MAC over all columns and that leaf's hash. A `record.restated`
stands in place of all leaves before it. A row that was deleted, added, hidden under another category or given
another display term makes the whole untrue, and nothing is answered from it: a clean record must not be made
by deleting the other kind.
"""

from __future__ import annotations

import hmac
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gateway import rows
from gateway.records.store import Revisions, held_together
from gateway.tables import records
from gateway.verified import digest_of
from keys.canonical import sha256
from ledger.bodies import RecordIngested, RecordRestated
from ledger.entries import parse_leaf
from ledger.errors import MalformedLeaf
from ledger.exchange import Reading, alone
from ledger.fixed import Call, Row
from ledger.merkle import leaf_hash, root
from ledger.sets import both
from ledger.tables import ledger_leaves

if TYPE_CHECKING:
    from gateway.house import House

INGESTED = both(
    lambda among: (
        sa.select(ledger_leaves.c.tag, ledger_leaves.c.idx, ledger_leaves.c.leaf)
        .where(ledger_leaves.c.shard == sa.bindparam("of_shard"), among(ledger_leaves.c.about, "about_them"))
        .order_by(ledger_leaves.c.idx)
    )
)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one leaf says is held of one person: how many revisions, under which root.

    `anew`: of all that is held, whatever was said before.
    """

    count: int
    root: bytes
    leaf_hash: bytes
    anew: bool = False


Batches = Mapping[int, Batch]


def about_records(tag: bytes) -> str:
    """The name under which `record.ingested` and `record.restated` leaves speak of a person's rows."""
    return rows.about(records, tag.hex())


def batches_of(
    house: House, conn: sa.Connection, tags: Iterable[bytes], *, before: int | None = None
) -> dict[bytes, dict[int, Batch]]:
    """What the ledger says is held of each of these tags, by leaf index; in one statement.

    `before`: what it said in its first so many leaves.
    """
    return alone(conn, reading_batches(house, tags, before=before))


def reading_batches(
    house: House, tags: Iterable[bytes], *, before: int | None = None
) -> Reading[dict[bytes, dict[int, Batch]]]:
    """The same as a reading, to be read with others."""
    said: dict[bytes, dict[int, Batch]] = defaultdict(dict)
    wanted = sorted({about_records(tag) for tag in tags})
    for row in (yield Call(INGESTED, {"of_shard": house.shard, "about_them": wanted})):
        if before is not None and row.idx >= before:
            break
        batch = _batch(row.leaf)
        if batch.anew:
            said[row.tag].clear()
        if batch.count:
            said[row.tag][row.idx] = batch
    return said


def is_whole(house: House, said: Batches, held: Iterable[Row] | Revisions) -> bool:
    """Whether the rows held of one person are exactly those that the ledger speaks of.

    Remembered by every byte that goes in: the same rows under the same leaves are not hashed again.
    """
    there = held if isinstance(held, Revisions) else held_together(held)
    leaves = [(index, batch.count, batch.root, batch.leaf_hash) for index, batch in said.items()]
    digest = None if there.digest is None else digest_of((leaves, there.digest))
    if digest is not None and house.whole.has(digest):
        return True
    whole = _is_whole(house, said, there.rows)
    if whole and digest is not None:
        house.whole.add(digest)
    return whole


def _is_whole(house: House, said: Batches, held: Iterable[Row]) -> bool:
    by_leaf: dict[int, list[Row]] = defaultdict(list)
    for row in held:
        by_leaf[row.idx].append(row)
    return by_leaf.keys() == said.keys() and all(
        _matches(house, said[index], some) for index, some in by_leaf.items()
    )


def revisions_root(hashes: Iterable[bytes]) -> bytes:
    """RFC 6962 root over the sorted revision hashes (32 bytes each), as the body of `record.ingested` has
    it.
    """
    return root([leaf_hash(one) for one in sorted(hashes)])


def protected(house: House, row: Mapping[str, Any], ingested: bytes) -> dict[str, Any]:
    """A record's row with its MAC, bound to the hash of the leaf that ingested it."""
    return rows.protect(house.custody, records, row, ingested)


def _matches(house: House, batch: Batch, some: list[Row]) -> bool:
    """One leaf's rows: count, root and MACs. What an intruder left in a column must not stop anybody else."""
    hashes = [row.revision_hash for row in some]
    if len(some) != batch.count or not all(isinstance(one, bytes) for one in hashes):
        return False
    if revisions_root(hashes) != batch.root:
        return False
    return all(
        isinstance(row.mac, bytes) and hmac.compare_digest(row.mac, _mac(house, row, batch)) for row in some
    )


def _mac(house: House, row: Row, batch: Batch) -> bytes:
    mac: bytes = protected(house, row.as_dict(), batch.leaf_hash)["mac"]
    return mac


@lru_cache(maxsize=65_536)
def _batch(leaf: object) -> Batch:
    """A leaf never changes, so what it says is read once. What poses as an ingestion fits no rows."""
    if not isinstance(leaf, bytes):
        return Batch(-1, sha256(b""), sha256(b""))
    try:
        body = parse_leaf(leaf).body
    except MalformedLeaf:
        body = None
    if not isinstance(body, RecordIngested | RecordRestated):
        return Batch(-1, sha256(b""), leaf_hash(leaf))
    anew = isinstance(body, RecordRestated)
    return Batch(body.count, bytes.fromhex(body.root), leaf_hash(leaf), anew)
