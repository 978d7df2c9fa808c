"""The schema as it is installed: triggers over the leaves, durability, a baseline equal to the metadata."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from gateway import db, tables
from gateway.errors import NotReady
from ledger.tables import ledger_leaves, metadata
from tests.gateway import kit
from tests.gateway.world import World

REWRITES = {
    "update": "UPDATE ledger_leaves SET leaf = x'00' WHERE idx = 3",
    "update-of-a-column": "UPDATE ledger_leaves SET about = 'x'",
    "delete": "DELETE FROM ledger_leaves WHERE idx = (SELECT max(idx) FROM ledger_leaves)",
    "delete-all": "DELETE FROM ledger_leaves",
    "insert-or-replace": "INSERT OR REPLACE INTO ledger_leaves "
    "SELECT shard, idx, x'00', leaf_hash, type, tag, n, about FROM ledger_leaves WHERE idx = 3",
    "replace-into": "REPLACE INTO ledger_leaves SELECT * FROM ledger_leaves WHERE idx = 1",
    "upsert": "INSERT INTO ledger_leaves SELECT * FROM ledger_leaves WHERE idx = 1 "
    "ON CONFLICT DO UPDATE SET leaf = x'00'",
    "update-or-replace": "UPDATE OR REPLACE ledger_leaves SET idx = 1 WHERE idx = 2",
}


@pytest.mark.parametrize("statement", REWRITES.values(), ids=REWRITES.keys())
def test_a_leaf_is_never_rewritten_through_the_engine(world: World, statement: str) -> None:
    before = kit.leaves(world.house)
    with (
        pytest.raises(sa.exc.IntegrityError, match="leaf of the ledger"),
        db.writing(world.house.engine) as conn,
    ):
        conn.execute(sa.text(statement))
    assert kit.leaves(world.house) == before


def test_nor_by_the_sqlite_shell(world: World) -> None:
    """A connection of one's own, without our pragmas."""
    import sqlite3

    before = kit.leaves(world.house)
    for name in ("update", "delete-all", "insert-or-replace", "replace-into"):
        with pytest.raises(sqlite3.IntegrityError):
            kit.insider(world.house, REWRITES[name])
    assert kit.leaves(world.house) == before


@pytest.fixture
def fresh(tmp_path: Path) -> sa.Engine:
    """An engine on a migrated, empty database."""
    url = f"sqlite:///{tmp_path / 'new.db'}"
    db.migrate(url)
    return db.open_engine(url)


def test_the_migrated_schema_is_the_metadata(fresh: sa.Engine) -> None:
    with db.read(fresh) as conn:
        context = MigrationContext.configure(
            conn, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, metadata) == []
    fresh.dispose()


def test_the_comparison_would_find_a_difference(fresh: sa.Engine) -> None:
    with db.writing(fresh) as conn:
        conn.execute(sa.text("DROP TABLE queries"))
        conn.execute(sa.text("ALTER TABLE grants ADD COLUMN forgotten TEXT"))
        conn.commit()
    with db.read(fresh) as conn:
        found = compare_metadata(MigrationContext.configure(conn), metadata)
    assert {change[0] for change in found if isinstance(change, tuple)} >= {"add_table", "remove_column"}
    fresh.dispose()


def test_the_triggers_come_with_the_baseline(fresh: sa.Engine) -> None:
    with db.read(fresh) as conn:
        names = set(conn.scalars(sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")))
    assert names == {f"ledger_leaves_refuse_{what}" for what in ("update", "delete", "replace")}
    fresh.dispose()


def test_migrating_again_changes_nothing(fresh: sa.Engine) -> None:
    url = str(fresh.url)
    db.migrate(url)
    db.require_current(fresh)
    fresh.dispose()


def test_a_schema_of_another_release_is_refused(fresh: sa.Engine) -> None:
    with db.writing(fresh) as conn:
        conn.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        conn.commit()
    with pytest.raises(NotReady, match=r"at 9999.*install its release"):
        db.require_current(fresh)
    fresh.dispose()


def test_an_older_schema_is_upgraded_and_an_empty_database_is_looked_for(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    engine = db.open_engine(url)
    with pytest.raises(NotReady, match=r"is empty: .* restore\.md"):
        db.require_current(engine)
    db.migrate(url, revision="0001")
    with pytest.raises(NotReady, match=r"at 0001.*`chengxin upgrade`"):
        db.require_current(engine)
    engine.dispose()


def test_a_commit_is_durable_and_one_writer_writes(fresh: sa.Engine) -> None:
    with db.read(fresh) as conn:
        pragma = {
            name: conn.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "recursive_triggers")
        }
    assert pragma == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
        "recursive_triggers": 1,
    }
    fresh.dispose()


def test_what_is_not_committed_is_rolled_back(world: World) -> None:
    before = kit.size(world.house)
    row = {"institution": "x", "query": "y", "idx": 1}
    with pytest.raises(sa.exc.IntegrityError), db.writing(world.house.engine) as conn:
        conn.execute(sa.insert(tables.queries), [row, row])
    with db.writing(world.house.engine) as conn:
        conn.execute(tables.queries.insert(), {"institution": "x", "query": "z", "idx": 1})
    assert not kit.insider(world.house, "SELECT 1 FROM queries WHERE institution = 'x'")
    assert kit.size(world.house) == before


def test_a_connection_is_never_given_back_with_a_transaction_open(world: World) -> None:
    """A COMMIT that failed leaves one; the next who takes the connection must not find it, nor the lock."""
    with world.house.engine.connect() as conn:
        raw = conn.connection.dbapi_connection
        assert raw is not None
        raw.execute("BEGIN IMMEDIATE")
        raw.execute("INSERT INTO queries (institution, query, idx) VALUES ('x', 'y', 1)")
    assert not raw.in_transaction
    assert kit.insider(world.house, "SELECT count(*) FROM queries WHERE institution = 'x'") == [(0,)]


def test_only_portable_types_stand_in_the_schema() -> None:
    used = {type(column.type) for table in metadata.tables.values() for column in table.columns}
    assert used == {sa.BigInteger, sa.Integer, sa.LargeBinary, sa.Text}
    assert ledger_leaves.name in metadata.tables
