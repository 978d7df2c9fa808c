"""The schema and the sessions on PostgreSQL: what is migrated is the metadata, and how every session runs."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
import structlog
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from gateway import db, grants, postgresql
from gateway.errors import NotReady
from keys.errors import CustodyPermissions
from ledger.rows import lock_head, open_shard, read_head
from ledger.tables import ledger_head, metadata
from tests import databases

ROOT = Path(__file__).parents[3]


@dataclass
class Place:
    """An empty database and its URLs."""

    name: str
    owner: str
    gateway: str


@pytest.fixture
def empty() -> Iterator[Place]:
    server = databases.postgres()
    with server.database("template0") as name:
        yield Place(name, server.url(databases.OWNER, name), server.url(databases.GATEWAY, name))


@pytest.fixture
def migrated() -> Iterator[Place]:
    server = databases.postgres()
    with server.database() as name:
        yield Place(name, server.url(databases.OWNER, name), server.url(databases.GATEWAY, name))


@pytest.fixture
def engine(migrated: Place) -> Iterator[sa.Engine]:
    made = db.open_engine(migrated.gateway)
    yield made
    made.dispose()


def test_the_migrated_schema_is_the_metadata(migrated: Place) -> None:
    owner = db.open_engine(migrated.owner, owner=True)
    with db.read(owner) as conn:
        opts = {"compare_type": True, "compare_server_default": True}
        assert compare_metadata(MigrationContext.configure(conn, opts=opts), metadata) == []
    with db.writing(owner) as conn:
        conn.execute(sa.text("ALTER TABLE grants ADD COLUMN forgotten TEXT"))
        conn.commit()
    with db.read(owner) as conn:
        assert compare_metadata(MigrationContext.configure(conn), metadata)  # it would find a difference
    owner.dispose()


def test_every_trigger_fires_always(migrated: Place) -> None:
    with databases.postgres().connect(migrated.name) as conn:
        found = conn.execute("SELECT tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal").fetchall()
    assert {state for _, state in found} == {"A"}
    assert {name for name, _ in found} == {
        "ledger_leaves_refuse",
        "ledger_sealed_refuse",
        "ledger_head_refuse",
        "ledger_subjects_refuse",
        "ledger_published_refuse",
        "ledger_head_move_on",
        "ledger_published_move_on",
    }


def test_migrating_twice_at_once_is_migrating_once(empty: Place) -> None:
    """Two processes: Alembic keeps its state in the module."""
    words = [sys.executable, "-c", f"from gateway import db; db.migrate({empty.owner!r})"]
    running = [subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE) for _ in range(2)]
    said = [process.communicate(timeout=120)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    owner = db.open_engine(empty.owner, owner=True)
    db.require_current(owner)
    owner.dispose()


def test_a_migration_that_fails_leaves_nothing(empty: Place) -> None:
    with databases.postgres().connect(empty.name, databases.OWNER) as conn:
        conn.execute("CREATE TABLE records (mine integer)")
    with pytest.raises(sa.exc.ProgrammingError, match="records"):
        db.migrate(empty.owner)
    with databases.postgres().connect(empty.name) as conn:
        tables = conn.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert tables == [("records",)]


def test_a_schema_of_another_release_is_refused(migrated: Place, engine: sa.Engine) -> None:
    db.require_current(engine)
    with databases.postgres().connect(migrated.name) as conn:
        conn.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(NotReady, match="9999"):
        db.require_current(engine)


SESSION = {
    "application_name": "chengxin",
    "synchronous_commit": "on",
    "lock_timeout": "30s",
    "statement_timeout": "1min",
    "idle_in_transaction_session_timeout": "30s",
    "search_path": "public,pg_temp",
    "client_encoding": "UTF8",
    "TimeZone": "UTC",
}


def test_a_session_runs_as_we_say_whatever_the_databases_defaults_are(migrated: Place) -> None:
    with databases.postgres().connect() as conn:
        for name, value in (
            ("synchronous_commit", "off"),
            ("default_transaction_isolation", "serializable"),
            ("default_transaction_read_only", "off"),
            ("search_path", "pg_catalog"),
            ("timezone", "'Asia/Shanghai'"),
        ):
            conn.execute(f"ALTER DATABASE {migrated.name} SET {name} = {value}")
    engine = db.open_engine(migrated.gateway)
    with db.writing(engine) as conn:
        shown = {name: conn.exec_driver_sql(f"SHOW {name}").scalar() for name in SESSION}
        assert shown == SESSION
        assert conn.exec_driver_sql("SHOW transaction_isolation").scalar() == "read committed"
        assert conn.exec_driver_sql("SHOW transaction_read_only").scalar() == "off"
    with db.read(engine) as conn:
        assert conn.exec_driver_sql("SHOW transaction_isolation").scalar() == "repeatable read"
        assert conn.exec_driver_sql("SHOW transaction_read_only").scalar() == "on"
    with db.writing(engine) as conn:  # the same connection, put back
        assert conn.exec_driver_sql("SHOW transaction_isolation").scalar() == "read committed"
    engine.dispose()


def test_a_read_is_one_snapshot_and_writes_nothing(engine: sa.Engine) -> None:
    with db.writing(engine) as conn:
        open_shard(conn, 0)
        conn.commit()
    with db.read(engine) as reader:
        before = read_head(reader, 0)
        with db.writing(engine) as conn:
            conn.execute(sa.update(ledger_head).values(size=5))
            conn.commit()
        assert read_head(reader, 0) == before
    with pytest.raises(sa.exc.DBAPIError, match="read-only"), db.read(engine) as reader:
        reader.execute(sa.update(ledger_head).values(size=6))


def test_who_waits_for_the_head_sees_what_was_committed_meanwhile(engine: sa.Engine) -> None:
    """The head's lock is a statement of its own: what follows it takes its snapshot after the wait."""
    with db.writing(engine) as conn:
        open_shard(conn, 0)
        conn.commit()
    seen: list[int] = []
    begun = threading.Event()

    def waits() -> None:
        with db.writing(engine) as conn:
            conn.exec_driver_sql("SELECT 1")
            begun.set()
            seen.append(lock_head(conn, 0).size)
            seen.append(read_head(conn, 0).size)

    with db.writing(engine) as conn:
        lock_head(conn, 0)
        thread = threading.Thread(target=waits)
        thread.start()
        assert begun.wait(30)
        conn.execute(sa.update(ledger_head).values(size=7))
        conn.commit()
    thread.join(30)
    assert seen == [7, 7]


