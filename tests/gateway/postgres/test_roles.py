"""What each role can do, by trying it on a real server as that role: the refusals most of all."""

from __future__ import annotations

import psycopg
import pytest
import sqlalchemy as sa

from gateway import db, grants, provision
from gateway.errors import NotReady
from gateway.opening import open_house
from ledger.tables import metadata
from tests import databases
from tests.gateway import kit
from tests.gateway.postgres.conftest import AUDITOR, Login
from tests.gateway.world import World

LEDGER = ("ledger_leaves", "ledger_sealed")
FORWARD = ("ledger_head", "ledger_subjects", "ledger_published")

RUNTIME_TRIES = {
    **{f"update-{table}": f"UPDATE {table} SET shard = shard" for table in LEDGER},
    **{
        f"delete-{table}": f"DELETE FROM {table}" for table in (*LEDGER, *FORWARD, "policies", "installation")
    },
    **{f"truncate-{table}": f"TRUNCATE {table}" for table in (*LEDGER, *FORWARD, "grants", "records")},
    "truncate-everything": "TRUNCATE ledger_head, ledger_leaves, ledger_sealed, ledger_subjects CASCADE",
    "disable-a-trigger": "ALTER TABLE ledger_leaves DISABLE TRIGGER ledger_leaves_refuse",
    "disable-all-triggers": "ALTER TABLE ledger_leaves DISABLE TRIGGER ALL",
    "drop-a-trigger": "DROP TRIGGER ledger_leaves_refuse ON ledger_leaves",
    "replace-its-function": "CREATE OR REPLACE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    "'BEGIN RETURN NULL; END'",
    "a-trigger-of-its-own": "CREATE TRIGGER mine BEFORE INSERT ON ledger_leaves "
    "EXECUTE FUNCTION ledger_refuse()",
    "a-rule": "CREATE RULE mine AS ON INSERT TO ledger_leaves DO INSTEAD NOTHING",
    "be-a-replica": "SET session_replication_role = replica",
    "drop-a-table": "DROP TABLE ledger_leaves",
    "alter-a-table": "ALTER TABLE ledger_leaves ADD COLUMN mine integer",
    "row-security-off": "ALTER TABLE ledger_leaves DISABLE ROW LEVEL SECURITY",
    "make-a-table": "CREATE TABLE mine (a integer)",
    "make-a-temporary-table": "CREATE TEMPORARY TABLE ledger_leaves (a integer)",
    "make-a-schema": "CREATE SCHEMA mine",
    "make-a-function": "CREATE FUNCTION mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "become-the-owner": f"SET ROLE {databases.OWNER}",
    "become-a-superuser": "ALTER ROLE current_user SUPERUSER",
    "make-a-role": "CREATE ROLE mine",
    "appoint-an-auditor": "INSERT INTO auditor_shards VALUES ('test_gateway', 0)",
    "copy-from-a-file": "COPY policies FROM '/etc/passwd'",
    "copy-to-a-program": "COPY (SELECT 1) TO PROGRAM 'true'",
    "read-a-file": "SELECT pg_read_file('/etc/passwd')",
    "change-the-schema-version": "UPDATE alembic_version SET version_num = '9999'",
}


@pytest.mark.parametrize("statement", RUNTIME_TRIES.values(), ids=RUNTIME_TRIES.keys())
def test_the_gateways_login_is_refused(shared: World, login: Login, statement: str) -> None:
    before = kit.leaves(shared.house)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        login(databases.GATEWAY).execute(statement)
    assert kit.leaves(shared.house) == before


def test_the_gateways_login_cannot_copy_leaves_in(shared: World, login: Login) -> None:
    """COPY FROM would go past nothing, but row-level security forbids it all the same."""
    conn = login(databases.GATEWAY)
    with pytest.raises(psycopg.Error), conn.cursor().copy("COPY ledger_leaves FROM STDIN") as copy:
        copy.write_row((0, 10**6, b"leaf", bytes(32), "x", None, None, None))
    assert not conn.execute("SELECT 1 FROM ledger_leaves WHERE idx = 1000000").fetchone()


