"""Publishing: what was committed becomes tiles, then a signed checkpoint, then files that others copy.

Invariant: the log never signs two histories. Each step is durable before the next begins and does nothing
when it has been done already, so that a crash between any two leaves a log that goes on:

    1 leaves committed                        by the writer, long before
    2 tiles                                   write-once files; other bytes in their place are a fork
    3 signed checkpoint, compared-and-swapped in the database
    4 its copy outside the database           what a restored backup is compared with
    5 the checkpoint file                     what the world reads

Before signing, the log must contain the copy outside: no fewer leaves, and a consistency proof from its root.
Its new leaves must be one chain up to the head, which is `own`: one that was edited meanwhile is not signed.
A rotation of the checkpoint's key is a leaf: the keys are read with the head, in one snapshot, so that each
checkpoint is signed, and each found standing anywhere is opened, by the key of its own size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy import Connection, select, update

from keys.notes import Vkey
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.errors import Forked, HeadBehind, LogBusy, ProofFailed, RolledBack
from ledger.files import read_if_there, write_atomic
from ledger.logkeys import LogKeys, claimed
from ledger.merkle import check_consistency, consistency_proof, leaf_hash
from ledger.rows import NO_HASH, Head, insert_or_nothing, read_head, read_leaves
from ledger.tables import ledger_published
from ledger.tiles import WIDTH, MissingTile, TileDirectory

_LEAVES_AT_ONCE: Final = 1_024

Read = Callable[[], AbstractContextManager[Connection]]
"""Opens a reading transaction on one snapshot: what its statements find stood at one moment."""
Write = Callable[[], AbstractContextManager[Connection]]
"""Opens a transaction that commits when the block ends well."""


@dataclass(frozen=True, slots=True)
class Published:
    """A checkpoint and the signed note that carries it."""

    checkpoint: Checkpoint
    note: bytes


def read_note(path: Path, keys: LogKeys) -> Published | None:
    """The signed checkpoint in a file, or None when there is no file. Raises BrokenCheckpoint."""
    return _opened(read_if_there(path), keys)


def read_published(conn: Connection, shard: int, keys: LogKeys) -> Published | None:
    """The latest checkpoint in the database, or None before the first. Raises BrokenCheckpoint."""
    columns = ledger_published.c
    return _opened(conn.execute(select(columns.note).where(columns.shard == shard)).scalar(), keys)


def _opened(note: bytes | None, keys: LogKeys) -> Published | None:
    return None if note is None else Published(keys.open(bytes(note)), bytes(note))


def check_not_behind(size: int, earlier: Checkpoint | None, tiles: TileDirectory) -> None:
    """A log of `size` leaves, with these tiles, contains an earlier checkpoint of its own.

    Raises RolledBack when it is shorter, Forked when the root at the checkpoint's size is another. Tiles that
    do not reach so far prove nothing; `recover_tiles` makes them again from the leaves, and then they do.
    """
    if earlier is None:
        return
    if size < earlier.size:
        raise RolledBack("the log is shorter than a checkpoint that was published")
    if tiles.size() >= earlier.size and tiles.root_at(earlier.size) != earlier.root:
        raise Forked("the log has another root at the size of a checkpoint that was published")


def check_continues(root: bytes, size: int, earlier: Checkpoint | None, tiles: TileDirectory) -> None:
    """The tree about to be signed begins with the tree of an earlier checkpoint; else raises Forked.

    A consistency proof out of the new tree's own tiles, the one that every witness will ask for: the partial
    tiles of the earlier size, still on disk, would prove nothing about the new one.
    """
    if earlier is None:
        return
    proof = consistency_proof(tiles.reader(size), earlier.size, size)
    try:
        check_consistency(proof, earlier.size, size, earlier.root, root)
    except ProofFailed:
        raise Forked("the log does not continue a checkpoint that was published") from None


def recover_tiles(tiles: TileDirectory, read: Read, shard: int, durable: int, head: Head) -> bytes:
    """Bring a tile directory to the leaves under `head` from the rows, whatever a crash left; returns the
    root.

    `durable` is a size whose tiles are known to have been finished (a published one); everything from its
    bundle on is written again or found equal. When tiles below are missing after all, all are made again from
    leaf 0. Raises Forked when a row differs from its published bundle, or does not stand in the chain that
    ends in `head`; BrokenTree when a tile that is there has other bytes.
    """
    start = durable // WIDTH * WIDTH
    try:
        return tiles.extend(start, _leaves(tiles, read, shard, (start, durable), head))
    except MissingTile:
        return tiles.extend(0, _leaves(tiles, read, shard, (0, 0), head))


def _leaves(
    tiles: TileDirectory, read: Read, shard: int, reach: tuple[int, int], head: Head
) -> Iterator[bytes]:
    """Rows from a bundle's start to the head; those below `durable` must be as the bundle published them, and
    all one chain: who edits a leaf in the second before it is published would have it signed otherwise.

    No transaction stays open while files are written.
    """
    (start, durable), size = reach, head.size
    published = tiles.entries(start // WIDTH, durable - start) if durable > start else ()
    before = tiles.hashes(0, start // WIDTH - 1, WIDTH)[-1] if start else NO_HASH
    for first in range(start, size, _LEAVES_AT_ONCE):
        with read() as conn:
            some = list(read_leaves(conn, shard, first, min(size, first + _LEAVES_AT_ONCE)))
        if first == start and tuple(some[: len(published)]) != published:
            raise Forked("a leaf is not the one that was published")
        for leaf in some:
            if _prev(leaf) != before.hex():
                raise Forked("a leaf does not name the one before it")
            before = leaf_hash(leaf)
        if first + len(some) == size and before != head.leaf_hash:
            raise Forked("the last leaf is not the one that the head names")
        yield from some


class _Link(msgspec.Struct):
    """Of a leaf only the hash before it: reading all of it would cost many times what hashing it does."""

    prev: str


_LINK: Final = msgspec.json.Decoder(_Link)


def _prev(leaf: bytes) -> str | None:
    """The hash (hex) that a leaf names as the one before it; None for what is no leaf."""
    try:
        return _LINK.decode(leaf).prev
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


@dataclass(frozen=True, slots=True)
class _Standing:
    """Head of the log and its keys, the latest checkpoint in the database, and the copy outside."""

    head: Head
    keys: LogKeys
    last: Published | None
    outside: Published | None


@dataclass(frozen=True, slots=True)
class Publisher:
    """Publishes one log. One at a time: the server's; a second one's swap fails with LogBusy.

    `keys` reads the log's keys as they stand in a transaction, `sign` signs with the one named; `outside` is
    the copy kept outside the database (elsewhere than a backup of it), `file` the checkpoint that is served.
    Nothing new is signed under a head that is not `own`. Keys and head come from one snapshot: a rotation
    that committed between the two would have the old key sign a size that is no longer its own.
    """

    shard: int
    origin: str
    read: Read
    write: Write
    tiles: TileDirectory
    sign: Callable[[Vkey, bytes], bytes]
    keys: Callable[[Connection], LogKeys]
    outside: Path
    file: Path
    own: Callable[[Head], bool] = lambda _head: True

    def check(self) -> None:
        """Refuse to start behind what was published: raises HeadBehind, BrokenCheckpoint or MissingTile."""
        self._standing()

    def publish(self) -> Published | None:
        """Publish what is new; None when there is nothing. Finishes first what a crash left unfinished.

        Raises HeadBehind when the log contradicts the copy outside, BrokenTree when it contradicts its tiles,
        LogBusy when another publisher was faster.
        """
        standing = self._standing()
        size, last, outside = standing.head.size, standing.last, standing.outside
        published = 0 if last is None else last.checkpoint.size
        if size > published or self.tiles.size() < size:
            root = recover_tiles(self.tiles, self.read, self.shard, published, standing.head)
            for earlier in (outside, last):
                check_continues(root, size, None if earlier is None else earlier.checkpoint, self.tiles)
        if size == published:
            return last if last is not None and self._copy(last) else None
        checkpoint, vkey = Checkpoint(self.origin, size, root), standing.keys.at(size)
        note = sign_checkpoint(checkpoint, lambda message: self.sign(vkey, message), vkey.public)
        new = Published(checkpoint, note)
        self._swap(last, new)
        self._copy(new)
        return new

    def _standing(self) -> _Standing:
        """What stands where; none contradicts another.

        Read in the reverse of the order in which they are written: a publisher at work is no rollback, and
        the keys that are read last know every key that signed what was read before.
        """
        served = read_if_there(self.file)
        kept = read_if_there(self.outside)
        on_disk = self.tiles.size()
        with self.read() as conn:
            keys = self.keys(conn)
            last = read_published(conn, self.shard, keys)
            head = read_head(conn, self.shard)
        size = head.size
        if size != (0 if last is None else last.checkpoint.size) and not self.own(head):
            raise Forked("the log's head was not written by its own writer")
        if served is not None and kept is None:
            raise HeadBehind("a checkpoint was published, and its copy outside the database is gone")
        # By what it claims: a database put back to before a rotation does not know who signed it since.
        if kept is not None and (last is None or last.checkpoint.size < claimed(kept).size):
            raise RolledBack("the database does not know of the checkpoint kept outside of it")
        outside = _opened(kept, keys)
        if size < on_disk:
            raise RolledBack("the log is shorter than its tiles")
        for earlier in (outside, last):
            check_not_behind(size, None if earlier is None else earlier.checkpoint, self.tiles)
        return _Standing(head, keys, last, outside)

    def _swap(self, last: Published | None, new: Published) -> None:
        """Put the new checkpoint in the place of the one that was compared with, and of no other."""
        columns = ledger_published.c
        values = {"size": new.checkpoint.size, "note": new.note}
        with self.write() as conn:
            if last is None:
                swapped = conn.execute(
                    insert_or_nothing(conn, ledger_published, ("shard",)).values(shard=self.shard, **values)
                )
            else:
                swapped = conn.execute(
                    update(ledger_published)
                    .where(
                        columns.shard == self.shard,
                        columns.size == last.checkpoint.size,
                        columns.note == last.note,
                    )
                    .values(**values)
                )
            if swapped.rowcount != 1:
                raise LogBusy("another publisher was faster")

    def _copy(self, published: Published) -> bool:
        """Steps 4 and 5; whether there was anything to do."""
        stale = [path for path in (self.outside, self.file) if read_if_there(path) != published.note]
        for path in stale:
            write_atomic(path, published.note)
        return bool(stale)
