"""Standing: who may act at all, read under the head's lock together with the leaf that last changed it.

Invariant: a standing row that is not what the ledger last said of it never counts as standing: it reads as
absent, which refuses, and raises an alert.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
import structlog

from consent.decision import Standing
from gateway import metrics, rows
from gateway.errors import Rejected
from gateway.tables import institutions, operators
from gateway.transaction import Transaction

log = structlog.get_logger(__name__)


def standings(tx: Transaction, table: sa.Table, ids: Collection[str]) -> dict[str, Standing]:
    """The standing of each id that has one, in one statement."""
    key = rows.NAMED_BY[table.name][0]
    known = {}
    for row in rows.read_evident(tx.conn, table, key, ids, tx.house.shard):
        if rows.is_evident(tx.house.custody, table, row):
            known[row[key]] = Standing(
                row["state"], row["until"], frozenset(row["roles"].split()), row.get("sector", "")
            )
        else:
            metrics.EVIDENCE_BROKEN.labels(table.name).inc()
            log.error("evidence.broken", table=table.name, key=row[key])
    return known


def standing_row(tx: Transaction, table: sa.Table, name: str) -> dict[str, Any]:
    """One whole, evident row to be changed; `Rejected` when there is none."""
    found = rows.read_evident(tx.conn, table, rows.NAMED_BY[table.name][0], [name], tx.house.shard)
    if not found:
        raise Rejected("not-found", f"no {table.name[:-1]} {name} is registered")
    rows.require_evident(tx.house.custody, table, found[0])
    return found[0]


def require_standing(tx: Transaction, institution: str, role: str) -> None:
    """`Rejected` unless the institution is registered, active and has the role."""
    standing = standings(tx, institutions, [institution]).get(institution)
    if standing is None:
        raise Rejected("not-found", f"institution {institution} is not registered")
    if not standing.active(tx.at):
        raise Rejected("institution-suspended", f"institution {institution} is suspended")
    if role not in standing.roles:
        raise Rejected("role-not-permitted", f"institution {institution} has no role {role}")


def require_active(tx: Transaction, institution: str, operator: str) -> None:
    """`Rejected` unless operator and institution are both in good standing."""
    for table, name, problem in (
        (institutions, institution, "institution-suspended"),
        (operators, operator, "operator-suspended"),
    ):
        standing = standings(tx, table, [name]).get(name)
        if standing is None or not standing.active(tx.at):
            raise Rejected(problem)


def named(conn: sa.Connection) -> dict[str, str]:
    """The registered name of every institution."""
    return {
        row.institution: row.name
        for row in conn.execute(sa.select(institutions.c.institution, institutions.c.name))
    }