def test_the_gateways_login_cannot_grant_itself_more(shared: World, login: Login) -> None:
    """PostgreSQL only warns; the right is not there afterwards."""
    before = rights(shared)
    login(databases.GATEWAY).execute("GRANT UPDATE, DELETE ON ledger_leaves TO chengxin_runtime")
    assert rights(shared) == before


def test_the_gateways_login_cannot_overwrite_a_leaf_by_upsert(login: Login) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        login(databases.GATEWAY).execute(
            "INSERT INTO ledger_leaves SELECT * FROM ledger_leaves WHERE idx = 1 "
            "ON CONFLICT (shard, idx) DO UPDATE SET leaf = ''"
        )


@pytest.mark.parametrize("table", ["ledger_head", "ledger_published"])
def test_head_and_checkpoint_only_move_forward(login: Login, table: str) -> None:
    for change in ("size = size - 1", "size = size", "size = 0", "shard = 1, size = size + 1"):
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="forward"):
            login(databases.GATEWAY).execute(f"UPDATE {table} SET {change}")


OWNER_TRIES = {
    "update": "UPDATE ledger_leaves SET leaf = '' WHERE idx = 1",
    "update-of-nothing": "UPDATE ledger_leaves SET leaf = '' WHERE false",
    "delete": "DELETE FROM ledger_leaves",
    "truncate": "TRUNCATE ledger_leaves",
    "truncate-with-others": "TRUNCATE grants, ledger_leaves",
    "upsert": "INSERT INTO ledger_leaves SELECT * FROM ledger_leaves WHERE idx = 1 "
    "ON CONFLICT (shard, idx) DO UPDATE SET leaf = ''",
    "delete-sealed": "DELETE FROM ledger_sealed",
    "truncate-sealed": "TRUNCATE ledger_sealed",
    "delete-head": "DELETE FROM ledger_head",
    "truncate-head": "TRUNCATE ledger_head",
    "delete-persons-heads": "DELETE FROM ledger_subjects",
    "delete-checkpoint": "DELETE FROM ledger_published",
    "truncate-checkpoint": "TRUNCATE ledger_published",
    "head-back": "UPDATE ledger_head SET size = size - 1",
}


@pytest.mark.parametrize("user", [databases.OWNER, "postgres"])
@pytest.mark.parametrize("statement", OWNER_TRIES.values(), ids=OWNER_TRIES.keys())
def test_a_mistake_of_the_owner_or_of_a_superuser_is_refused(
    shared: World, login: Login, user: str, statement: str
) -> None:
    """By triggers, in a session that calls itself a replica too. Who means it drops them first."""
    before = kit.leaves(shared.house)
    conn = login(user)
    if user == "postgres":
        conn.execute("SET session_replication_role = replica")
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation):
        conn.execute(statement)
    assert kit.leaves(shared.house) == before


# --- the auditor ---


def test_the_auditor_reads_the_published_leaves_and_no_later_ones(shared: World, login: Login) -> None:
    shared.publishing.publish_now()
    published = kit.size(shared.house)
    kit.insider(  # one leaf beyond the checkpoint, as it is for a moment after each commit
        shared.house,
        "INSERT INTO ledger_leaves SELECT shard, 900000, leaf, leaf_hash, type, NULL, NULL, NULL "
        "FROM ledger_leaves WHERE idx = 0",
    )
    conn = login(AUDITOR)
    seen = conn.execute("SELECT idx, leaf FROM ledger_leaves ORDER BY idx").fetchall()
    assert [row[0] for row in seen] == list(range(published))
    assert [bytes(row[1]) for row in seen] == [
        row[0]
        for row in kit.insider(shared.house, "SELECT leaf FROM ledger_leaves WHERE idx < 900000 ORDER BY idx")
    ]
    assert conn.execute("SELECT count(*) FROM ledger_sealed WHERE idx >= %s", [published]).fetchone() == (0,)
    assert conn.execute("SELECT count(*) FROM ledger_sealed").fetchone() != (0,)
    assert conn.execute("SELECT size FROM ledger_published").fetchone() == (published,)
    assert conn.execute("SELECT count(*) FROM policies").fetchone() == (1,)
    assert conn.execute("SELECT count(kid) FROM published_keys").fetchone() != (0,)


