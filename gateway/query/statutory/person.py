"""The person of a statutory query and what is held of them, read under the lock.

Invariant: what is found is whole by the ledger's own word, or nothing is answered from it. Looking for
somebody nobody knows runs the same statements and finds nothing. So does a number under another's name: to
say that the name is wrong would be to say that the number is known. Nobody's, too, is a query about who
became known only since: what stands under a one-time tag must not come to hold somebody's answer, which their
own list would never show.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

import structlog

from consent.asks import Reason
from gateway import metrics
from gateway.people.subjects import find_by_id, find_by_number, identity_of
from gateway.query.statutory.stored import Held
from gateway.records.holdings import batches_of, is_whole
from gateway.records.store import revisions_of
from gateway.transaction import Transaction
from ledger.fixed import Row

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """The subject and their stored revisions of the categories asked for, or why nothing is answered.

    `newcomer`: the person became known only since the query was submitted, and is nobody to it.
    """

    subject: bytes
    revisions: tuple[Row, ...] = field(repr=False)
    wrong: Reason | None = None
    newcomer: bool = False


def find(tx: Transaction, held: Held) -> Found:
    """What there is to answer a query with now."""
    house, conn, query = tx.house, tx.conn, held.matter.query
    known = find_by_number(house, conn, held.matter.number)
    nobody = find_by_id(house, conn, house.decoy.subject)  # looked up in any case, to take as long
    own = held.row["deferred_until"] is not None or known.tag == held.tag
    _, name = identity_of(house, conn, (known if own else nobody).subject)
    asked = None if query.person_check is None else query.person_check.name
    same = None in (asked, name) or hmac.compare_digest(str(asked).encode(), str(name).encode())
    person = known if known.known and own and same else nobody
    rows = revisions_of(conn, person.subject)
    said = batches_of(house, conn, [person.tag])
    if not is_whole(house, said.get(person.tag, {}), rows):
        metrics.EVIDENCE_BROKEN.labels("records").inc()
        log.error("evidence.broken", table="records", key=query.query_id)
        return Found(person.subject, (), Reason.EVIDENCE_BROKEN)
    shown = tuple(row for row in rows if row.category in query.categories)
    return Found(person.subject, shown, newcomer=known.known and not own)
