"""What time does to statutory queries: one that nobody approved lapses, one that was deferred is unsealed.

Invariant: neither needs hands. Once a deferral is over a leaf under the person's tag names the query's first
leaf, whatever became of the query, so that nothing stays hidden from the person for longer than the statute
allows; for somebody nobody knows it stands under another one-time tag. A damaged row holds up no other: what
is due is gone through page by page, each after the last key of the one before, to its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog

from consent.asks import Reason
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

_BEFORE_ALL = (-(2**63), "", "")  # no row's key is less

Key = tuple[int, str, str]
Page = sa.Select[Any]
Turn = Callable[[Transaction, Held], bool]


def _page(when: sa.Column[int], *open_still: sa.ColumnElement[bool]) -> Page:
    """The next rows that are due by `now`, in the order of (when, institution, query), after such a key."""
    key = (when, pending_queries.c.institution, pending_queries.c.query)
    after = sa.tuple_(*(sa.bindparam(f"after_{place}", type_=part.type) for place, part in enumerate(key)))
    return (
        sa.select(when.label("due"), *key[1:])
        .where(when <= sa.bindparam("now"), sa.tuple_(*key) > after, *open_still)
        .order_by(*key)
        .limit(sa.bindparam("chunk"))
    )


LAPSING = _page(pending_queries.c.lapses_at, pending_queries.c.state == PENDING)
SEALED = _page(pending_queries.c.deferred_until, pending_queries.c.unsealed_index.is_(None))


def lapse_pending(house: House) -> int:
    """Let the queries lapse that nobody approved in time, a page in each transaction; how many did."""
    return _each(house, LAPSING, _lapse, seals=True)


def unseal_due(house: House) -> int:
    """Join the queries whose deferral is over to their persons, a page in each transaction; how many were."""
    return _each(house, SEALED, _unseal, seals=False)


def _each(house: House, due: Page, turn: Turn, *, seals: bool) -> int:
    now, done = house.clock(), 0
    for found in _pages(house, due, now):

        def act(tx: Transaction, page: Sequence[Key] = found) -> int:
            return sum(_one(tx, institution, query, turn) for _, institution, query in page)

        done += house.transact(act, seals=seals)
    return done


def _pages(house: House, due: Page, now: int) -> Iterator[Sequence[Key]]:
    """What is due by `now`, each page read when the one before is done."""
    last: Key = _BEFORE_ALL
    while True:
        after = {f"after_{place}": part for place, part in enumerate(last)}
        with house.read() as conn:
            rows = conn.execute(due, {"now": now, "chunk": CHUNK, **after})
            found: list[Key] = [(row.due, row.institution, row.query) for row in rows]
        if not found:
            return
        yield found
        last = found[-1]


def _one(tx: Transaction, institution: str, query: str, turn: Turn) -> bool:
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
