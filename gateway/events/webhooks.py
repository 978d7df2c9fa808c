"""Webhooks: where an institution wants its events sent, and how far it has acknowledged them.

    active    the next event is sent as soon as there is one
    failing   the last try was not acknowledged; it is tried again, later each time
    paused    it failed for `PAUSE_AFTER_HOURS` on end: nothing is sent until somebody resumes it

Invariant: nothing is ever skipped. `delivered` only grows, by one acknowledged event after the other, and
what is not acknowledged stays next. A change of a row takes the head's lock like every write; whoever
delivers has claimed the row first, so that no two processes send the same event at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from gateway import metrics
from gateway.backoff import wait_ms
from gateway.errors import Rejected
from gateway.events.addresses import checked_url
from gateway.institutions.standing import standing_row
from gateway.tables import events, institutions, webhooks
from gateway.transaction import Transaction
from keys.instant import HOUR
from ledger.rows import upsert

if TYPE_CHECKING:
    from gateway.house import House

ACTIVE: Final = "active"
FAILING: Final = "failing"
PAUSED: Final = "paused"
STATES: Final = (ACTIVE, FAILING, PAUSED)
FIRST_WAIT_MS: Final = 2_000
MOST_WAIT_MS: Final = 15 * 60_000
PAUSE_AFTER_HOURS: Final = 72
CLAIM_MS: Final = 120_000
"""How long a process that delivers has the row to itself; one that died loses it then."""

_COLUMNS: Final = ("url", "state", "delivered", "attempts", "next_at", "failing_since", "why")


@dataclass(frozen=True, slots=True)
class Claim:
    """A webhook that this process delivers to until `until` (ms): the events after number `delivered`."""

    institution: str
    url: str
    delivered: int
    attempts: int
    failing_since: int | None
    until: int


def set_webhook(house: House, institution: str, url: str) -> int:
    """Send the institution's events there from now on; the number of the last event that is not sent.

    One that had a webhook goes on after what it acknowledged there. Raises AddressRefused, Rejected.
    """
    checked_url(url, house.settings)

    def act(tx: Transaction) -> int:
        standing_row(tx, institutions, institution)
        held = _row(tx.conn, institution)
        delivered = _newest(tx.conn, institution) if held is None else int(held["delivered"])
        row = _fresh(url, delivered) | {"institution": institution}
        tx.conn.execute(upsert(tx.conn, webhooks, ("institution",), _COLUMNS), row)
        return delivered

    return house.transact(act, seals=False)


def remove_webhook(house: House, institution: str) -> None:
    """Send nothing there any more. `Rejected` when there is none."""

    def act(tx: Transaction) -> None:
        gone = tx.conn.execute(sa.delete(webhooks).where(webhooks.c.institution == institution))
        if gone.rowcount != 1:
            raise _none(institution)

    house.transact(act, seals=False)


def resume_webhook(house: House, institution: str) -> int:
    """Try again now, whatever failed before; the number of the last acknowledged event."""

    def act(tx: Transaction) -> int:
        row = _row(tx.conn, institution)
        if row is None:
            raise _none(institution)
        _change(tx, institution, _fresh(row["url"], row["delivered"]))
        return int(row["delivered"])

    return house.transact(act, seals=False)


def webhook_of(house: House, institution: str) -> Mapping[str, Any]:
    """One webhook's row. `Rejected` when there is none."""
    with house.read() as conn:
        row = _row(conn, institution)
    if row is None:
        raise _none(institution)
    return row


def listed(house: House) -> list[dict[str, Any]]:
    """Every webhook with `waiting`, how many events it has not acknowledged."""
    last = sa.select(sa.func.max(events.c.seq)).where(events.c.institution == webhooks.c.institution)
    with house.read() as conn:
        found = conn.execute(
            sa.select(webhooks, last.scalar_subquery().label("last")).order_by(webhooks.c.institution)
        )
        rows = [dict(row) for row in found.mappings()]
    return [row | {"waiting": max(0, (row.pop("last") or 0) - row["delivered"])} for row in rows]


def claim_due(house: House, taken: Sequence[str]) -> list[Claim]:
    """Claim the webhooks that have something to send now, but for those `taken` by this process already."""
    if not _due(house, taken):
        return []
    return house.transact(lambda tx: _claim(tx, taken), seals=False)


