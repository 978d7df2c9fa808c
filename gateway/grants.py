"""Who may do what in a PostgreSQL database: three roles, their rights as tables, and the SQL for them.

    owner     owns the tables; logs in for `chengxin database migrate|grant` and never otherwise
    runtime   the gateway; may append to the ledger, and change only what is not the ledger
    auditor   reads leaves of the logs assigned to its login, up to the published checkpoint, and no more

Invariant: a table that is not named here is closed to everybody but the owner, and a right that is not named
is taken away again. The statements may be run as often as one likes; after a migration they have to be.
`chengxin_runtime` and `chengxin_auditor` hold the rights and cannot log in; logins are made their members.
Row-level security hides from auditors what is not theirs; the runtime's own policy lets everything pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import sqlalchemy as sa

from gateway import db
from gateway.errors import NotReady
from ledger.rows import insert_or_nothing
from ledger.tables import auditor_shards

RUNTIME: Final = "chengxin_runtime"
AUDITOR: Final = "chengxin_auditor"

_APPEND: Final = "SELECT, INSERT"
_REPLACE: Final = "SELECT, INSERT, UPDATE"
_FREE: Final = "SELECT, INSERT, UPDATE, DELETE"

RUNTIME_RIGHTS: Final[dict[str, str]] = {
    "alembic_version": "SELECT",
    "auditor_shards": "",
    "ledger_leaves": _APPEND,
    "ledger_sealed": _APPEND,
    "ledger_head": _REPLACE,
    "ledger_subjects": _REPLACE,
    "ledger_published": _REPLACE,
    "installation": _APPEND,
    "policies": _APPEND,
    "published_keys": _REPLACE,
    "institutions": _REPLACE,
    "operators": _REPLACE,
    "subjects": _FREE,
    "subject_index": _FREE,
    "data_keys": _FREE,
    "citizen_keys": _FREE,
    "consent_requests": _REPLACE,
    "grants": _FREE,
    "queries": _REPLACE,
    "pending_queries": _FREE,
    "quota_counts": _FREE,
    "throttled": _FREE,
    "webauthn_challenges": _FREE,
    "request_nonces": _FREE,
    "records": _FREE,
    "holds": _REPLACE,
    "erasures": _REPLACE,
    "spent_certificates": _APPEND,
    "custody_copies": _REPLACE,
    "events": _APPEND,
    "webhooks": _FREE,
    "expiries": _FREE,
    "contacts": _FREE,
    "outbox": _FREE,
    "noticed": _REPLACE,
}
"""What the gateway does with each table. Deleted is only what counts, expires or is erased by order."""

AUDITOR_COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "ledger_leaves": ("shard", "idx", "leaf", "leaf_hash", "type", "tag", "n"),
    "ledger_sealed": ("shard", "sha256", "idx", "epoch", "blob"),
    "ledger_published": ("shard", "size", "note"),
    "policies": ("hash", "body", "idx"),
    "published_keys": ("use", "kid", "public", "holder", "changed_index"),
    "auditor_shards": ("login", "shard"),
}
"""Columns, so that a later one is closed until it stands here; `about`, which names rows, never does."""

_MINE: Final = "SELECT mine.shard FROM auditor_shards AS mine WHERE mine.login = session_user"
_ASSIGNED: Final = f"shard IN ({_MINE})"
_SIZE: Final = "SELECT theirs.size FROM ledger_published AS theirs WHERE theirs.shard = "
AUDITOR_SEES: Final[dict[str, str]] = {
    "ledger_leaves": f"{_ASSIGNED} AND idx < ({_SIZE} ledger_leaves.shard)",
    "ledger_sealed": f"{_ASSIGNED} AND idx < ({_SIZE} ledger_sealed.shard)",
    "ledger_published": _ASSIGNED,
    "auditor_shards": "login = session_user",
}
"""Rows, by table. `session_user` is who logged in: SET ROLE does not change it."""


def statements(owner: str, runtime: str, database: str) -> Iterator[str]:
    """The SQL, in order, for the logins `owner` and `runtime` of `database`. Run by the owner of the tables.

    Where owner and runtime are one login (a demo, a first try) the rights are still given to the roles, but
    that login keeps an owner's.
    """
    for role in (RUNTIME, AUDITOR):
        yield _role(role)
    if runtime != owner:
        yield _member(runtime, RUNTIME)
    yield f"REVOKE ALL ON DATABASE {_name(database)} FROM PUBLIC"
    yield f"REVOKE ALL ON DATABASE {_name(database)} FROM {RUNTIME}, {AUDITOR}"
    yield f"GRANT CONNECT ON DATABASE {_name(database)} TO {RUNTIME}, {AUDITOR}"
    yield f"REVOKE ALL ON SCHEMA public FROM PUBLIC, {RUNTIME}, {AUDITOR}"
    yield f"GRANT USAGE ON SCHEMA public TO {RUNTIME}, {AUDITOR}"
    yield f"REVOKE ALL ON {', '.join(RUNTIME_RIGHTS)} FROM PUBLIC, {RUNTIME}, {AUDITOR}"
    yield "REVOKE EXECUTE ON FUNCTION ledger_refuse(), ledger_move_on() FROM PUBLIC"
    for table, rights in RUNTIME_RIGHTS.items():
        if rights:
            yield f"GRANT {rights} ON {table} TO {RUNTIME}"
    for table, columns in AUDITOR_COLUMNS.items():
        yield f"GRANT SELECT ({', '.join(map(_name, columns))}) ON {table} TO {AUDITOR}"
    for table, condition in AUDITOR_SEES.items():
        yield f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"
        yield f"DROP POLICY IF EXISTS gateway ON {table}"
        yield f"CREATE POLICY gateway ON {table} TO {RUNTIME} USING (true) WITH CHECK (true)"
        yield f"DROP POLICY IF EXISTS auditor ON {table}"
        yield f"CREATE POLICY auditor ON {table} FOR SELECT TO {AUDITOR} USING ({condition})"


def _role(role: str) -> str:
    """CREATE ROLE IF NOT EXISTS, which PostgreSQL does not have; two databases may do it at once."""
    return (
        f"DO $$ BEGIN IF to_regrole('{role}') IS NULL THEN CREATE ROLE {role} NOLOGIN; END IF; "
        "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    )


def _member(login: str, role: str) -> str:
    """Make a login a member of a role, unless the administrator did."""
    return (
        f"DO $$ BEGIN IF NOT pg_has_role({_text(login)}, '{role}', 'MEMBER') THEN "
        f"GRANT {role} TO {_name(login)}; END IF; END $$"
    )


def _text(value: str) -> str:
    """A quoted string (PostgreSQL manual, 4.1.2.1)."""
    return "'" + value.replace("'", "''") + "'"


def _name(identifier: str) -> str:
    """A quoted identifier (PostgreSQL manual, 4.1.1)."""
    return '"' + identifier.replace('"', '""') + '"'


def script(owner: str, runtime: str, database: str) -> str:
    """The same as a script for a database administrator: one transaction."""
    lines = [f"{statement};" for statement in statements(owner, runtime, database)]
    return "\n".join(["BEGIN;", *lines, "COMMIT;"]) + "\n"


def grant(engine: sa.Engine, runtime_url: str) -> None:
    """Give and take rights as the tables above say, in one transaction, on an engine of the owner's."""
    owner, database = engine.url.username or "", engine.url.database or ""
    runtime = sa.make_url(runtime_url).username or ""
    with db.writing(engine) as connection:
        # Roles are the whole server's: grants in two databases may meet.
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('chengxin grants'))")
        for statement in statements(owner, runtime, database):
            connection.exec_driver_sql(statement)
        connection.commit()


