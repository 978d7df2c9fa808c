"""Standing: who may act at all, read under the head's lock together with the leaf that last changed it.

Invariant: a standing row that is not what the ledger last said of it never counts as standing: it reads as
absent, which refuses, and raises an alert.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog

from consent.asks import Standing
from gateway import metrics, rows
from gateway.errors import Rejected
from gateway.tables import institutions, operators
from gateway.transaction import Transaction
from ledger.exchange import Reading, alone

if TYPE_CHECKING:
    from gateway.query.request import Signer

log = structlog.get_logger(__name__)


def standings(tx: Transaction, table: sa.Table, ids: Collection[str]) -> dict[str, Standing]:
    """The standing of each id that has one, in one statement."""
    return alone(tx.conn, reading_standings(tx, table, ids))


def reading_standings(tx: Transaction, table: sa.Table, ids: Collection[str]) -> Reading[dict[str, Standing]]:
    """The same as a reading, to be read with others."""
    key = rows.NAMED_BY[table.name][0]
    return {row[key]: _standing(row) for row in (yield from _evident(tx, table, ids))}


def signers_standings(tx: Transaction, signers: Iterable[Signer]) -> dict[tuple[str, str, str], Standing]:
    """The standing of those who signed, by `Signer.known_by`, in one statement.

    A request was authenticated by what stood in the row before the lock. Whose key or institution is another
    in the evident row has none: an insider could have lent the row a key of their own meanwhile.
    """
    return alone(tx.conn, reading_signers_standings(tx, signers))


def reading_signers_standings(
    tx: Transaction, signers: Iterable[Signer]
) -> Reading[dict[tuple[str, str, str], Standing]]:
    """The same as a reading, to be read with others."""
    found = yield from _evident(tx, operators, {signer.operator for signer in signers})
    return {(row["operator"], row["institution"], row["kid"]): _standing(row) for row in found}


def _evident(tx: Transaction, table: sa.Table, ids: Collection[str]) -> Reading[list[dict[str, Any]]]:
    key, evident = rows.NAMED_BY[table.name][0], list[dict[str, Any]]()
    for row in (yield from rows.reading_evident(table, key, ids, tx.house.shard)):
        if rows.is_evident(tx.house.custody, table, row):
            evident.append(row)
        else:
            metrics.EVIDENCE_BROKEN.labels(table.name).inc()
            log.error("evidence.broken", table=table.name, key=row[key])
    return evident


def _standing(row: Mapping[str, Any]) -> Standing:
    return Standing(
        state=row["state"],
        until=row["until"],
        roles=frozenset(row["roles"].split()),
        sector=row.get("sector", ""),
        kid=row.get("kid", ""),
    )


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


def require_active(tx: Transaction, signer: Signer) -> None:
    """`Rejected` unless operator and institution are both in good standing."""
    for standing, problem in (
        (standings(tx, institutions, [signer.institution]).get(signer.institution), "institution-suspended"),
        (signers_standings(tx, [signer]).get(signer.known_by), "operator-suspended"),
    ):
        if standing is None or not standing.active(tx.at):
            raise Rejected(problem)


def named(conn: sa.Connection) -> dict[str, str]:
    """The registered name of every institution."""
    return {
        row.institution: row.name
        for row in conn.execute(sa.select(institutions.c.institution, institutions.c.name))
    }
