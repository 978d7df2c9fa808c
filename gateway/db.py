"""The database engine: one writer at a time, durable once COMMIT returns. SQLite or PostgreSQL, alike.

Invariant: a transaction opened by `writing` owns the log for its whole length (SQLite: BEGIN IMMEDIATE; on
PostgreSQL the head row's lock, taken by `ledger.log.lock_head` as its own statement under READ COMMITTED,
does the same), and a read opened by `read` sees one snapshot. SQLite runs in WAL mode with
`synchronous=FULL`, PostgreSQL with `synchronous_commit`, so a committed leaf survives a power cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event

from gateway import postgresql
from gateway.database_url import is_postgresql
from gateway.errors import NotReady

BUSY_MS = 30_000
EMPTY = "the database is empty: name another in database_url, or bring it back (the runbook's restore.md)"
"""What a command says of a database without a schema: more often lost, or another, than never made."""
POOL = 32  # connections kept, and as many again when the threads need them
_SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA secure_delete=ON",
    "PRAGMA recursive_triggers=ON",  # else INSERT OR REPLACE would slip past the DELETE trigger
    f"PRAGMA busy_timeout={BUSY_MS}",
)


def open_engine(url: str, password_file: Path | None = None, *, owner: bool = False) -> sa.Engine:
    """An engine on `url` whose transactions are as this module says, not as driver or server would have them.

    `password_file` serves PostgreSQL only; `owner` says that migrations and grants run on it.
    """
    if is_postgresql(url):
        engine = sa.create_engine(
            url,
            pool_size=1 if owner else POOL,
            max_overflow=0 if owner else POOL,
            isolation_level="READ COMMITTED",
            connect_args=postgresql.connect_arguments(owner=owner),
        )
        postgresql.prepare(engine, password_file)
        return engine
    engine = sa.create_engine(url, pool_size=POOL, max_overflow=POOL)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    event.listen(engine, "checkin", _end_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    for pragma in _SQLITE_PRAGMAS:
        connection.execute(pragma)


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("chengxin_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _end_sqlite(connection: Any, _record: object) -> None:
    """A failed COMMIT may leave its transaction, and the write lock, open; SQLAlchemy takes it for ended."""
    if connection is not None and connection.in_transaction:
        connection.rollback()


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection in a writing transaction. The house commits it; whatever is not committed rolls back."""
    with engine.connect().execution_options(chengxin_writes=True) as connection:
        connection.begin()
        yield connection


@contextmanager
def read(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A reading transaction on one snapshot."""
    options: dict[str, Any] = {}
    if engine.dialect.name == "postgresql":
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


def clock_of(connection: sa.Connection) -> int | None:
    """The database server's clock (ms), None on SQLite, which has none of its own."""
    if connection.dialect.name != "postgresql":
        return None
    now = sa.text("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
    return int(connection.execute(now).scalar_one())


def require_sound(connection: sa.Connection) -> None:
    """`LedgerUnavailable` when a statement failed and its failure was passed over.

    PostgreSQL then takes nothing more until the savepoint is rolled back; SQLite undoes the statement alone.
    """
    if connection.dialect.name == "postgresql":
        postgresql.require_sound(connection)


@contextmanager
def _alembic(engine: sa.Engine | None = None) -> Iterator[Config]:
    with as_file(files("gateway") / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder))
        config.attributes["engine"] = engine
        yield config


def migrate(url: str, password_file: Path | None = None, revision: str = "head") -> None:
    """Bring the schema at `url` to a revision, from nothing or from an older one.

    On PostgreSQL `url` is the owner's; `gateway.provision.migrate` sees to the other roles' rights as well.
    """
    engine = open_engine(url, password_file, owner=True)
    try:
        migrate_on(engine, revision)
    finally:
        engine.dispose()


def migrate_on(engine: sa.Engine, revision: str = "head") -> None:
    """The same on an engine of the owner's."""
    with _alembic(engine) as config:
        command.upgrade(config, revision)


@cache
def newest_revision() -> str:
    """The revision that this release works on."""
    with _alembic() as config:
        return str(ScriptDirectory.from_config(config).get_current_head())


def is_known(revision: str) -> bool:
    """Whether this release can bring a schema of this revision to its own."""
    with _alembic() as config:
        scripts = ScriptDirectory.from_config(config)
        return revision in {script.revision for script in scripts.walk_revisions()}


def revision_of(connection: sa.Connection) -> str | None:
    """The revision that the schema is at, None for a database without one."""
    return MigrationContext.configure(connection).get_current_revision()


def require_current(engine: sa.Engine) -> None:
    """Refuse to work on a schema that is not exactly the newest, or on an unfit server (`NotReady`)."""
    newest = newest_revision()
    with read(engine) as connection:
        if engine.dialect.name == "postgresql":
            postgresql.require_fit(connection)
        found = revision_of(connection)
    if found is None:
        raise NotReady(EMPTY)
    if found != newest:
        what = "stop the server and run `chengxin upgrade`" if is_known(found) else "install its release"
        raise NotReady(f"the database schema is at {found}, this release needs {newest}: {what}")