def assign_auditor(engine: sa.Engine, login: str, shard: int, *, remove: bool = False) -> None:
    """Let a login read one log as an auditor, or no longer. Raises NotReady for a login that is not there."""
    row = {"login": login, "shard": shard}
    with db.writing(engine) as connection:
        if connection.scalar(sa.text("SELECT 1 FROM pg_roles WHERE rolname = :login"), row) is None:
            raise NotReady(f"no login {login} there: have an administrator make it (CREATE ROLE ... LOGIN)")
        if remove:
            mine = auditor_shards.c
            connection.execute(sa.delete(auditor_shards).where(mine.login == login, mine.shard == shard))
        else:
            connection.exec_driver_sql(_member(login, AUDITOR))
            connection.execute(insert_or_nothing(connection, auditor_shards, ("login", "shard")).values(row))
        connection.commit()


_EXCESS: Final = """
SELECT r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolreplication AS mighty,
       pg_has_role(r.oid, c.relowner, 'MEMBER') AS owns,
       has_table_privilege(r.oid, c.oid, 'UPDATE, DELETE, TRUNCATE, TRIGGER') AS rewrites,
       has_schema_privilege(r.oid, 'public', 'CREATE') AS creates
FROM pg_roles AS r, pg_class AS c
WHERE r.rolname = current_user AND c.oid = 'ledger_leaves'::regclass
"""


def excess(connection: sa.Connection) -> list[str]:
    """What the role of this connection may do beyond the gateway's need, in words; empty as it should be."""
    found = connection.exec_driver_sql(_EXCESS).one()
    said = {
        "is a superuser, creates roles, replicates or passes row-level security": found.mighty,
        "owns the ledger's tables": found.owns,
        "may rewrite the ledger's leaves": found.rewrites,
        "may create objects in the schema": found.creates,
    }
    return [words for words, true in said.items() if true]


def require_modest(connection: sa.Connection) -> None:
    """`NotReady` when the gateway's login may do more than its work."""
    if found := excess(connection):
        raise NotReady(
            f"the login of database_url {' and '.join(found)}: give the gateway a login of its own, name the "
            "owner in database_owner_url, and run `chengxin database grant`"
        )