def _due(house: House, taken: Sequence[str]) -> bool:
    with house.read() as conn:
        return conn.execute(_wanting(house.clock(), taken)).first() is not None


def _wanting(at: int, taken: Sequence[str]) -> sa.Select[Any]:
    newer = sa.select(events.c.seq).where(
        events.c.institution == webhooks.c.institution, events.c.seq > webhooks.c.delivered
    )
    return sa.select(webhooks).where(
        webhooks.c.state.in_((ACTIVE, FAILING)),
        webhooks.c.next_at <= at,
        webhooks.c.institution.not_in(taken),
        newer.exists(),
    )


def _claim(tx: Transaction, taken: Sequence[str]) -> list[Claim]:
    until = tx.at + CLAIM_MS
    claims = [
        Claim(row.institution, row.url, row.delivered, row.attempts, row.failing_since, until)
        for row in tx.conn.execute(_wanting(tx.at, taken))
    ]
    for claim in claims:
        _change(tx, claim.institution, {"next_at": until})
    return claims


def settle(house: House, claim: Claim, delivered: int, why: str | None) -> bool:
    """Give a claim back: acknowledged are the events up to `delivered`; `why` not the next, if it failed.

    False when the row is no longer the one that was claimed: it was set, resumed or removed meanwhile, or the
    claim had run out. What was delivered counts all the same where it is still the same receiver's.
    """

    def act(tx: Transaction) -> bool:
        row = _row(tx.conn, claim.institution)
        if row is None or row["url"] != claim.url:
            return False
        reached = {"delivered": max(delivered, row["delivered"])}
        if row["next_at"] != claim.until:
            _change(tx, claim.institution, reached)
            return False
        _change(tx, claim.institution, reached | _after(tx, claim, delivered, why))
        return True

    return house.transact(act, seals=False)


def _after(tx: Transaction, claim: Claim, delivered: int, why: str | None) -> dict[str, Any]:
    """The state that follows; progress before a failure begins the count anew."""
    if why is None and delivered == claim.delivered:  # nothing was tried: told to stop before the first
        return {"next_at": 0}
    if why is None:
        return {"state": ACTIVE, "attempts": 0, "next_at": 0, "failing_since": None, "why": None}
    moved = delivered > claim.delivered
    since = tx.at if moved or claim.failing_since is None else claim.failing_since
    attempts = 1 if moved else claim.attempts + 1
    state = PAUSED if tx.at - since >= PAUSE_AFTER_HOURS * HOUR else FAILING
    wait = wait_ms(attempts, FIRST_WAIT_MS, MOST_WAIT_MS, tx.house.random)
    return {
        "state": state,
        "attempts": attempts,
        "next_at": tx.at + wait,
        "failing_since": since,
        "why": why,
    }


def count_webhooks(house: House) -> None:
    """Say in the metrics how many webhooks are in which state."""
    by_state = sa.select(webhooks.c.state, sa.func.count().label("number")).group_by(webhooks.c.state)
    with house.read() as conn:
        found = {row.state: row.number for row in conn.execute(by_state)}
    for state in STATES:
        metrics.WEBHOOKS.labels(state).set(found.get(state, 0))


def _fresh(url: str, delivered: int) -> dict[str, Any]:
    return {
        "url": url,
        "state": ACTIVE,
        "delivered": delivered,
        "attempts": 0,
        "next_at": 0,
        "failing_since": None,
        "why": None,
    }


def _row(conn: sa.Connection, institution: str) -> Mapping[str, Any] | None:
    wanted = sa.select(webhooks).where(webhooks.c.institution == institution)
    found = conn.execute(wanted).mappings().one_or_none()
    return None if found is None else dict(found)


def _change(tx: Transaction, institution: str, values: Mapping[str, Any]) -> None:
    tx.conn.execute(sa.update(webhooks).where(webhooks.c.institution == institution).values(**values))


def _newest(conn: sa.Connection, institution: str) -> int:
    last = conn.scalar(sa.select(sa.func.max(events.c.seq)).where(events.c.institution == institution))
    return int(last or 0)


def _none(institution: str) -> Rejected:
    return Rejected("not-found", f"{institution} has no webhook: give it one with `chengxin webhook set`")
