"""The sole writer of the ledger, inside the caller's transaction.

Invariant: between `lock_head` and the caller's commit nobody else appends to this log, so that every leaf
names the leaf before it, and every person's leaf the one before it, without a gap. Nothing here commits or
reads a clock.

    head = lock_head(conn, shard)                 # its own statement: the snapshot is taken after the wait
    log = Appender(conn, shard, origin, head, at=max(now, head.at), ...)
    log.load_subjects(tags)                       # one read for the whole batch
    mark = log.mark(); log.append(draft)          # in memory; log.rewind(mark) undoes what a savepoint undid
    log.flush()                                   # four statements, however many leaves
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, bindparam, select, update

from keys.canonical import b64u, canonical, sha256_hex
from keys.instant import format_instant
from keys.signing import Random
from ledger.bodies import PolicyChanged
from ledger.entries import Leaf, Sealed, Subject, format_parsed, parse_body, parse_by
from ledger.errors import LogBusy, MalformedLeaf
from ledger.exchange import Reading, alone, run
from ledger.fixed import Call
from ledger.merkle import HASH_SIZE, leaf_hash
from ledger.rows import NO_HASH, Head, lock_head, open_shard, read_head
from ledger.sets import both, same, to_insert, to_upsert
from ledger.tables import ledger_head, ledger_leaves, ledger_sealed, ledger_subjects

__all__ = ["Appender", "Draft", "Entry", "Head", "lock_head", "open_shard", "read_head"]

TAG_SIZE: Final = 16
SALT_SIZE: Final = 16
_TAGS_PER_READ: Final = 10_000  # well under SQLite's 32,766 bound values

# Built once: building a statement costs more than running it.
_PEOPLE: Final = both(
    lambda among: select(ledger_subjects.c.tag, ledger_subjects.c.n, ledger_subjects.c.leaf_hash).where(
        ledger_subjects.c.shard == bindparam("of_shard"), among(ledger_subjects.c.tag, "tags")
    )
)
_MOVE_HEAD: Final = same(
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

Seal = Callable[[bytes, bytes], tuple[str, bytes]]
"""(JCS of the details, the leaf's salt) -> (id of the sealing key, sealed blob)."""
HeadMac = Callable[[Head], bytes]
"""head -> what tells later that this writer made it."""
Wrap = Callable[[bytes, str], bytes]
"""(sealed blob, its SHA-256 in hex) -> the blob wrapped under the epoch key, as it is stored."""


class Draft(msgspec.Struct, frozen=True):
    """What a caller wants recorded. `body` and `by` are JSON values.

    `tag` is 16 bytes for a leaf about a person; `details` are sealed to the regulator; `about` is a column to
    search by (a consent's id, say), not in the leaf.
    """

    type: str
    body: Mapping[str, Any]
    tag: bytes | None = None
    by: Mapping[str, str] | None = None
    details: Mapping[str, Any] | None = None
    about: str | None = None


class Entry(msgspec.Struct, frozen=True):
    """A leaf as appended: `leaf` is its canonical bytes, `at` in ms; hash 32 bytes, salt 16."""

    index: int
    leaf_hash: bytes
    leaf: bytes
    at: int
    type: str
    salt: bytes


class _PersonHead(msgspec.Struct, frozen=True):
    n: int
    leaf_hash: bytes


class _Pending(msgspec.Struct, frozen=True):
    """An entry not yet written, with what `rewind` needs to go back before it."""

    row: dict[str, object]
    sealed: dict[str, object] | None
    tag: bytes | None
    head_before: Head
    person_before: _PersonHead | None
    policy_before: str


_NOBODY_YET: Final = _PersonHead(0, NO_HASH)
_BROKEN: Final = _PersonHead(-1, NO_HASH)
"""Of a row that is no head: SQLite keeps whatever an intruder leaves in a column."""


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
        when `at` is before the head's time.
        """
        if at < head.at:
            raise LogBusy("time would run backwards in the log")
        self._conn = conn
        self._shard = shard
        self._origin = origin
        self._head = head
        self._at = at
        self._policy = policy_hash
        self._random = random
        self._head_mac = head_mac
        self._seal = seal
        self._wrap = wrap
        self._epoch = epoch
        self._people: dict[bytes, _PersonHead] = {}
        self._pending: list[_Pending] = []
        self._written = 0

    @property
    def head(self) -> Head:
        """The head as it will be after `flush`."""
        return self._head

    def load_subjects(self, tags: Iterable[bytes]) -> None:
        """Read the heads of these persons' chains in one statement; a tag without a row is a new person's."""
        alone(self._conn, self.reading_subjects(tags))

    def reading_subjects(self, tags: Iterable[bytes]) -> Reading[None]:
        """The same as a reading, to be read with others."""
        wanted = sorted(set(tags) - self._people.keys())
        for first in range(0, len(wanted), _TAGS_PER_READ):
            some = wanted[first : first + _TAGS_PER_READ]
            found = yield Call(_PEOPLE, {"of_shard": self._shard, "tags": some})
            self._people.update(dict.fromkeys(some, _NOBODY_YET))
            for row in found:
                self._people[row.tag] = _person_head(row.n, row.leaf_hash)

    def continues(self, tag: bytes) -> bool:
        """Whether a leaf about this person can be appended: not where the head of their chain is broken."""
        return self._people.get(tag) is not _BROKEN

    def append(self, draft: Draft) -> Entry:
        """Make the next leaf. Raises MalformedLeaf, and then nothing was appended.

        A tag that `load_subjects` was not given is read here: right, but a round trip more under the lock.
        """
        if (draft.type == "log.opened") != (self._head.size == 0):
            raise MalformedLeaf("a log is opened once, by its first leaf")
        person = self._person(draft.tag)
        salt = self._random(SALT_SIZE)
        body = parse_body(draft.type, draft.body)
        policy = body.policy if isinstance(body, PolicyChanged) else self._policy
        sealed, sealed_row = self._sealed(draft.details, salt)
        leaf = format_parsed(
            Leaf(
                log=self._origin,
                index=self._head.size,
                prev=self._head.leaf_hash.hex(),
                at=format_instant(self._at),
                salt=b64u(salt),
                type=draft.type,
                body=body,
                policy=policy,
                subject=_subject(draft.tag, person),
                by=parse_by(draft.by),
                sealed=sealed,
            )
        )
        entry = Entry(self._head.size, leaf_hash(leaf), leaf, self._at, draft.type, salt)
        self._take(draft, entry, person, sealed_row, policy)
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
            self._head, self._policy = undone.head_before, undone.policy_before
            if undone.tag is not None and undone.person_before is not None:
                self._people[undone.tag] = undone.person_before

    def flush(self, also: Sequence[Call] = ()) -> Head:
        """Write what was appended: leaves, sealed details, persons' heads, the log's head; a statement each.

        `also` is what a caller has to write, before it and in the same exchange. Raises LogBusy when the head
        row is not as it was locked, which no caller that holds the lock can see.
        """
        if not self._pending:
            run(self._conn, also)
            return self._head
        before = self._pending[0].head_before
        tags = sorted({pending.tag for pending in self._pending if pending.tag is not None})
        sealed = [pending.sealed for pending in self._pending if pending.sealed is not None]
        people = [
            {
                "shard": self._shard,
                "tag": tag,
                "n": self._people[tag].n,
                "leaf_hash": self._people[tag].leaf_hash,
            }
            for tag in tags
        ]
        conn = self._conn
        calls = [
            *also,
            *to_insert(conn, ledger_leaves, [pending.row for pending in self._pending]),
            *to_insert(conn, ledger_sealed, sealed),
            *to_upsert(conn, ledger_subjects, ("shard", "tag"), ("n", "leaf_hash"), people),
            self._to_move(before),
        ]
        if not run(conn, calls)[-1]:
            raise LogBusy("the head moved under the lock")
        self._written += len(self._pending)
        self._pending.clear()
        return self._head

    def _to_move(self, before: Head) -> Call:
        return Call(
            _MOVE_HEAD,
            {
                "of_shard": self._shard,
                "size_before": before.size,
                "hash_before": before.leaf_hash,
                "new_size": self._head.size,
                "new_hash": self._head.leaf_hash,
                "new_at": self._head.at,
                "new_mac": None if self._head_mac is None else self._head_mac(self._head),
            },
        )

    def _person(self, tag: bytes | None) -> _PersonHead | None:
        if tag is None:
            return None
        if len(tag) != TAG_SIZE:
            raise MalformedLeaf("a tag is 16 bytes")
        if tag not in self._people:
            self.load_subjects([tag])
        person = self._people[tag]
        if person is _BROKEN:
            raise MalformedLeaf("the head of a person's chain is none")
        return person

    def _sealed(
        self, details: Mapping[str, Any] | None, salt: bytes
    ) -> tuple[Sealed | None, dict[str, object] | None]:
        """The leaf's member and the row, for details that the regulator may open."""
        if details is None:
            return None, None
        if self._seal is None or self._wrap is None:
            raise MalformedLeaf("details, and no key to seal them with")
        key, blob = self._seal(canonical(dict(details)), salt)
        digest = sha256_hex(blob)
        row: dict[str, object] = {
            "shard": self._shard,
            "sha256": bytes.fromhex(digest),
            "idx": self._head.size,
            "epoch": self._epoch,
            "blob": self._wrap(blob, digest),
        }
        return Sealed(key, digest), row

    def _take(
        self,
        draft: Draft,
        entry: Entry,
        person: _PersonHead | None,
        sealed_row: dict[str, object] | None,
        policy: str,
    ) -> None:
        """Count the entry in: row to write, new heads."""
        row: dict[str, object] = {
            "shard": self._shard,
            "idx": entry.index,
            "leaf": entry.leaf,
            "leaf_hash": entry.leaf_hash,
            "type": entry.type,
            "tag": draft.tag,
            "n": None if person is None else person.n + 1,
            "about": draft.about,
        }
        self._pending.append(_Pending(row, sealed_row, draft.tag, self._head, person, self._policy))
        self._head = Head(entry.index + 1, entry.leaf_hash, entry.at)
        self._policy = policy
        if draft.tag is not None and person is not None:
            self._people[draft.tag] = _PersonHead(person.n + 1, entry.leaf_hash)


def _person_head(n: object, last: object) -> _PersonHead:
    if isinstance(n, int) and n > 0 and isinstance(last, bytes) and len(last) == HASH_SIZE:
        return _PersonHead(n, last)
    return _BROKEN


def _subject(tag: bytes | None, person: _PersonHead | None) -> Subject | None:
    if tag is None or person is None:
        return None
    return Subject(b64u(tag), person.n + 1, person.leaf_hash.hex())
