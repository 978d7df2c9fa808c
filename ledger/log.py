"""The sole writer of the ledger, inside the caller's transaction.

Invariant: between `lock_head` and the caller's commit nobody else appends to this log, so that every leaf
names the leaf before it, and every person's leaf the one before it, without a gap. Nothing here commits or
reads a clock.

    head = lock_head(conn, shard)                 # its own statement: what follows sees what it waited for
    log = Appender(conn, shard, origin, head, at=max(now, head.at), ...)
    log.load_subjects(tags)                       # one read for the whole batch
    mark = log.mark(); log.append(draft)          # in memory; log.rewind(mark) undoes what a savepoint undid
    log.flush()                                   # four statements, however many leaves

A draft may be made ready before the lock is taken (`drafts.make_ready`): the less is done under it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection, bindparam, func, select, update
from sqlalchemy.exc import DataError

from keys.signing import Random
from ledger.chains import BROKEN, END_OF_LOG, PersonHead, reading_chains
from ledger.drafts import (
    SALT_SIZE,
    TAG_SIZE,
    Draft,
    Entry,
    Frame,
    Ready,
    Seal,
    Sealing,
    Wrap,
    frame_of,
    make_ready,
)
from ledger.entries import MAX_LEAF
from ledger.errors import LogBusy, MalformedLeaf
from ledger.exchange import Reading, alone, run
from ledger.fixed import POSTGRESQL, Both, Call
from ledger.merkle import HASH_SIZE, leaf_hash
from ledger.rows import Head, lock_head, open_shard, read_head
from ledger.sets import to_insert_tuples, to_upsert_tuples
from ledger.tables import ledger_head, ledger_leaves, ledger_sealed, ledger_subjects

__all__ = [
    "SALT_SIZE",
    "TAG_SIZE",
    "Appender",
    "Draft",
    "Entry",
    "Head",
    "lock_head",
    "open_shard",
    "read_head",
]

_OF_LEAF: Final = ("shard", "idx", "leaf", "leaf_hash", "type", "tag", "n", "about")
_OF_SEALED: Final = ("shard", "sha256", "idx", "epoch", "blob")
_OF_SUBJECT: Final = ("shard", "tag", "n", "leaf_hash")

# Built once: building a statement costs more than running it.
_MOVE: Final = (
    update(ledger_head)
    .where(
        ledger_head.c.shard == bindparam("of_shard"),
        ledger_head.c.size == bindparam("size_before"),
        ledger_head.c.leaf_hash == bindparam("hash_before"),
    )
    .values(
        size=bindparam("new_size"),
        leaf_hash=bindparam("new_hash"),
        at=bindparam("new_at"),
        mac=bindparam("new_mac"),
    )
    .returning(ledger_head.c.size)
)
_MOVED: Final = _MOVE.cte("moved")
# PostgreSQL's fails by itself, so that nothing after it has any effect, the commit of its exchange neither.
_MOVE_HEAD: Final = Both(_MOVE, select((1 // func.count()).label("moved")).select_from(_MOVED))
_DIVISION_BY_ZERO: Final = "22012"

HeadMac = Callable[[Head], bytes]
"""head -> what tells later that this writer made it."""


class _Pending(msgspec.Struct, frozen=True):
    """An entry not yet written, with what `rewind` needs to go back before it."""

    entry: Entry
    ready: Ready
    n: int | None
    person_before: PersonHead | None
    hash_before: bytes
    frame_before: Frame


class Appender:
    """Appends to one log under its lock: in memory until `flush`."""

    def __init__(
        self,
        conn: Connection,
        shard: int,
        origin: str,
        head: Head,
        at: int,
        policy_hash: str,
        random: Random,
        seal: Seal | None = None,
        wrap: Wrap | None = None,
        epoch: int = 1,
        head_mac: HeadMac | None = None,
    ) -> None:
        """`head` comes from `lock_head` in this transaction; `at` (ms) is the time of every leaf.

        `policy_hash` is that of the bundle in force; a `policy.changed` appended replaces it, its own leaf
        included. `wrap` wraps under the key of `epoch`; `head_mac` is kept beside each head. Raises LogBusy
        when `at` is before the head's time, MalformedLeaf where no leaf can follow.
        """
        if at < head.at:
            raise LogBusy("time would run backwards in the log")
        if len(head.leaf_hash) != HASH_SIZE or not 0 <= head.size < END_OF_LOG:
            raise MalformedLeaf("the head of the log is none")
        self._conn = conn
        self._shard = shard
        self._origin = origin
        self._head = head  # as it is in the database: what is pending is not counted
        self._size = head.size
        self._last = head.leaf_hash
        self._at = at
        self._frame = frame_of(origin, at, policy_hash)
        self._random = random
        self._head_mac = head_mac
        self._sealing = None if seal is None or wrap is None else Sealing(seal, wrap, epoch)
        self._people: dict[bytes, PersonHead] = {}
        self._pending: list[_Pending] = []
        self._written = 0

    @property
    def head(self) -> Head:
        """The head as it will be after `flush`."""
        return Head(self._size, self._last, self._at) if self._pending else self._head

    def load_subjects(self, tags: Iterable[bytes]) -> None:
        """Read the heads of these persons' chains in one statement; a tag without a row is a new person's."""
        alone(self._conn, self.reading_subjects(tags))

    def reading_subjects(self, tags: Iterable[bytes]) -> Reading[None]:
        """The same as a reading, to be read with others."""
        self.meet((yield from reading_chains(self._shard, set(tags) - self._people.keys())))

    def meet(self, chains: Mapping[bytes, PersonHead]) -> None:
        """Take over what `reading_chains` read under this lock, before anything was appended about them."""
        self._people.update(chains)

    def continues(self, tag: bytes) -> bool:
        """Whether a leaf about this person can be appended: not where the head of their chain is broken."""
        return self._people.get(tag) is not BROKEN

    def append(self, draft: Draft | Ready) -> Entry:
        """Make the next leaf. Raises MalformedLeaf, and then nothing was appended.

        A tag that `load_subjects` was not given is read here: right, but a round trip more under the lock.
        """
        ready = draft if isinstance(draft, Ready) else make_ready(draft, self._random, self._sealing)
        type_, tag = ready.draft.type, ready.draft.tag
        if (type_ == "log.opened") != (self._size == 0):
            raise MalformedLeaf("a log is opened once, by its first leaf")
        frame = self._frame
        if ready.policy is not None:
            frame = frame_of(self._origin, self._at, ready.policy)
        if tag is None:
            person, n = None, None
            leaf = frame.leaf(ready, self._size, self._last)
        else:
            person = self._person(tag)
            n = person.n + 1
            leaf = frame.leaf_about(ready, self._size, self._last, n, person.leaf_hash)
        if len(leaf) > MAX_LEAF:
            raise MalformedLeaf("the leaf is longer than 65,535 bytes")
        entry = Entry(self._size, leaf_hash(leaf), leaf, self._at, type_, ready.salt)
        self._pending.append(_Pending(entry, ready, n, person, self._last, self._frame))
        self._size, self._last, self._frame = self._size + 1, entry.leaf_hash, frame
        if tag is not None and n is not None:
            self._people[tag] = PersonHead(n, entry.leaf_hash)
        return entry

    def mark(self) -> int:
        """Where the log stands now, for `rewind`."""
        return self._written + len(self._pending)

    def rewind(self, mark: int) -> None:
        """Forget what was appended after `mark`. Raises LogBusy when that has been flushed."""
        if not self._written <= mark <= self.mark():
            raise LogBusy("what was flushed cannot be taken back")
        while self.mark() > mark:
            undone = self._pending.pop()
            self._size, self._last = undone.entry.index, undone.hash_before
            self._frame = undone.frame_before
            tag = undone.ready.draft.tag
            if tag is not None and undone.person_before is not None:
                self._people[tag] = undone.person_before

    def flush(self, also: Sequence[Call] = (), *, commits: bool = False) -> Head:
        """Write what was appended: leaves, sealed details, persons' heads, the log's head; a statement each.

        `also` is what a caller has to write, before it and in the same exchange; with `commits` the caller's
        transaction ends here (`exchange.run` says what an error then leaves open). Raises LogBusy when the
        head row is not as it was locked, which no caller that holds the lock can see.
        """
        if not self._pending:
            run(self._conn, also, commits=commits)
            return self._head
        after = self.head
        self._move([*also, *self._to_write(), self._to_move(self._head, after)], commits=commits)
        self._head = after
        self._written += len(self._pending)
        self._pending.clear()
        return after

    def _move(self, calls: Sequence[Call], *, commits: bool) -> None:
        """Run these, the last of which moves the head, and commit once it has."""
        at_once = commits and self._conn.dialect.name == POSTGRESQL
        try:
            if not run(self._conn, calls, commits=at_once)[-1]:
                raise LogBusy("the head moved under the lock")
        except DataError as error:
            if getattr(error.orig, "sqlstate", None) == _DIVISION_BY_ZERO:  # nothing else here divides
                raise LogBusy("the head moved under the lock") from error
            raise
        if commits and not at_once:
            run(self._conn, (), commits=True)

    def _to_write(self) -> list[Call]:
        conn, shard = self._conn, self._shard
        leaves, sealed, tags = [], [], set()
        for pending in self._pending:
            entry, draft, closed = pending.entry, pending.ready.draft, pending.ready.closed
            place = (shard, entry.index, entry.leaf, entry.leaf_hash)
            leaves.append((*place, draft.type, draft.tag, pending.n, draft.about))
            if draft.tag is not None:
                tags.add(draft.tag)
            if closed is not None:
                sealed.append((shard, closed.sha256, entry.index, closed.epoch, closed.blob))
        heads = [(tag, self._people[tag]) for tag in sorted(tags)]
        people = [(shard, tag, head.n, head.leaf_hash) for tag, head in heads]
        return [
            *to_insert_tuples(conn, ledger_leaves, _OF_LEAF, leaves),
            *to_insert_tuples(conn, ledger_sealed, _OF_SEALED, sealed),
            *to_upsert_tuples(
                conn, ledger_subjects, ("shard", "tag"), ("n", "leaf_hash"), _OF_SUBJECT, people
            ),
        ]

    def _to_move(self, before: Head, after: Head) -> Call:
        return Call(
            _MOVE_HEAD,
            {
                "of_shard": self._shard,
                "size_before": before.size,
                "hash_before": before.leaf_hash,
                "new_size": after.size,
                "new_hash": after.leaf_hash,
                "new_at": after.at,
                "new_mac": None if self._head_mac is None else self._head_mac(after),
            },
        )

    def _person(self, tag: bytes) -> PersonHead:
        if tag not in self._people:
            self.load_subjects([tag])
        person = self._people[tag]
        if person is BROKEN:
            raise MalformedLeaf("the head of a person's chain is none")
        return person
