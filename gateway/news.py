"""What others have appended to the log since this process last held its lock, read in one statement.

Invariant: nothing that this process remembers of the ledger is used under the lock before it is known to
stand still. What it has seen must be there, leaf for leaf, and the last leaf be the one that the head names.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from gateway.errors import EvidenceBroken
from ledger.entries import Leaf, parse_leaf
from ledger.errors import HeadBehind, MalformedLeaf
from ledger.exchange import run
from ledger.fixed import Call
from ledger.log import Head
from ledger.merkle import leaf_hash
from ledger.sets import both
from ledger.tables import ledger_leaves

FEW = 4_096
"""Leaves that are looked through for changes of keys; after a longer absence they are taken for granted."""

KEYS = ("key.published", "key.rotated", "key.revoked")
WATCHED = (*KEYS, "key.epoch", "key.index", "key.data")
"""Types of leaves that change what a process remembers."""

# Built once: building a statement costs more than running it.
_COLUMNS = sa.select(ledger_leaves.c.idx, ledger_leaves.c.leaf, ledger_leaves.c.type).order_by(
    ledger_leaves.c.idx
)
_OURS = ledger_leaves.c.shard == sa.bindparam("of")
_ENDS = both(lambda among: _COLUMNS.where(_OURS, among(ledger_leaves.c.idx, "ends")))
_RANGE = both(
    lambda among: _COLUMNS.where(
        _OURS,
        ledger_leaves.c.idx >= sa.bindparam("first"),
        sa.or_(among(ledger_leaves.c.idx, "ends"), *(ledger_leaves.c.type == kind for kind in WATCHED)),
    )
)


@dataclass(frozen=True, slots=True)
class News:
    """`last`: the log's last leaf, None when nobody has appended. `keys`: a key may have come or ended.

    `epochs`: the leaves `key.epoch` among them, in order; None when there were too many to look through.
    `index`: a key of the blind index may have come or gone. `data`: data keys may have been replaced.
    """

    last: Leaf | None
    keys: bool
    epochs: tuple[bytes, ...] | None = ()
    index: bool = False
    data: bool = False


NONE = News(None, keys=False)


def news_since(conn: sa.Connection, shard: int, seen: Head | None, head: Head) -> News:
    """What stands under `head` that did not under `seen`, the head that this process left (None: never).

    `HeadBehind` when what was seen stands there no more: the log was put back, and has perhaps grown again.
    `EvidenceBroken` when the last leaf is not the one that the head names.
    """
    if head == seen or head.size == 0:
        return NONE
    last, kept = head.size - 1, -1 if seen is None else seen.size - 1
    if last <= kept:
        raise HeadBehind(f"the log has {head.size} leaves, or others, and this process has seen {kept + 1}")
    few = seen is not None and last - kept <= FEW
    ends = {"of": shard, "ends": [kept, last]}
    [rows] = run(conn, [Call(_RANGE, ends | {"first": kept}) if few else Call(_ENDS, ends)])
    leaves = {row.idx: row.leaf for row in rows}
    if seen is not None and seen.size and not _is(leaves.get(kept), seen):
        raise HeadBehind("a leaf that this process has seen is another now: the log was put back")
    latest = last_leaf(leaves.get(last), head)
    others = [row for row in rows if row.idx > kept]
    said = {kind: [bytes(row.leaf) for row in others if row.type == kind] for kind in WATCHED}
    return News(
        latest,
        keys=not few or any(said[kind] for kind in KEYS),
        epochs=tuple(said["key.epoch"]) if few else None,
        index=not few or bool(said["key.index"]),
        data=not few or bool(said["key.data"]),
    )


def _is(stored: object, head: Head) -> bool:
    return isinstance(stored, bytes | memoryview) and leaf_hash(bytes(stored)) == head.leaf_hash


def last_leaf(stored: object, head: Head) -> Leaf:
    """The stored bytes of the last leaf, parsed. `EvidenceBroken` when they are not what the head names."""
    if not isinstance(stored, bytes | memoryview) or not _is(stored, head):
        raise EvidenceBroken("the last leaf is not the one that the head names")
    try:
        return parse_leaf(bytes(stored))
    except MalformedLeaf as error:
        raise EvidenceBroken("the last leaf is none") from error
