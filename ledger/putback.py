"""Putting leaves back: rows of a database that was restored to an earlier moment, out of the log's own tiles.

Invariant: what is put back is what was published. The rows that are there are the beginning of the tiles'
log, every leaf that comes back names the one before it, and the tree over all of them has the root of the
newest checkpoint. Nothing is put back past an error, and the caller's transaction commits all of it or
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from sqlalchemy import Connection, insert, update

from keys.canonical import unb64u
from keys.instant import parse_instant
from ledger.checkpoint import Checkpoint
from ledger.entries import Leaf, parse_leaf
from ledger.errors import Forked, LogBusy, RolledBack
from ledger.merkle import leaf_hash
from ledger.rows import Head, upsert
from ledger.tables import ledger_head, ledger_leaves, ledger_subjects
from ledger.tiles import WIDTH, TileDirectory

_AT_ONCE: Final = 1_024

NameOf = Callable[[Leaf], str | None]
"""A leaf that comes back -> the name of the row that it is about, as `Draft.about` was when it was appended.
"""


def recoverable(tiles: TileDirectory, newest: Checkpoint, head: Head) -> int:
    """How many leaves the log has by its tiles, which hold all under `newest` and begin with what `head`
    ends.

    Raises RolledBack when they do not reach so far, Forked when they are another log's than the checkpoint's
    or the database's.
    """
    size = tiles.size()
    if size < newest.size:
        raise RolledBack(f"the tiles hold {size} leaves of the {newest.size} that were published")
    if tiles.root_at(newest.size) != newest.root:
        raise Forked("the tiles are not those of the newest checkpoint")
    if not 0 < head.size <= size or leaf_hash(tiles.leaf(head.size - 1, size)) != head.leaf_hash:
        raise Forked("the database does not hold the beginning of the log in the tiles")
    return size


def missing_leaves(tiles: TileDirectory, head: Head, size: int) -> Iterator[tuple[Leaf, bytes]]:
    """The leaves from the head on, parsed and as they are. Raises Forked where the chain of hashes breaks."""
    last = head.leaf_hash
    for index in range(head.size, size):
        bundle, place = divmod(index, WIDTH)
        if index == head.size or place == 0:
            entries = tiles.entries(bundle, min(WIDTH, size - bundle * WIDTH))
        data = entries[place]
        leaf = parse_leaf(data)
        if leaf.index != index or leaf.prev != last.hex():
            raise Forked(f"leaf {index} of the tiles does not follow the one before it")
        last = leaf_hash(data)
        yield leaf, data


def put_back(
    conn: Connection,
    shard: int,
    head: Head,
    leaves: Iterator[tuple[Leaf, bytes]],
    name_of: NameOf,
    head_mac: Callable[[Head], bytes],
) -> Head:
    """Insert leaves that follow the locked `head`, and move the heads; the new head.

    Raises LogBusy when the head is not as it was locked.
    """
    after, people, rows = head, dict[bytes, dict[str, object]](), list[dict[str, object]]()
    for leaf, data in leaves:
        tag = None if leaf.subject is None else unb64u(leaf.subject.tag)
        number = None if leaf.subject is None else leaf.subject.n
        digest = leaf_hash(data)
        rows.append(
            {
                "shard": shard,
                "idx": leaf.index,
                "leaf": data,
                "leaf_hash": digest,
                "type": leaf.type,
                "tag": tag,
                "n": number,
                "about": name_of(leaf),
            }
        )
        if tag is not None:
            people[tag] = {"shard": shard, "tag": tag, "n": number, "leaf_hash": digest}
        after = Head(leaf.index + 1, digest, parse_instant(leaf.at))
        if len(rows) == _AT_ONCE:
            conn.execute(insert(ledger_leaves), rows)
            rows = []
    if rows:
        conn.execute(insert(ledger_leaves), rows)
    if people:
        statement = upsert(conn, ledger_subjects, ("shard", "tag"), ("n", "leaf_hash"))
        conn.execute(statement, [people[tag] for tag in sorted(people)])
    moved = conn.execute(
        update(ledger_head)
        .where(ledger_head.c.shard == shard, ledger_head.c.size == head.size)
        .values(size=after.size, leaf_hash=after.leaf_hash, at=after.at, mac=head_mac(after))
    )
    if moved.rowcount != 1:
        raise LogBusy("the head moved under the lock")
    return after
