"""The database engine: one writer at a time, durable once COMMIT returns.

Invariant: a transaction opened by `writing` owns the log for its whole length (SQLite: BEGIN IMMEDIATE; on
PostgreSQL the head row's lock, taken by `ledger.log.lock_head`, does the same), and a read opened by `read`
sees one snapshot. SQLite runs in WAL mode with `synchronous=FULL`, so a committed leaf survives a power cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event

from gateway.errors import NotReady

BUSY_MS = 30_000
_SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA secure_delete=ON",
    "PRAGMA recursive_triggers=ON",  # else INSERT OR REPLACE would slip past the DELETE trigger
    f"PRAGMA busy_timeout={BUSY_MS}",
)


def open_engine(url: str) -> sa.Engine:
    """An engine on `url`; for SQLite transactions begin as this module says, not as the driver would."""
    engine = sa.create_engine(url, pool_size=32, max_overflow=32)
    if engine.dialect.name == "sqlite":
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
    with engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def _alembic(url: str) -> Iterator[Config]:
    with as_file(files("gateway") / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder))
        config.attributes["url"] = url
        yield config


def migrate(url: str) -> None:
    """Bring the schema at `url` to the newest revision, from nothing or from an older one."""
    with _alembic(url) as config:
        command.upgrade(config, "head")


def require_current(engine: sa.Engine, url: str) -> None:
    """Refuse to work on a schema that is not exactly the newest (`NotReady`)."""
    with _alembic(url) as config:
        newest = ScriptDirectory.from_config(config).get_current_head()
    with read(engine) as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    if found != newest:
        raise NotReady(f"the database schema is at {found or 'nothing'}, this release needs {newest}")
