"""Delivering: each institution's events to its webhook, in order, one after the other.

Invariant: the next event is sent only once the former was acknowledged, so a receiver sees the order of the
ledger; what was sent and not yet settled when a process dies is sent again, under the same id. A receiver
that hangs holds up its own institution and nobody else: each is served by a thread of its own from a small
pool.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import structlog

from gateway import metrics
from gateway.events.sending import event_body, send
from gateway.events.stored import read_after
from gateway.events.webhooks import Claim, settle

if TYPE_CHECKING:
    from gateway.house import House

BURST: Final = 50
"""Events that are sent before the progress is written: what is sent twice at most after a kill."""
BURST_MS: Final = 20_000
"""A slow receiver's progress is written after this long in any case, well before its claim runs out."""

Send = Callable[["House", str, dict[str, Any]], str | None]

log = structlog.get_logger(__name__)


def deliver(house: House, claim: Claim, enough: Callable[[], bool], post: Send = send) -> int:
    """Send what a claimed webhook has not acknowledged yet; how many events it did.

    Ends at the first that fails, after `BURST`, and when `enough` says so. Whatever happens, the progress is
    written and the claim given back.
    """
    with house.read() as conn:
        waiting = read_after(conn, claim.institution, claim.delivered, BURST)
    delivered, why = claim.delivered, None
    hurry = house.clock() + BURST_MS
    try:
        for row in waiting:
            if enough() or house.clock() > hurry:
                break
            why = post(house, claim.url, event_body(house, claim.institution, row))
            metrics.DELIVERIES.labels("delivered" if why is None else "failed").inc()
            if why is not None:
                log.warning("webhook.failed", institution=claim.institution, seq=row.seq, why=why)
                break
            delivered = row.seq
    finally:
        settle(house, claim, delivered, why)
    return delivered - claim.delivered
