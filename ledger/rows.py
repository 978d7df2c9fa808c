"""Rows of the ledger as they are read and locked: heads and leaves.

Invariant: whoever appends has locked the head row first, by `lock_head`. Leaves below a head that was read
never change, so that reading them needs no lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from sqlalchemy import Connection, Insert, Table, bindparam, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from ledger.errors import LogBusy
from ledger.exchange import Reading, alone
from ledger.fixed import Both, Call
from ledger.merkle import HASH_SIZE
from ledger.sets import same
from ledger.tables import ledger_head, ledger_leaves

NO_HASH: Final = bytes(HASH_SIZE)
_LEAVES_PER_READ: Final = 1_024

# Built once: building a statement costs more than running it.
_OF_HEAD: Final = select(
    ledger_head.c.size, ledger_head.c.leaf_hash, ledger_head.c.at, ledger_head.c.mac
).where(ledger_head.c.shard == bindparam("of_shard"))
_HEAD: Final = same(_OF_HEAD)
_LOCKED_HEAD: Final = same(_OF_HEAD.with_for_update())


@dataclass(frozen=True, slots=True)
class Head:
    """A log's head: number of leaves, hash of the last one (zeros when there is none), its time (ms).

    `mac` is what the writer put beside it, if anything, and no part of the value.
    """

    size: int
    leaf_hash: bytes
    at: int
    mac: bytes | None = field(default=None, compare=False, repr=False)


def open_shard(conn: Connection, shard: int) -> Head:
    """Give a new log its head row. Raises IntegrityError when it has one."""
    head = Head(0, NO_HASH, 0)
    conn.execute(
        insert(ledger_head).values(shard=shard, size=head.size, leaf_hash=head.leaf_hash, at=head.at)
    )
    return head


def lock_head(conn: Connection, shard: int) -> Head:
    """Lock the log until the caller's transaction ends. Raises LogBusy when there is no such log.

    On SQLite the caller's BEGIN IMMEDIATE is the lock, and FOR UPDATE is not rendered.
    """
    return alone(conn, locking_head(shard))


def locking_head(shard: int) -> Reading[Head]:
    """The same as a reading: the first of its exchange, in a transaction that has read nothing yet.

    A statement of its own: under READ COMMITTED each one that follows, in the same exchange too, takes its
    snapshot when its turn comes, and so sees all that was committed while this one waited.
    """
    return _head(_LOCKED_HEAD, shard)


def read_head(conn: Connection, shard: int) -> Head:
    """The head without the lock: for publishing and for looking."""
    return alone(conn, _head(_HEAD, shard))


def _head(statement: Both, shard: int) -> Reading[Head]:
    rows = yield Call(statement, {"of_shard": shard})
    if not rows:
        raise LogBusy("the log has not been opened")
    return Head(*rows[0])


def read_leaf(conn: Connection, shard: int, index: int) -> bytes | None:
    """One leaf, or None beyond the end."""
    columns = ledger_leaves.c
    leaf = conn.execute(select(columns.leaf).where(columns.shard == shard, columns.idx == index)).scalar()
    return None if leaf is None else _as_stored(leaf)


def read_leaves(conn: Connection, shard: int, start: int, end: int) -> Iterator[bytes]:
    """Leaves start..end-1 in order, about a thousand at a time. Raises LogBusy at a gap."""
    columns = ledger_leaves.c
    for first in range(start, end, _LEAVES_PER_READ):
        last = min(end, first + _LEAVES_PER_READ)
        rows = conn.execute(
            select(columns.leaf)
            .where(columns.shard == shard, columns.idx >= first, columns.idx < last)
            .order_by(columns.idx)
        ).all()
        if len(rows) != last - first:
            raise LogBusy("leaves that the head counts are not there")
        for row in rows:
            yield _as_stored(row.leaf)


def _as_stored(leaf: bytes | str) -> bytes:
    """The bytes of a leaf's cell: an intruder can leave text in SQLite, to be shown and not stumbled over."""
    return leaf.encode() if isinstance(leaf, str) else bytes(leaf)


def upsert(conn: Connection, table: Table, key: tuple[str, ...], columns: tuple[str, ...]) -> Insert:
    """INSERT ... ON CONFLICT (key) DO UPDATE of the columns given, in the dialect of the connection."""
    return _upsert(conn.dialect.name, table, key, columns)


def insert_or_nothing(conn: Connection, table: Table, key: tuple[str, ...]) -> Insert:
    """INSERT ... ON CONFLICT (key) DO NOTHING; its rowcount says whether a row was made."""
    statement = _insert(conn.dialect.name, table).on_conflict_do_nothing(index_elements=key)
    return statement.execution_options(preserve_rowcount=True)  # SQLAlchemy keeps an INSERT's on request only


@cache
def _upsert(dialect: str, table: Table, key: tuple[str, ...], columns: tuple[str, ...]) -> Insert:
    """Built once, like the statements above: every commit runs some."""
    statement = _insert(dialect, table)
    assigned = {name: statement.excluded[name] for name in columns}
    return statement.on_conflict_do_update(index_elements=key, set_=assigned)


def _insert(dialect: str, table: Table) -> postgresql.Insert | sqlite.Insert:
    """The dialect's own INSERT, which knows ON CONFLICT."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