def test_the_auditor_sees_only_the_logs_assigned_to_that_login(shared: World, login: Login) -> None:
    conn = login(AUDITOR)
    kit.insider(shared.house, "INSERT INTO auditor_shards VALUES ('somebody_else', 3)")
    assert conn.execute("SELECT login, shard FROM auditor_shards").fetchall() == [(AUDITOR, 0)]
    with provision.as_owner(shared.house.settings) as engine:
        grants.assign_auditor(engine, AUDITOR, 0, remove=True)
        for table in ("ledger_leaves", "ledger_sealed", "ledger_published", "auditor_shards"):
            assert conn.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
        grants.assign_auditor(engine, AUDITOR, 0)
    assert conn.execute("SELECT count(*) FROM ledger_leaves").fetchone() != (0,)


def test_an_auditor_who_takes_the_group_role_sees_no_more(login: Login) -> None:
    conn = login(AUDITOR)
    whole = conn.execute("SELECT count(*) FROM ledger_leaves").fetchone()
    conn.execute(f"SET ROLE {grants.AUDITOR}")
    assert conn.execute("SELECT count(*) FROM ledger_leaves").fetchone() == whole
    conn.execute("RESET ROLE")


CLOSED = sorted(set(metadata.tables) - set(grants.AUDITOR_COLUMNS))


