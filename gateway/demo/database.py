"""The demo's database, a SQLite file or a PostgreSQL started for the demo and gone with it; and copies of it.

Invariant: the state itself is only read. A copy is taken from one snapshot; the insider edits copies only.
"""

from __future__ import annotations

import shutil
import sqlite3
import tomllib
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from gateway import db, grants
from gateway.config import CONFIG_NAME, Settings, format_config
from gateway.demo.failure import DemoFailed
from gateway.demo.postgres_server import NoPostgres, PostgresServer, postgres_server
from ledger.tables import metadata

OWNER: Final = "demo_owner"
GATEWAY: Final = "demo_gateway"
DATABASE: Final = "demo"
_SUPERUSER: Final = "postgres"
_FILE: Final = "gateway.db"
_TRIGGERS: Final = ("update", "delete", "replace")
_ROWS_AT_ONCE: Final = 2_000

Values = Mapping[str, str]
"""Settings that say where a database is; none for the SQLite file of a home."""


@contextmanager
def own_database() -> Iterator[tuple[Values, int]]:
    """Settings of an empty database for a gateway, and the server's major version. Raises DemoFailed."""
    try:
        with postgres_server() as server:
            engine = sa.create_engine(server.url(_SUPERUSER, "postgres"), isolation_level="AUTOCOMMIT")
            with closing(engine.connect()) as admin:
                admin.exec_driver_sql(f"CREATE ROLE {OWNER} LOGIN CREATEROLE")
                admin.exec_driver_sql(f"CREATE ROLE {GATEWAY} LOGIN")
                admin.exec_driver_sql(_empty(DATABASE))
            engine.dispose()
            yield _values(server, DATABASE), server.major
    except NoPostgres as error:
        raise DemoFailed(str(error)) from error


def _values(server: PostgresServer, database: str) -> Values:
    return {
        "database_url": server.url(GATEWAY, database),
        "database_owner_url": server.url(OWNER, database),
    }


@dataclass(frozen=True, slots=True)
class Kept:
    """The database as it was at one moment: a file, or the URL of a database that nobody is connected to."""

    file: Path | None
    url: sa.URL | None

    def forget(self) -> None:
        """Remove it."""
        if self.file is not None:
            self.file.unlink()
        if self.url is not None:
            _as_superuser(self.url, f'DROP DATABASE "{self.url.database}" WITH (FORCE)')


def keep(settings: Settings, to: Path) -> Kept:
    """A consistent copy of a database that is in use; on SQLite it is the file `to`."""
    source = settings.database_file
    if source is not None:
        to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(to)) as copy:
            live.backup(copy)
        return Kept(to, None)
    live_url = sa.make_url(settings.database_url)
    url = live_url.set(database=_new_name())
    _as_superuser(url, _empty(str(url.database)))
    _copy_rows(live_url, url)
    return Kept(None, url)


def stand_on(home: Path, kept: Kept) -> None:
    """Have the copied installation in `home` stand on a copy of its own of what was kept."""
    if kept.file is not None:
        shutil.copy2(kept.file, home / _FILE)
    if kept.url is not None:
        leave(home)
        url = kept.url.set(database=_new_name())
        template = f'"{kept.url.database}"'
        _as_superuser(url, f'CREATE DATABASE "{url.database}" OWNER {OWNER} TEMPLATE {template}')
        _configure(home, url)


def stand_on_nothing(home: Path) -> None:
    """Have the copied installation in `home` stand on an empty database of its own."""
    live = _url_of(home)
    if live is not None:
        url = live.set(database=_new_name())
        _as_superuser(url, _empty(str(url.database)))
        _configure(home, url)


def leave(home: Path) -> None:
    """Drop the database that the copied installation in `home` stands on; the demo's own is never one."""
    url = _url_of(home)
    if url is not None and url.database != DATABASE:
        _as_superuser(url, f'DROP DATABASE "{url.database}" WITH (FORCE)')


@contextmanager
def unguarded(home: Path) -> Iterator[sa.Connection]:
    """The database of a copy, opened as an insider would: past the gateway, its triggers out of the way."""
    url = _url_of(home)
    engine = sa.create_engine(
        f"sqlite:///{home / _FILE}" if url is None else url.set(username=_SUPERUSER), poolclass=sa.NullPool
    )
    with engine.connect() as connection:
        if url is None:
            for event in _TRIGGERS:
                connection.exec_driver_sql(f"DROP TRIGGER ledger_leaves_refuse_{event}")
        else:
            connection.exec_driver_sql("ALTER TABLE ledger_leaves DISABLE TRIGGER ALL")
        yield connection
        connection.commit()
    engine.dispose()


def _copy_rows(source: sa.URL, to: sa.URL) -> None:
    """Every row of every table, out of one snapshot, into an empty database of the same schema."""
    owner = to.set(username=OWNER)
    engine = db.open_engine(owner.render_as_string(hide_password=False), owner=True)
    db.migrate_on(engine)
    grants.grant(engine, to.set(username=GATEWAY).render_as_string(hide_password=False))
    engine.dispose()
    reading = sa.create_engine(
        source.set(username=_SUPERUSER), isolation_level="REPEATABLE READ", poolclass=sa.NullPool
    )
    writing = sa.create_engine(to.set(username=_SUPERUSER), poolclass=sa.NullPool)
    with reading.connect() as live, writing.connect() as copy:
        copy.exec_driver_sql("SET session_replication_role = replica")
        for table in metadata.sorted_tables:
            rows = live.execution_options(yield_per=_ROWS_AT_ONCE).execute(sa.select(table)).mappings()
            for some in rows.partitions():
                copy.execute(sa.insert(table), [dict(row) for row in some])
        copy.commit()


def _configure(home: Path, url: sa.URL) -> None:
    values = tomllib.loads((home / CONFIG_NAME).read_text("utf-8"))
    text = url.render_as_string(hide_password=False)
    owner = url.set(username=OWNER).render_as_string(hide_password=False)
    found = values | {"database_url": text, "database_owner_url": owner}
    (home / CONFIG_NAME).write_text(format_config(found), "utf-8")


def _url_of(home: Path) -> sa.URL | None:
    """The database of an installation's settings; None for the SQLite file of its home."""
    text = tomllib.loads((home / CONFIG_NAME).read_text("utf-8")).get("database_url")
    return None if text is None else sa.make_url(text)


def _as_superuser(url: sa.URL, statement: str) -> None:
    """One statement beside the databases, as the superuser of the demo's own server."""
    admin = url.set(username=_SUPERUSER, database="postgres")
    engine = sa.create_engine(admin, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


def _empty(database: str) -> str:
    """The statement that makes an empty database."""
    return f"CREATE DATABASE \"{database}\" OWNER {OWNER} TEMPLATE template0 ENCODING 'UTF8'"


def _new_name() -> str:
    return f"copy_{uuid.uuid4().hex}"
