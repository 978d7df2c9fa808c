"""A database for each test: a SQLite file of its home, or a database of its own on this run's PostgreSQL.

The server is `gateway.demo.postgres_server`, started when the first test asks for it and stopped at the end
(one for each pytest-xdist worker). The gateway runs there as in an installation: its login owns nothing.
Each test's database is copied from a template, migrated once, with its rights granted.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from gateway import db, grants, provision
from gateway.config import Settings
from gateway.demo.postgres_server import HOW_TO_ENABLE, NoPostgres, PostgresServer, postgres_server
from gateway.house import House

ENGINES = ("sqlite", "postgresql")
OWNER, GATEWAY, WITH_PASSWORD = "test_owner", "test_gateway", "test_with_password"
HBA = (f"local all {WITH_PASSWORD} scram-sha-256", "local all all trust")
TEMPLATE = "template_chengxin"
WHY = "no PostgreSQL"


class Postgres:
    """The run's server: databases made and dropped, superuser at hand."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self._serial = itertools.count(1)
        self.admin(
            f"CREATE ROLE {OWNER} LOGIN CREATEROLE",
            f"CREATE ROLE {GATEWAY} LOGIN",
            f"CREATE DATABASE {TEMPLATE} OWNER {OWNER} TEMPLATE template0 ENCODING 'UTF8'",
        )
        engine = db.open_engine(self.url(OWNER, TEMPLATE), owner=True)
        db.migrate_on(engine)
        grants.grant(engine, self.url(GATEWAY, TEMPLATE))
        engine.dispose()

    def url(self, user: str, database: str) -> str:
        return self.server.url(user, database)

    def connect(self, database: str = "postgres", user: str = "postgres") -> psycopg.Connection[Any]:
        """A connection that commits each statement, as the superuser unless told otherwise."""
        return psycopg.connect(
            host=str(self.server.sockets), user=user, dbname=database, autocommit=True, connect_timeout=10
        )

    def admin(self, *statements: str, database: str = "postgres") -> None:
        with self.connect(database) as conn:
            for statement in statements:
                conn.execute(statement)

    @contextmanager
    def database(self, template: str = TEMPLATE) -> Iterator[str]:
        """The name of a fresh database; dropped afterwards, whoever is still connected."""
        name = f"t{next(self._serial)}"
        self.admin(f"CREATE DATABASE {name} OWNER {OWNER} TEMPLATE {template} STRATEGY FILE_COPY")
        try:
            yield name
        finally:
            self.admin(f"DROP DATABASE {name} WITH (FORCE)")

    def cut_off(self, name: str) -> None:
        """End whoever is connected to a database: only a quiet one can be copied."""
        self.admin(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
        )

    def settings(self, name: str) -> dict[str, str]:
        """The settings of an installation on this database."""
        return {"database_url": self.url(GATEWAY, name), "database_owner_url": self.url(OWNER, name)}


class _Run:
    """What one pytest process has started."""

    def __init__(self) -> None:
        self.engine = "sqlite"
        self.closing = ExitStack()
        self.postgres: Postgres | None = None
        self.template: bytes | None = None
        self.why_not: str | None = None


RUN = _Run()


def postgres() -> Postgres:
    """This run's PostgreSQL; skips the test where none can be had, and fails it where `CI` is set."""
    if RUN.postgres is None and RUN.why_not is None:
        try:
            RUN.postgres = Postgres(RUN.closing.enter_context(postgres_server(hba=HBA)))
        except NoPostgres as error:
            RUN.why_not = str(error)
    if RUN.postgres is None:
        if os.environ.get("CI"):
            pytest.fail(f"{WHY}: {RUN.why_not}")
        pytest.skip(f"{WHY}: {RUN.why_not or HOW_TO_ENABLE}")
    return RUN.postgres


@contextmanager
def using(engine: str) -> Iterator[str]:
    """Have houses that are founded inside the block stand on this engine."""
    before, RUN.engine = RUN.engine, engine
    if engine == "postgresql":
        postgres()
    try:
        yield engine
    finally:
        RUN.engine = before


@contextmanager
def fresh(template: str = TEMPLATE) -> Iterator[dict[str, str]]:
    """Settings that name a fresh database of the engine in use; none for SQLite, whose default will do."""
    if RUN.engine == "sqlite":
        yield {}
        return
    server = postgres()
    with server.database(template) as name:
        yield server.settings(name)


def superuser(url: str) -> psycopg.Connection[Any]:
    """A connection to the database of this URL as somebody whom nothing there can stop."""
    return postgres().connect(name_of(url))


_migrate = provision.migrate


def migrated_once(settings: Settings) -> None:
    """In the place of `provision.migrate`: a new SQLite file is copied from one that was migrated before."""
    if settings.database_file is None:
        _migrate(settings)
        return
    if RUN.template is None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "gateway.db"
            db.migrate(f"sqlite:///{file}")
            RUN.template = file.read_bytes()
    settings.database_file.write_bytes(RUN.template)  # its mode stays the owner's


def name_of(url: str) -> str:
    """The database in a URL."""
    return sa.make_url(url).database or ""


@contextmanager
def snapshot(house: House, place: Path) -> Iterator[Callable[[], None]]:
    """A backup of the house's database as it stands, and how to put the database back to it."""
    file = house.settings.database_file
    if file is not None:
        _copy_file(file, place)
        yield lambda: _copy_file(place, file)
        return
    server, name = postgres(), name_of(house.settings.database_url)
    copy = f"{name}_backup"
    server.cut_off(name)
    server.admin(f"CREATE DATABASE {copy} TEMPLATE {name}")

    def restore() -> None:
        server.admin(
            f"DROP DATABASE {name} WITH (FORCE)", f"CREATE DATABASE {name} OWNER {OWNER} TEMPLATE {copy}"
        )

    try:
        yield restore
    finally:
        server.admin(f"DROP DATABASE {copy} WITH (FORCE)")


def _copy_file(source: Path, target: Path) -> None:
    """SQLite's own backup: a consistent copy, into a live database as well."""
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)


@contextmanager
def locked(house: House) -> Iterator[None]:
    """Somebody else holds the log's lock, and that of its checkpoint."""
    file = house.settings.database_file
    if file is not None:
        with closing(sqlite3.connect(file, timeout=10, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")
        return
    with superuser(house.settings.database_url) as conn, conn.transaction(force_rollback=True):
        conn.execute("SELECT 1 FROM ledger_head FOR UPDATE")
        conn.execute("SELECT 1 FROM ledger_published FOR UPDATE")
        yield


def impatient(house: House, milliseconds: int = 20) -> None:
    """This house's connections give up a lock soon, from here on."""

    def hurry(connection: Any, _record: object, _proxy: object) -> None:
        if house.settings.database_file is not None:
            connection.execute(f"PRAGMA busy_timeout={milliseconds}")
        else:
            connection.execute(f"SET lock_timeout = {milliseconds}")
            connection.commit()

    sa.event.listen(house.engine, "checkout", hurry)
