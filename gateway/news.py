"""What others have appended to the log since this process last held its lock, read with the lock itself.

Invariant: nothing that this process remembers of the ledger is used under the lock before it is known to
stand still. What it has seen must be there, leaf for leaf, and the last leaf be the one that the head names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter

import sqlalchemy as sa

from gateway.errors import EvidenceBroken
from ledger.entries import Leaf, parse_leaf
from ledger.errors import HeadBehind, MalformedLeaf
from ledger.exchange import Reading
from ledger.fixed import Call, Row
from ledger.log import Head
from ledger.merkle import leaf_hash
from ledger.sets import same
from ledger.tables import ledger_head, ledger_leaves

FEW = 4_096
"""Leaves that are looked through for changes of keys; after a longer absence they are taken for granted."""

KEYS = ("key.published", "key.rotated", "key.revoked")
WATCHED = (*KEYS, "key.epoch", "key.index", "key.data")
"""Types of leaves that change what a process remembers."""

# Built once: building a statement costs more than running it.
_COLUMNS = ledger_leaves.c.idx, ledger_leaves.c.leaf, ledger_leaves.c.type
_OURS = ledger_leaves.c.shard == sa.bindparam("of")
_IS_LAST = ledger_leaves.c.idx == (
    sa.select(ledger_head.c.size - 1).where(ledger_head.c.shard == sa.bindparam("of")).scalar_subquery()
)
_WATCHED = [ledger_leaves.c.type == kind for kind in WATCHED]
_SINCE = same(
    sa.union_all(  # two steps into the index, whatever the planner thinks of OR
        sa.select(*_COLUMNS).where(
            _OURS,
            ledger_leaves.c.idx.between(sa.bindparam("kept"), sa.bindparam("up_to")),
            sa.or_(ledger_leaves.c.idx == sa.bindparam("kept"), _IS_LAST, *_WATCHED),
        ),
        sa.select(*_COLUMNS).where(_OURS, _IS_LAST, ledger_leaves.c.idx > sa.bindparam("up_to")),
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


def reading_since(shard: int, seen: Head | None) -> Reading[list[Row]]:
    """The leaves of which `news_since` tells, to be read under the lock: few, whatever was appended.

    Which leaf is the last, the head says in the same statement, so that this needs no exchange of its own.
    """
    kept = _kept(seen)
    up_to = kept if seen is None else kept + FEW
    return (yield Call(_SINCE, {"of": shard, "kept": kept, "up_to": up_to}))


def news_since(rows: Sequence[Row], seen: Head | None, head: Head) -> News:
    """What stands under `head` that did not under `seen`, the head that this process left (None: never).

    `rows` are what `reading_since` read under the lock that `head` was read with.

    `HeadBehind` when what was seen stands there no more: the log was put back, and has perhaps grown again.
    `EvidenceBroken` when the last leaf is not the one that the head names.
    """
    if head == seen or head.size == 0:
        return NONE
    last, kept = head.size - 1, _kept(seen)
    if last <= kept:
        raise HeadBehind(f"the log has {head.size} leaves, or others, and this process has seen {kept + 1}")
    few = seen is not None and last - kept <= FEW
    leaves = {row.idx: row.leaf for row in rows}
    if seen is not None and seen.size and not _is(leaves.get(kept), seen):
        raise HeadBehind("a leaf that this process has seen is another now: the log was put back")
    latest = last_leaf(leaves.get(last), head)
    others = sorted((row for row in rows if row.idx > kept), key=itemgetter(0))
    said = {kind: [bytes(row.leaf) for row in others if row.type == kind] for kind in WATCHED}
    return News(
        latest,
        keys=not few or any(said[kind] for kind in KEYS),
        epochs=tuple(said["key.epoch"]) if few else None,
        index=not few or bool(said["key.index"]),
        data=not few or bool(said["key.data"]),
    )


def _kept(seen: Head | None) -> int:
    """Index of the last leaf that this process knows."""
    return -1 if seen is None else seen.size - 1


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
