"""An answer is given again only while it would be given now, but for the count, and for so many hours."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from consent.asks import Grant, Permit, Reason, Refuse, Ruling
from consent.policy import Retention
from keys.instant import DAY
from tests.consent.asking import (
    DEMO,
    GOOD,
    HOUR,
    LIVE,
    NOW,
    OTHER,
    SUSPENDED,
    again,
    ask,
    consent,
    grant,
    rule,
    with_row,
)

AGAIN = Permit(("judgment", "loan"), 0)

REFUSED: dict[str, tuple[Callable[[], Ruling], Reason]] = {
    "institution-suspended": (lambda: again(institution=SUSPENDED), Reason.INSTITUTION_SUSPENDED),
    "operator-suspended": (lambda: again(operator=SUSPENDED), Reason.OPERATOR_SUSPENDED),
    "role-lost": (
        lambda: again(operator=replace(GOOD, roles=frozenset({"audit"}))),
        Reason.ROLE_NOT_PERMITTED,
    ),
    "too-late": (lambda: again(after=24 * HOUR), Reason.QUERY_ID_REUSED),
    "before-it-was-given": (lambda: again(after=-1), Reason.QUERY_ID_REUSED),
    "purpose-off": (lambda: again(policy=LIVE), Reason.PURPOSE_OFF),
    "purpose-gone": (lambda: again(ask(purpose="99")), Reason.PURPOSE_UNKNOWN),
    "category-withheld": (
        lambda: again(policy=with_row("purposes", "02", permitted=("loan",))),
        Reason.CATEGORY_NOT_PERMITTED,
    ),
    "grant-gone": (lambda: again(held=None), Reason.NO_CONSENT),
    "somebody-elses": (lambda: again(held=grant(consent(recipient=OTHER))), Reason.NO_CONSENT),
    "broken": (lambda: again(held=grant(sound=False)), Reason.EVIDENCE_BROKEN),
    "another-person": (lambda: again(ask(person_matches=False)), Reason.PERSON_MISMATCH),
    "key-dead": (lambda: again(held=grant(key_live=False)), Reason.KEY_NOT_LIVE),
    "withdrawn": (lambda: again(held=grant(state="withdrawn")), Reason.WITHDRAWN),
    "suspended": (lambda: again(held=grant(state="suspended")), Reason.CONSENT_SUSPENDED),
    "expired": (lambda: again(held=grant(consent(not_after=NOW))), Reason.EXPIRED),
}


def test_an_answer_is_given_again_and_takes_no_use() -> None:
    assert again() == AGAIN
    assert again(ask(reused=True)) == AGAIN
    assert again(ask(categories=("loan",))) == Permit(("loan",), 0)


def test_an_exhausted_consent_still_serves() -> None:
    for uses in (1, 2, 3):
        assert again(held=grant(uses=uses)) == AGAIN


@pytest.mark.parametrize("case", REFUSED)
def test_an_answer_is_not_given_again_when(case: str) -> None:
    ruled, reason = REFUSED[case]
    assert ruled() == Refuse(reason)


def test_the_hours_are_the_policys_and_end_before_the_last() -> None:
    assert again(after=24 * HOUR - 1) == again(after=0) == AGAIN
    short = msgspec.structs.replace(DEMO, retention=Retention(redelivery_hours=2))
    assert again(after=2 * HOUR - 1, policy=short) == AGAIN
    assert again(after=2 * HOUR, policy=short) == Refuse(Reason.QUERY_ID_REUSED)


def mostly(good: object, *bad: object) -> st.SearchStrategy[object]:
    return st.sampled_from([good] * 8 + list(bad))


grants = st.builds(
    Grant,
    document=mostly(consent(), consent(not_after=NOW), consent(not_before=NOW + 1), consent(purpose="03")),
    state=mostly("granted", "withdrawn", "suspended", "other"),
    uses=st.integers(-1, 3),
    key_live=mostly(True, False),
    effective=mostly(NOW - DAY, NOW + 1),
    sound=mostly(True, False),
)


@given(grants, st.integers(-2, 30))
def test_no_answer_is_given_again_under_a_grant_that_would_not_serve_with_a_use_left(
    held: Grant, hours: int
) -> None:
    """Whatever `decide` permits with uses to spare, and nothing else, is given again within the hours."""
    spare = replace(held, uses=min(held.uses, 1))
    now = isinstance(rule(held=spare), Permit)
    assert isinstance(again(held=held, after=hours * HOUR), Permit) == (now and 0 <= hours < 24)
