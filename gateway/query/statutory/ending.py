"""What time does to statutory queries: one that nobody approved lapses, one that was deferred is unsealed.

Invariant: neither needs hands. Once a deferral is over a leaf under the person's tag names the query's first
leaf, whatever became of the query, so that nothing stays hidden from the person for longer than the statute
allows; for somebody nobody knows it stands under another one-time tag. A damaged row holds up no other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from consent.decision import Reason
from gateway import metrics
from gateway.errors import EvidenceBroken
from gateway.people.subjects import find_by_number
from gateway.query.statutory.leaves import end
from gateway.query.statutory.stored import PENDING, Held, about_query, change, held_query
from gateway.tables import pending_queries
from gateway.transaction import Transaction

if TYPE_CHECKING:
    from gateway.house import House

CHUNK = 100

log = structlog.get_logger(__name__)

LAPSING = (
    sa.select(pending_queries.c.institution, pending_queries.c.query)
    .where(pending_queries.c.state == PENDING, pending_queries.c.lapses_at <= sa.bindparam("now"))
    .order_by(pending_queries.c.lapses_at)
    .limit(CHUNK)
)
SEALED = (
    sa.select(pending_queries.c.institution, pending_queries.c.query)
    .where(
        pending_queries.c.deferred_until <= sa.bindparam("now"), pending_queries.c.unsealed_index.is_(None)
    )
    .order_by(pending_queries.c.deferred_until)
    .limit(CHUNK)
)


def lapse_pending(house: House) -> int:
    """Let the queries lapse that nobody approved in time, a chunk at once; how many did."""
    return _each(house, LAPSING, _lapse, seals=True)


def unseal_due(house: House) -> int:
    """Join the queries whose deferral is over to their persons, a chunk at once; how many were."""
    return _each(house, SEALED, _unseal, seals=False)


def _each(
    house: House, due: sa.Select[tuple[str, str]], turn: Callable[[Transaction, Held], bool], *, seals: bool
) -> int:
    with house.read() as conn:
        found = conn.execute(due, {"now": house.clock()}).all()
    if not found:
        return 0

    def act(tx: Transaction) -> int:
        return sum(_one(tx, row.institution, row.query, turn) for row in found)

    return house.transact(act, seals=seals)


def _one(tx: Transaction, institution: str, query: str, turn: Callable[[Transaction, Held], bool]) -> bool:
    try:
        held = held_query(tx, institution, query)
        return held is not None and turn(tx, held)
    except EvidenceBroken:
        metrics.EVIDENCE_BROKEN.labels("pending_queries").inc()
        log.error("evidence.broken", table="pending_queries", key=query)
        return False


def _lapse(tx: Transaction, held: Held) -> bool:
    """Unless it was settled since."""
    if held.state != PENDING or tx.at < held.row["lapses_at"]:
        return False
    end(tx, held, Reason.APPROVAL_LAPSED, None)
    return True


def _unseal(tx: Transaction, held: Held) -> bool:
    """Unless it was unsealed since. Its own leaves stay where they are, under their one-time tag."""
    due = held.row["deferred_until"]
    if due is None or held.row["unsealed_index"] is not None or tx.at < due:
        return False
    person = find_by_number(tx.house, tx.conn, held.matter.number)
    entry = tx.append(
        "query.unsealed",
        {"of": held.row["pending_index"]},
        tag=person.tag if person.known else tx.house.random(16),
        about=about_query(held.row["institution"], held.row["query"]),
    )
    change(tx, held, entry, unsealed_index=entry.index)
    return True