@pytest.mark.parametrize("table", CLOSED)
def test_the_auditor_reads_nothing_personal(login: Login, table: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        login(AUDITOR).execute(f"SELECT 1 FROM {table}")


AUDITOR_TRIES = {
    "which-row-a-leaf-is-about": "SELECT about FROM ledger_leaves",
    "all-columns": "SELECT * FROM ledger_leaves",
    "a-key-rows-mac": "SELECT mac FROM published_keys",
    "insert": "INSERT INTO ledger_leaves (shard, idx, leaf, leaf_hash, type) VALUES (0, 10000, '', '', '')",
    "update": "UPDATE ledger_leaves SET leaf = ''",
    "delete": "DELETE FROM ledger_leaves",
    "truncate": "TRUNCATE ledger_leaves",
    "assign-itself": f"INSERT INTO auditor_shards VALUES ('{AUDITOR}', 1)",
    "copy-in": "COPY ledger_leaves FROM '/dev/null'",
    "copy-personal": "COPY records TO STDOUT",
    "be-a-replica": "SET session_replication_role = replica",
    "no-row-security": "ALTER TABLE ledger_leaves DISABLE ROW LEVEL SECURITY",
    "become-the-gateway": f"SET ROLE {grants.RUNTIME}",
    "another-login": f"SET SESSION AUTHORIZATION {databases.GATEWAY}",
    "make-a-table": "CREATE TABLE mine (a integer)",
    "make-a-temporary-table": "CREATE TEMPORARY TABLE mine (a integer)",
}


@pytest.mark.parametrize("statement", AUDITOR_TRIES.values(), ids=AUDITOR_TRIES.keys())
def test_the_auditor_is_refused(login: Login, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        login(AUDITOR).execute(statement)


def test_the_auditor_cannot_switch_row_security_off(login: Login) -> None:
    """`row_security = off` makes a query fail that the policies would have filtered; it opens nothing."""
    conn = login(AUDITOR)
    conn.execute("SET row_security = off")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute("SELECT idx FROM ledger_leaves")
    conn.execute("RESET row_security")


def test_a_stranger_on_the_same_server_does_not_even_connect(login: Login) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        login("test_stranger")


# --- the grants themselves ---


def test_every_table_has_its_rights_written_down() -> None:
    assert set(grants.RUNTIME_RIGHTS) == {*metadata.tables, "alembic_version"}
    for table, columns in grants.AUDITOR_COLUMNS.items():
        assert set(columns) <= set(metadata.tables[table].columns.keys())
    assert set(grants.AUDITOR_SEES) <= set(grants.AUDITOR_COLUMNS)
    assert all("shard" in metadata.tables[table].columns for table in grants.AUDITOR_SEES)


def rights(world: World) -> list[tuple[object, ...]]:
    """Who may do what with which table or column, and the policies."""
    return kit.insider(
        world.house,
        "SELECT grantee::text, table_name::text, '', privilege_type::text "
        "FROM information_schema.table_privileges WHERE table_schema = 'public' UNION "
        "SELECT grantee, table_name, column_name, privilege_type FROM information_schema.column_privileges "
        "WHERE table_schema = 'public' UNION "
        "SELECT array_to_string(roles, ','), tablename, policyname, cmd FROM pg_policies ORDER BY 1, 2, 3, 4",
    )


def test_granting_again_changes_nothing_and_takes_away_what_was_added(shared: World) -> None:
    before = rights(shared)
    provision.grant(shared.house.settings)
    assert rights(shared) == before
    kit.insider(shared.house, "GRANT UPDATE ON ledger_leaves TO chengxin_runtime")
    kit.insider(shared.house, "GRANT SELECT ON records TO PUBLIC")
    kit.insider(shared.house, "GRANT SELECT (about) ON ledger_leaves TO chengxin_auditor")
    assert rights(shared) != before
    with pytest.raises(NotReady, match="rewrite"):
        open_house(shared.house.settings, shared.clock)
    provision.grant(shared.house.settings)
    assert rights(shared) == before
    house = shared.reopen()
    house.engine.dispose()
    house.custody.close()


def test_the_script_for_an_administrator_does_the_same(shared: World) -> None:
    before = rights(shared)
    kit.insider(shared.house, "REVOKE ALL ON ledger_leaves, grants FROM chengxin_runtime")
    settings = shared.house.settings
    script = grants.script(databases.OWNER, databases.GATEWAY, databases.name_of(settings.database_url))
    with databases.superuser(settings.database_url) as conn:
        conn.execute(script.encode())
    assert rights(shared) == before


def test_a_later_migrations_table_and_column_are_closed_until_granted(shared: World, login: Login) -> None:
    with provision.as_owner(shared.house.settings) as engine, db.writing(engine) as conn:
        conn.execute(sa.text("CREATE TABLE later (a integer)"))
        conn.execute(sa.text("ALTER TABLE ledger_leaves ADD COLUMN later integer"))
        conn.commit()
    try:
        for user in (databases.GATEWAY, AUDITOR):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                login(user).execute("SELECT * FROM later")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            login(AUDITOR).execute("SELECT later FROM ledger_leaves")
        login(databases.GATEWAY).execute("SELECT later FROM ledger_leaves")  # its table, its new column
    finally:
        kit.insider(shared.house, "DROP TABLE later")
        kit.insider(shared.house, "ALTER TABLE ledger_leaves DROP COLUMN later")


@pytest.mark.parametrize("user", [databases.OWNER, "postgres"])
def test_a_gateway_with_more_rights_than_it_needs_does_not_open(shared: World, user: str) -> None:
    settings = shared.house.settings
    name = databases.name_of(settings.database_url)
    mighty = settings.model_copy(update={"database_url": databases.postgres().url(user, name)})
    if user == databases.OWNER:
        mighty = mighty.model_copy(update={"database_owner_url": databases.postgres().url("postgres", name)})
    with pytest.raises(NotReady, match="database_owner_url"):
        open_house(mighty, shared.clock)


def test_one_login_for_everything_is_allowed_on_purpose_and_said(
    shared: World, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = shared.house.settings
    one = settings.model_copy(update={"database_url": settings.database_owner_url})
    house = open_house(one, shared.clock)
    house.engine.dispose()
    house.custody.close()
    assert "database.login_may_too_much" in capsys.readouterr().out
