"""Reading events: an institution's own, beyond the number it has seen.

Invariant: who asks is an operator in good standing of the institution whose events they are; the request's
nonce is spent like any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from gateway.errors import Rejected
from gateway.events.telling import CORRECTED
from gateway.institutions.standing import require_active, signers_standings
from gateway.tables import events
from gateway.transaction import Transaction
from keys.instant import format_instant

if TYPE_CHECKING:
    from gateway.house import House
    from gateway.query.request import Signer

MAX_PAGE: Final = 1_000
ROLES: Final = frozenset({"query", "admin"})

# Built once: building a statement costs more than running it.
AFTER: Final = (
    sa.select(events)
    .where(events.c.institution == sa.bindparam("of"), events.c.seq > sa.bindparam("seen"))
    .order_by(events.c.seq)
    .limit(sa.bindparam("most"))
)


def events_of(house: House, signer: Signer, after: int, limit: int) -> list[dict[str, Any]]:
    """The events of the signer's institution with a `seq` above `after`, at most `limit`, in order.

    `Rejected` for an operator without standing or without one of `ROLES`.
    """
    house.transact(lambda tx: _require_reader(tx, signer), seals=False, nonce=signer.nonce)
    with house.read() as conn:
        return [event_members(row) for row in read_after(conn, signer.institution, after, limit)]


def read_after(conn: sa.Connection, institution: str, after: int, limit: int) -> list[sa.Row[Any]]:
    """Rows of `events` of one institution, in order."""
    return list(conn.execute(AFTER, {"of": institution, "seen": after, "most": limit}))


def event_members(row: sa.Row[Any]) -> dict[str, Any]:
    """One event as it is told: `consent_id`, or of a correction the `query_id` of what was answered."""
    named = "query_id" if row.kind == CORRECTED else "consent_id"
    return {
        "seq": row.seq,
        "kind": row.kind,
        named: row.name,
        "index": row.idx,
        "at": format_instant(row.at),
    }


def _require_reader(tx: Transaction, signer: Signer) -> None:
    require_active(tx, signer)
    standing = signers_standings(tx, [signer])[signer.known_by]
    if not ROLES & standing.roles:
        raise Rejected("role-not-permitted")
