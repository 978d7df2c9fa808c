"""All rows of an installation as one SQLite file, whichever engine they come from or go to.

Invariant: a copy is of one snapshot and of every table of the schema that the source is at, so that nothing
is left behind and nothing is added; rows are as they were, with their MACs, and prove themselves when read.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from gateway import db
from gateway.database_url import SQLITE
from gateway.errors import NotReady
from gateway.opening import newest_log
from ledger.tables import ledger_head

AT_ONCE = 2_000
_LEFT_OUT = {"alembic_version", "auditor_shards"}
Progress = Callable[[int], None]


def copy_rows(source: sa.Connection, to: sa.Connection, progress: Progress | None = None) -> int:
    """Every row of every table of `source` into the same, empty tables; how many. Nothing is committed."""
    copied = 0
    reading: Any = source.execution_options(yield_per=AT_ONCE)
    for table in _tables(source):
        for some in reading.execute(sa.select(table)).mappings().partitions():
            to.execute(sa.insert(table), [dict(row) for row in some])
            copied += len(some)
            if progress is not None:
                progress(len(some))
    return copied


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was copied: rows, the schema they are of, and how many leaves the log in use has there."""

    rows: int
    schema: str
    size: int


def write_snapshot(engine: sa.Engine, file: Path, progress: Progress | None = None) -> Snapshot:
    """A new SQLite `file` (mode 0600) with all rows as of one moment. Durable once it returns.

    `NotReady` when nothing is installed in the database, or something of a later release.
    """
    os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    target = db.open_engine(f"{SQLITE}{file}")
    try:
        with db.read(engine) as source:
            revision = db.revision_of(source)
            if revision is None:
                raise NotReady(db.EMPTY)
            require_known(revision)
            db.migrate_on(target, revision)
            with db.writing(target) as to:
                copied = copy_rows(source, to, progress)
                to.commit()
            head = ledger_head.c
            size = source.scalar(sa.select(head.size).where(head.shard == newest_log(source)))
    finally:
        target.dispose()
    _close_journal(file)
    if size is None:
        raise NotReady("init did not finish in that database: there is nothing to back up")
    return Snapshot(copied, revision, size)


def read_snapshot(file: Path, engine: sa.Engine, progress: Progress | None = None) -> int:
    """All rows of a snapshot into an empty database; how many. Both are at this release's schema."""
    source_engine = db.open_engine(f"{SQLITE}{file}")
    try:
        with db.read(source_engine) as source, db.writing(engine) as to:
            copied = copy_rows(source, to, progress)
            to.commit()
    finally:
        source_engine.dispose()
    return copied


def require_known(revision: str) -> None:
    """`NotReady` for a schema that this release has never heard of."""
    if not db.is_known(revision):
        raise NotReady(f"the schema {revision} is of a later release than this one: install that release")


def _tables(source: sa.Connection) -> list[sa.Table]:
    """The tables as they stand there: of this release, or of the one that is about to be upgraded."""
    found = sa.MetaData()
    found.reflect(source)
    return [table for table in found.sorted_tables if table.name not in _LEFT_OUT]


def _close_journal(file: Path) -> None:
    """Make one plain file of a database in WAL mode."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode=DELETE")
