"""Every pair of state and event is either in the table or forbidden."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from consent.errors import ForbiddenTransition
from consent.lifecycle import TABLE, Event, State, apply, state_at

# Written out a second time, by reading FORMATS and PIPL art. 15, so that a change of the table is seen.
ALLOWED = {
    "requested grant granted",
    "requested decline declined",
    "requested lapse lapsed",
    "granted withdraw withdrawn",
    "granted expire expired",
    "granted exhaust exhausted",
    "granted suspend suspended",
    "suspended resume granted",
    "suspended withdraw withdrawn",
    "suspended expire expired",
    "exhausted withdraw withdrawn",
    "exhausted suspend suspended",
    "exhausted expire expired",
}


@pytest.mark.parametrize(("state", "event"), list(product(State, Event)))
def test_every_transition_is_allowed_or_forbidden(state: State, event: Event) -> None:
    after = [line.split()[2] for line in ALLOWED if line.split()[:2] == [state, event]]
    if after:
        assert apply(state, event) == after[0]
    else:
        with pytest.raises(ForbiddenTransition):
            apply(state, event)


def test_an_unknown_state_or_event_is_forbidden() -> None:
    for state, event in (("granted", "forget"), ("live", "withdraw"), ("", "")):
        with pytest.raises(ForbiddenTransition):
            apply(state, event)


def test_ended_states_have_no_way_back_to_an_answer() -> None:
    ended = {State.DECLINED, State.LAPSED, State.WITHDRAWN, State.EXPIRED}
    assert not [pair for pair in TABLE if pair[0] in ended]
    assert not [
        pair for pair, after in TABLE.items() if pair[0] is State.EXHAUSTED and after is State.GRANTED
    ]


def test_a_consent_ends_on_time_without_a_job(world: Any) -> None:
    consent = world.consent(max_uses=2)
    last = consent.not_after - 1
    assert state_at("granted", consent, 1, last) is State.GRANTED
    assert state_at("granted", consent, 2, last) is State.EXHAUSTED
    assert state_at("granted", consent, 0, consent.not_after) is State.EXPIRED
    assert state_at("suspended", consent, 2, last) is State.SUSPENDED
    assert state_at("suspended", consent, 0, consent.not_after) is State.EXPIRED
    assert state_at("withdrawn", consent, 2, consent.not_after) is State.WITHDRAWN
    with pytest.raises(ForbiddenTransition):
        state_at("live", consent, 0, last)
