"""The life of a consent, as one table.

Invariant: a consent changes state only along `TABLE`; every other pair of state and event is forbidden. Ended
states have no way back. `expired` and `exhausted` are never stored: they follow from the document and the
count (`state_at`), so that no job has to run for a consent to end on time.

An exhausted consent can still be withdrawn or suspended (either stops redelivery of its last answer), and a
suspended one withdrawn: withdrawing is as easy as granting (PIPL art. 15).
"""

from __future__ import annotations

from enum import StrEnum

from consent.document import Consent
from consent.errors import ForbiddenTransition


class State(StrEnum):
    """Where a consent stands."""

    REQUESTED = "requested"
    GRANTED = "granted"
    DECLINED = "declined"
    LAPSED = "lapsed"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    EXHAUSTED = "exhausted"
    SUSPENDED = "suspended"


class Event(StrEnum):
    """What can happen to a consent."""

    GRANT = "grant"
    DECLINE = "decline"
    LAPSE = "lapse"
    WITHDRAW = "withdraw"
    EXPIRE = "expire"
    EXHAUST = "exhaust"
    SUSPEND = "suspend"
    RESUME = "resume"


TABLE: dict[tuple[State, Event], State] = {
    (State.REQUESTED, Event.GRANT): State.GRANTED,
    (State.REQUESTED, Event.DECLINE): State.DECLINED,
    (State.REQUESTED, Event.LAPSE): State.LAPSED,
    (State.GRANTED, Event.WITHDRAW): State.WITHDRAWN,
    (State.GRANTED, Event.EXPIRE): State.EXPIRED,
    (State.GRANTED, Event.EXHAUST): State.EXHAUSTED,
    (State.GRANTED, Event.SUSPEND): State.SUSPENDED,
    (State.SUSPENDED, Event.RESUME): State.GRANTED,
    (State.SUSPENDED, Event.WITHDRAW): State.WITHDRAWN,
    (State.SUSPENDED, Event.EXPIRE): State.EXPIRED,
    (State.EXHAUSTED, Event.WITHDRAW): State.WITHDRAWN,
    (State.EXHAUSTED, Event.SUSPEND): State.SUSPENDED,
    (State.EXHAUSTED, Event.EXPIRE): State.EXPIRED,
}


def apply(state: State | str, event: Event | str) -> State:
    """The state after `event`. Raises ForbiddenTransition, also for a state or event that is unknown."""
    try:
        return TABLE[State(state), Event(event)]
    except (KeyError, ValueError):
        raise ForbiddenTransition("this state does not allow this event") from None


def state_at(stored: State | str, document: Consent, uses: int, at: int) -> State:
    """The state at `at` (ms) of a consent stored as `stored` with `uses` uses. Raises ForbiddenTransition."""
    try:
        state = State(stored)
    except ValueError:
        raise ForbiddenTransition("no such state") from None
    if state in (State.GRANTED, State.SUSPENDED) and at >= document.not_after:
        return apply(state, Event.EXPIRE)
    if state is State.GRANTED and uses >= document.max_uses:
        return apply(state, Event.EXHAUST)
    return state
