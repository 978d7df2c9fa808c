"""The database of an installation: made for init, brought to the newest schema, taken back when init fails.

Invariant: nothing is founded in a database that holds anything of ours already, two inits never meet in one
database, and what a failed init wrote is gone afterwards, so that it can simply be run again. What alters
the schema logs in as the owner, everything else as the gateway.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
import structlog

from gateway import db, grants, postgresql
from gateway.config import Settings
from gateway.database_url import is_postgresql
from gateway.errors import NotReady
from ledger.tables import ledger_head, metadata

log = structlog.get_logger(__name__)


def engine_of(settings: Settings) -> sa.Engine:
    """The engine that the gateway itself runs on."""
    return db.open_engine(settings.database_url, settings.database_password_file)


def owner_engine(settings: Settings) -> sa.Engine:
    """The engine of the tables' owner, for what alters the schema."""
    file = settings.database_owner_password_file
    if settings.database_owner_url == settings.database_url:
        file = file or settings.database_password_file
    return db.open_engine(settings.database_owner_url, file, owner=True)


@contextmanager
def as_owner(settings: Settings) -> Iterator[sa.Engine]:
    """`owner_engine` for the length of a block."""
    engine = owner_engine(settings)
    try:
        yield engine
    finally:
        engine.dispose()


def migrate(settings: Settings) -> None:
    """Bring the schema to this release's and, on PostgreSQL, the rights to what `gateway.grants` says."""
    with as_owner(settings) as engine:
        db.migrate_on(engine)
        if is_postgresql(settings.database_url):
            grants.grant(engine, settings.database_url)


def grant(settings: Settings) -> None:
    """Give and take rights again, without touching the schema (PostgreSQL)."""
    with as_owner(settings) as engine:
        grants.grant(engine, settings.database_url)


def schema_of(settings: Settings) -> str | None:
    """The revision that the schema is at, None for an empty database."""
    with as_owner(settings) as engine, db.read(engine) as connection:
        return db.revision_of(connection)


def status(settings: Settings) -> dict[str, str]:
    """Engine, schema, and what the gateway's login may do beyond its work, in words."""
    engine = engine_of(settings)
    try:
        with db.read(engine) as connection:
            shown = {"engine": "SQLite", "schema": db.revision_of(connection) or "none"}
            if settings.database_file is None:
                version = connection.exec_driver_sql("SHOW server_version").scalar_one()
                too_much = "; ".join(grants.excess(connection)) or "nothing"
                shown |= {"engine": f"PostgreSQL {version}", "login may too": too_much}
            return shown
    finally:
        engine.dispose()


def require_fit(settings: Settings, engine: sa.Engine) -> None:
    """Refuse a database that is not this release's, or a login that may do more than the gateway's work.

    Where owner and gateway are one login on purpose (a demo, a first try) that is only said.
    """
    db.require_current(engine)
    if not is_postgresql(settings.database_url):
        return
    with db.read(engine) as connection:
        if settings.database_owner_url != settings.database_url:
            grants.require_modest(connection)
        elif found := grants.excess(connection):
            log.warning("database.login_may_too_much", may=found, hint="set database_owner_url")


def require_untouched(settings: Settings) -> None:
    """`NotReady` where a SQLite database stands already; `founding` looks into one on PostgreSQL."""
    file = settings.database_file
    if file is not None and file.exists():
        raise NotReady(f"{file} is there already, from an earlier init: nothing was changed")


@contextmanager
def founding(settings: Settings) -> Iterator[None]:
    """A database ready for the founding transaction; whatever was done to it is undone if the block fails."""
    with _alone(settings):
        prepared = _require_empty(settings)
        try:
            if not prepared:
                migrate(settings)
            yield
        except BaseException:
            _take_back(settings)
            raise


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Hold this database against another init: SQLite's file is made new, PostgreSQL has a lock for it."""
    file = settings.database_file
    if file is not None:
        # An empty file that only its owner may read; SQLite gives -wal and -shm the same mode.
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        yield
        return
    with as_owner(settings) as engine, engine.connect() as connection:
        # A lock of the session: it is not idle in a transaction, which would be ended.
        alone = connection.execution_options(isolation_level="AUTOCOMMIT")
        if not alone.exec_driver_sql("SELECT pg_try_advisory_lock(hashtext('chengxin init'))").scalar():
            raise NotReady("another init is at work in this database: nothing was changed")
        yield


def _require_empty(settings: Settings) -> bool:
    """Whether an administrator has made the empty tables already. `NotReady` when anything stands in them."""
    if settings.database_file is not None:
        return False
    with as_owner(settings) as engine, db.read(engine) as connection:
        postgresql.require_fit(connection)
        found = {*metadata.tables, "alembic_version"} & set(sa.inspect(connection).get_table_names())
        if not found:
            return False
        if db.revision_of(connection) != db.newest_revision():
            raise NotReady("tables of another release stand in that database: nothing was changed")
        if connection.scalar(sa.select(sa.func.count()).select_from(ledger_head)):
            raise NotReady("a log stands in that database already: nothing was changed")
    return True


def _take_back(settings: Settings) -> None:
    """Remove what a failed init made. Its own failure is said, and never hides why init failed."""
    file = settings.database_file
    if file is not None:
        for suffix in ("", "-wal", "-shm"):
            file.with_name(file.name + suffix).unlink(missing_ok=True)
        return
    try:
        with as_owner(settings) as engine, db.writing(engine) as connection:
            names = ", ".join(sorted({*metadata.tables, "alembic_version"}))
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {names}")
            connection.exec_driver_sql("DROP FUNCTION IF EXISTS ledger_refuse(), ledger_move_on()")
            connection.commit()
    except sa.exc.DBAPIError as error:
        log.error("init.not_taken_back", error=type(error).__name__, hint="drop this database's tables")