def test_a_server_that_acknowledges_before_it_is_durable_is_refused(engine: sa.Engine) -> None:
    with db.read(engine) as conn:
        conn.exec_driver_sql("SET LOCAL synchronous_commit = local")
        with pytest.raises(NotReady, match="synchronous_commit"):
            postgresql.require_fit(conn)


def test_a_server_that_a_power_cut_may_corrupt_is_named(engine: sa.Engine) -> None:
    """This run's server is one: it never waits for the disk."""
    with structlog.testing.capture_logs() as logs, db.read(engine) as conn:
        postgresql.require_fit(conn)
    assert [(line["event"], line["off"]) for line in logs] == [
        ("database.not_durable", ["fsync", "full_page_writes"])
    ]


def test_a_database_of_another_encoding_is_refused() -> None:
    server = databases.postgres()
    server.admin("CREATE DATABASE latin OWNER test_owner TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    engine = db.open_engine(server.url(databases.OWNER, "latin"), owner=True)
    try:
        with pytest.raises(NotReady, match="LATIN1"), db.read(engine) as conn:
            postgresql.require_fit(conn)
    finally:
        engine.dispose()
        server.admin("DROP DATABASE latin WITH (FORCE)")


def test_an_old_server_is_refused() -> None:
    class Old:
        def exec_driver_sql(self, statement: str) -> sa.Result[tuple[str]]:
            return sa.engine.result.IteratorResult(
                sa.engine.result.SimpleResultMetaData(["x"]), iter([("140011",)])
            )

    with pytest.raises(NotReady, match="PostgreSQL 15"):
        postgresql.require_fit(Old())  # type: ignore[arg-type]


def test_a_broken_connection_is_replaced_before_it_is_used(migrated: Place, engine: sa.Engine) -> None:
    with db.writing(engine) as conn:
        pid = conn.exec_driver_sql("SELECT pg_backend_pid()").scalar()
    databases.postgres().cut_off(migrated.name)
    with db.writing(engine) as conn:
        assert conn.exec_driver_sql("SELECT pg_backend_pid()").scalar() != pid


# --- passwords ---


@pytest.fixture
def secret(migrated: Place, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A login that the server asks for a password, and the file with it."""
    server = databases.postgres()
    server.admin(
        f"DROP ROLE IF EXISTS {databases.WITH_PASSWORD}",
        f"CREATE ROLE {databases.WITH_PASSWORD} LOGIN PASSWORD 'correct horse 中' IN ROLE {grants.RUNTIME}",
    )
    file = tmp_path / "password"
    file.write_text("correct horse 中\n")
    file.chmod(0o600)
    yield server.url(databases.WITH_PASSWORD, migrated.name), file
    server.admin(f"DROP ROLE {databases.WITH_PASSWORD}")


def test_the_password_comes_from_its_file_when_a_connection_is_made(secret: tuple[str, Path]) -> None:
    url, file = secret
    engine = db.open_engine(url, file)
    try:
        with db.read(engine) as conn:
            assert conn.exec_driver_sql("SELECT current_user").scalar() == databases.WITH_PASSWORD
        assert "horse" not in repr(engine.url) + str(engine.url)
        engine.dispose()
        file.write_text("wrong\n")
        with pytest.raises(sa.exc.OperationalError) as refused, db.read(engine):
            pass
        assert "wrong" not in str(refused.value)
    finally:
        engine.dispose()


def test_without_its_password_file_that_login_is_refused(secret: tuple[str, Path]) -> None:
    engine = db.open_engine(secret[0])
    with pytest.raises(sa.exc.OperationalError), db.read(engine):
        pass
    engine.dispose()


def test_a_password_file_that_others_may_read_is_refused(secret: tuple[str, Path]) -> None:
    url, file = secret
    file.chmod(0o640)
    engine = db.open_engine(url, file)
    with pytest.raises(CustodyPermissions), db.read(engine):
        pass
    engine.dispose()


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines\n", b"zero\0", b"\xff\xfe"])
def test_a_password_file_holds_one_line(secret: tuple[str, Path], content: bytes) -> None:
    secret[1].write_bytes(content)
    with pytest.raises(NotReady, match="password file"):
        postgresql.read_password(secret[1])


def test_the_dialect_hands_back_what_was_stored(engine: sa.Engine) -> None:
    """Row evidence is computed over Python values: bytes must come back as bytes, big numbers whole."""
    table = metadata.tables["request_nonces"]
    row = {"key": "钥匙", "nonce": "n", "expires": 2**62}
    with db.writing(engine) as conn:
        conn.execute(table.insert(), row)
        assert dict(conn.execute(sa.select(table)).mappings().one()) == row
        head = metadata.tables["ledger_head"]
        conn.execute(head.insert(), {"shard": 1, "size": 2**53, "leaf_hash": bytes(range(32)), "at": 2**53})
        found = conn.execute(sa.select(head).where(head.c.shard == 1)).mappings().one()
        assert (type(found["leaf_hash"]), found["leaf_hash"]) == (bytes, bytes(range(32)))
        assert found["size"] == found["at"] == 2**53
