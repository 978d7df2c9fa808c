"""The outbox: notices that wait, are sent, and are forgotten.

    waiting   to be sent at `next_at`, or tried again then
    sent      taken over by its sender; kept a little, so that `accessed` is sent once a day
    dead      refused for good, or tried `MOST_ATTEMPTS` times in vain: counted, kept for a month, not tried

Invariant: a notice is claimed before it is sent and settled after, so that two processes never send the same
one at once; what was sent and not settled when a process dies is sent again under the same id. Logs and
metrics know channel, template and code, never whom.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
import structlog

from gateway import metrics
from gateway.backoff import wait_ms
from gateway.errors import EvidenceBroken
from gateway.notices.contacts import Contact, opened_contacts
from gateway.notices.queueing import WAITING, queue_news
from gateway.notices.senders import Later, Message, Never, Outcome, Sender, Sent, senders_of
from gateway.notices.templates import render
from gateway.people.subjects import find_by_id
from gateway.tables import outbox
from gateway.transaction import Transaction
from keys.instant import DAY

if TYPE_CHECKING:
    from gateway.house import House

BURST: Final = 20
CLAIM_MS: Final = 15 * 60_000
"""Longer than a burst can take when every step of every message waits as long as it may."""
FIRST_WAIT_MS: Final = 30_000
MOST_WAIT_MS: Final = 6 * 3_600_000
MOST_ATTEMPTS: Final = 10
KEPT_MS: Final[Mapping[str, int]] = {"sent": 2 * DAY, "dead": 30 * DAY}
SENT: Final = "sent"
DEAD: Final = "dead"

GONE: Final = "gone"
"""Why nothing is sent: its person has left no address on that channel, or is nobody any more."""

log = structlog.get_logger(__name__)


def send_due(house: House, enough: Callable[[], bool], senders: Mapping[str, Sender] | None = None) -> int:
    """Queue what is news and send what is due, burst by burst; how many notices were sent."""
    queue_news(house)
    carriers = senders_of(house.settings) if senders is None else senders
    sent = 0
    while not enough() and (claimed := _claim_due(house, sorted(carriers))):
        outcomes = [(row, _send(house, row, carriers[row.channel])) for row in claimed]
        house.transact(partial(_settle, outcomes=outcomes), seals=False)
        sent += sum(isinstance(outcome, Sent) for _, outcome in outcomes)
    count_outbox(house)
    return sent


def forget_settled(house: House) -> int:
    """Forget the notices that were settled long enough ago; how many. For housekeeping."""
    over = sa.and_(outbox.c.state.in_(tuple(KEPT_MS)), outbox.c.next_at <= house.clock())
    with house.read() as conn:
        if conn.execute(sa.select(outbox.c.notice).where(over).limit(1)).first() is None:
            return 0
    return house.transact(lambda tx: tx.conn.execute(sa.delete(outbox).where(over)).rowcount, seals=False)


def counts(house: House) -> list[dict[str, Any]]:
    """How many notices there are of each channel, template and state."""
    columns = (outbox.c.channel, outbox.c.template, outbox.c.state)
    grouped = sa.select(*columns, sa.func.count().label("count")).group_by(*columns).order_by(*columns)
    with house.read() as conn:
        return [dict(row) for row in conn.execute(grouped).mappings()]


def count_outbox(house: House) -> None:
    """Say in the metrics how many notices wait and how many were given up."""
    by_state = sa.select(outbox.c.state, sa.func.count().label("number")).group_by(outbox.c.state)
    with house.read() as conn:
        found = {row.state: row.number for row in conn.execute(by_state)}
    for state in (WAITING, DEAD):
        metrics.OUTBOX.labels(state).set(found.get(state, 0))


def _claim_due(house: House, channels: Sequence[str]) -> list[sa.Row[Any]]:
    due = (
        sa.select(outbox)
        .where(outbox.c.state == WAITING, outbox.c.channel.in_(channels))
        .order_by(outbox.c.next_at, outbox.c.notice)
        .limit(BURST)
    )
    with house.read() as conn:
        if conn.execute(due.where(outbox.c.next_at <= house.clock())).first() is None:
            return []

    def act(tx: Transaction) -> list[sa.Row[Any]]:
        claimed = list(tx.conn.execute(due.where(outbox.c.next_at <= tx.at)))
        mine = [row.notice for row in claimed]
        tx.conn.execute(sa.update(outbox).where(outbox.c.notice.in_(mine)).values(next_at=tx.at + CLAIM_MS))
        return claimed

    return house.transact(act, seals=False)


def _send(house: House, row: sa.Row[Any], sender: Sender) -> Outcome:
    """Open the address, render, hand over. Nothing here stops the others of the burst."""
    try:
        contact = _contact(house, row)
    except EvidenceBroken:
        metrics.EVIDENCE_BROKEN.labels("contacts").inc()
        return Never("address-broken")
    if contact is None:
        return Never(GONE)
    text = render(row.template, contact.language, house.settings.public_url)
    return sender.send(Message(row.notice.hex(), contact.address, text, house.clock()))


def _contact(house: House, row: sa.Row[Any]) -> Contact | None:
    with house.read() as conn:
        subject = find_by_id(house, conn, row.subject)
        found = opened_contacts(conn, row.subject, subject.link) if subject.known else []
    return next((one for one in found if one.channel == row.channel), None)


def _settle(tx: Transaction, outcomes: Sequence[tuple[sa.Row[Any], Outcome]]) -> None:
    for row, outcome in outcomes:
        if outcome == Never(GONE):
            tx.conn.execute(sa.delete(outbox).where(outbox.c.notice == row.notice))
            continue
        state, values = _after(tx, row, outcome)
        metrics.NOTICES.labels(row.channel, "tried" if state == WAITING else state).inc()
        if not isinstance(outcome, Sent):
            log.warning(
                "notice.failed", channel=row.channel, template=row.template, state=state, why=outcome.why
            )
        tx.conn.execute(sa.update(outbox).where(outbox.c.notice == row.notice).values(**values))


def _after(tx: Transaction, row: sa.Row[Any], outcome: Outcome) -> tuple[str, dict[str, Any]]:
    attempts = row.attempts + 1
    if isinstance(outcome, Later) and attempts < MOST_ATTEMPTS:
        state, wait = WAITING, wait_ms(attempts, FIRST_WAIT_MS, MOST_WAIT_MS, tx.house.random)
    else:
        state = SENT if isinstance(outcome, Sent) else DEAD
        wait = KEPT_MS[state]
    return state, {"state": state, "attempts": attempts, "next_at": tx.at + wait}
