"""The ends of a request that nobody granted: the citizen declines (谢绝), or nobody answers and it lapses.

Invariant: a request ends once. Declining needs no reason; lapsing needs no hands.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog

from consent.document import Decline, document_sha256
from consent.lifecycle import Event, apply
from gateway import metrics, rows
from gateway.consents.stored import is_about, is_open, leaf_body, open_request, request_row
from gateway.errors import EvidenceBroken, Rejected
from gateway.people.citizens import Citizen, require_acting
from gateway.tables import consent_requests, grants
from gateway.transaction import Nonce, Transaction
from ledger.log import Entry

if TYPE_CHECKING:
    from gateway.house import House

LAPSE_CHUNK = 100

log = structlog.get_logger(__name__)


def decline(house: House, ask: Decline, citizen: Citizen, nonce: Nonce) -> Entry:
    """Record a citizen's no. `Rejected` when the request is not theirs, or was answered."""

    def act(tx: Transaction) -> Entry:
        require_acting(tx, citizen)
        row = request_row(house, tx.conn, "request", ask.request_id)
        if row is None or not is_about(house, tx.conn, row, citizen):
            raise Rejected("not-found")
        template, _ = open_request(house, row)
        if not hmac.compare_digest(document_sha256(template), ask.document_sha256):
            raise Rejected("consent-mismatch")
        return end_request(tx, row, Event.DECLINE)

    return house.transact(act, seals=False, nonce=nonce)


def end_request(tx: Transaction, row: dict[str, Any], event: Event) -> Entry:
    """End a request that nobody granted: its leaf and its new state. `Rejected` when it ended before."""
    if not is_open(tx, row):
        raise Rejected("already-answered")
    state = apply(row["state"], event).value
    entry = tx.append(
        f"consent.{state}",
        leaf_body(row["request"], row["institution"], row["purpose"], tuple(row["categories"].split())),
        tag=row["tag"],
        about=rows.about(consent_requests, row["request"]),
    )
    changed = tx.protect(consent_requests, rows.columns_of(consent_requests, row) | {"state": state}, entry)
    tx.conn.execute(
        sa.update(consent_requests).where(consent_requests.c.request == row["request"]).values(**changed)
    )
    return entry


def lapse_due(house: House) -> int:
    """Let the requests lapse that nobody answered in time, a chunk at once; how many did."""
    lapsed, after = 0, ""
    while due := _due(house, after):
        lapsed += house.transact(partial(_lapse_all, due=due), seals=False)
        after = due[-1]  # rows that are damaged stay due, and must not be all that is ever looked at
    return lapsed


def _due(house: House, after: str) -> Sequence[str]:
    """The next chunk of requests that are due, beyond the id `after`."""
    with house.read() as conn:
        return conn.scalars(
            sa.select(consent_requests.c.request)
            .where(
                consent_requests.c.state == "requested",
                consent_requests.c.lapses_at <= house.clock(),
                consent_requests.c.request > after,
                ~sa.exists().where(grants.c.consent == consent_requests.c.consent),
            )
            .order_by(consent_requests.c.request)
            .limit(LAPSE_CHUNK)
        ).all()


def _lapse_all(tx: Transaction, *, due: Sequence[str]) -> int:
    return sum(_lapse(tx, request) for request in due)


def _lapse(tx: Transaction, request: str) -> bool:
    """Let one request lapse, unless it was answered since; a damaged row does not hold up the others."""
    try:
        row = request_row(tx.house, tx.conn, "request", request)
    except EvidenceBroken:
        metrics.EVIDENCE_BROKEN.labels("consent_requests").inc()
        log.error("evidence.broken", table="consent_requests", key=request)
        return False
    if row is None or not is_open(tx, row):
        return False
    end_request(tx, row, Event.LAPSE)
    return True
