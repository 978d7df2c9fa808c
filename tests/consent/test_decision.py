"""Every reason is produced, and nothing is permitted that a second, naive reading of the rules would not
permit.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from consent.asks import Ask, Grant, Permit, Reason, Refuse, Ruling, Standing, StatutoryAsk
from consent.decision import decide
from consent.document import format_consent
from consent.policy import format_policy
from keys.instant import DAY
from tests.consent.asking import (
    BANK,
    DEMO,
    GOOD,
    LIVE,
    NOW,
    OTHER,
    SUSPENDED,
    approve,
    ask,
    consent,
    grant,
    request,
    rule,
    with_row,
)

PREDICATE = "predicate:no-adverse-3y"
NARROW = with_row("purposes", "02", permitted=("loan",))
CIR_28 = StatutoryAsk("cir-28", "1")

QUERIES: dict[Reason, Callable[[], Ruling]] = {
    Reason.INSTITUTION_SUSPENDED: lambda: rule(institution=SUSPENDED),
    Reason.OPERATOR_SUSPENDED: lambda: rule(operator=SUSPENDED),
    Reason.ROLE_NOT_PERMITTED: lambda: rule(operator=replace(GOOD, roles=frozenset({"admin"}))),
    Reason.QUERY_ID_REUSED: lambda: rule(ask(reused=True)),
    Reason.PURPOSE_UNKNOWN: lambda: rule(ask(purpose="99")),
    Reason.PURPOSE_OFF: lambda: rule(policy=LIVE),
    Reason.STATUTE_NOT_HELD: lambda: rule(ask(statute=CIR_28)),
    Reason.PREDICATE_SUFFICES: lambda: rule(ask(purpose="61")),
    Reason.NO_CONSENT: lambda: rule(held=None),
    Reason.EVIDENCE_BROKEN: lambda: rule(held=grant(sound=False)),
    Reason.PERSON_MISMATCH: lambda: rule(ask(person_matches=False)),
    Reason.KEY_NOT_LIVE: lambda: rule(held=grant(key_live=False)),
    Reason.WITHDRAWN: lambda: rule(held=grant(state="withdrawn")),
    Reason.CONSENT_SUSPENDED: lambda: rule(held=grant(state="suspended")),
    Reason.NOT_YET_VALID: lambda: rule(held=grant(consent(not_before=NOW + 1))),
    Reason.EXPIRED: lambda: rule(held=grant(consent(not_after=NOW))),
    Reason.EXHAUSTED: lambda: rule(held=grant(uses=2)),
    Reason.PURPOSE_MISMATCH: lambda: rule(ask(purpose="03")),
    Reason.CATEGORY_UNKNOWN: lambda: rule(ask(categories=("zodiac",))),
    Reason.CATEGORY_NOT_CONSENTED: lambda: rule(ask(categories=("loan", "repayment"))),
    Reason.CATEGORY_NOT_PERMITTED: lambda: rule(policy=NARROW),
    Reason.CATEGORY_MISSING: lambda: rule(ask(categories=())),
    Reason.ANSWER_MISMATCH: lambda: rule(ask(answer=PREDICATE)),
    Reason.ANSWER_NOT_OFFERED: lambda: rule(ask(answer=PREDICATE), grant(consent(answer=PREDICATE))),
}

REQUESTS: dict[Reason, Callable[[], Ruling]] = {
    Reason.INSTITUTION_SUSPENDED: lambda: request(institution=None),
    Reason.OPERATOR_SUSPENDED: lambda: request(operator=None),
    Reason.ROLE_NOT_PERMITTED: lambda: request(institution=replace(GOOD, roles=frozenset({"source"}))),
    Reason.QUERY_ID_REUSED: lambda: request(reused=True),
    Reason.PURPOSE_UNKNOWN: lambda: request(purpose="99"),
    Reason.PURPOSE_OFF: lambda: request(policy=LIVE),
    Reason.PREDICATE_SUFFICES: lambda: request(purpose="61", categories=("enforcement",)),
    Reason.CATEGORY_UNKNOWN: lambda: request(categories=("loan", "zodiac")),
    Reason.CATEGORY_NOT_PERMITTED: lambda: request(categories=("honour", "loan")),
    Reason.CATEGORY_MISSING: lambda: request(categories=("judgment",)),
    Reason.ANSWER_NOT_OFFERED: lambda: request(answer=PREDICATE),
    Reason.EXPIRED: lambda: request(not_before=NOW - 2, not_after=NOW),
    Reason.VALIDITY_TOO_LONG: lambda: request(not_after=NOW + 92 * DAY + 1),
    Reason.USES_TOO_MANY: lambda: request(max_uses=11),
    Reason.RETENTION_TOO_LONG: lambda: request(retention_days=93),
}


def test_an_ask_within_the_consent_is_permitted() -> None:
    assert rule() == Permit(("judgment", "loan"), 1)
    assert rule(held=grant(uses=1)) == Permit(("judgment", "loan"), 2)
    assert rule(ask(categories=("loan",), person_matches=True)) == Permit(("loan",), 1)


def test_a_request_within_the_purpose_is_permitted() -> None:
    assert request() == Permit(("judgment", "loan"), 0)


@pytest.mark.parametrize("reason", QUERIES, ids=str)
def test_a_query_is_refused_for(reason: Reason) -> None:
    assert QUERIES[reason]() == Refuse(reason)


@pytest.mark.parametrize("reason", REQUESTS, ids=str)
def test_a_request_is_refused_for(reason: Reason) -> None:
    assert REQUESTS[reason]() == Refuse(reason)


def test_every_reason_of_the_vocabulary_is_produced() -> None:
    """But for two: `approval-denied` is an approver's word, `answer-gone` says what became of a record."""
    produced = set(QUERIES) | set(REQUESTS) | {Reason.APPROVAL_LAPSED}
    assert approve(lapses_at=NOW) == Refuse(Reason.APPROVAL_LAPSED)
    assert produced == set(Reason) - {Reason.APPROVAL_DENIED, Reason.ANSWER_GONE}


def test_absent_and_somebody_elses_consent_are_one_refusal() -> None:
    foreign = grant(consent(recipient=OTHER), sound=False, state="withdrawn", key_live=False, uses=9)
    assert rule(held=foreign) == rule(held=None) == Refuse(Reason.NO_CONSENT)


def test_an_asker_without_standing_learns_nothing_about_anybody() -> None:
    for standing in (None, SUSPENDED, Standing("unheard-of", None, GOOD.roles)):
        for held in (None, grant(), grant(state="withdrawn")):
            assert rule(held=held, institution=standing) == Refuse(Reason.INSTITUTION_SUSPENDED)
            assert rule(held=held, operator=standing) == Refuse(Reason.OPERATOR_SUSPENDED)


def test_a_suspension_lapses_at_its_until_and_not_before() -> None:
    until = Standing("suspended", NOW, frozenset({"query"}))
    assert rule(institution=until, at=NOW - 1) == Refuse(Reason.INSTITUTION_SUSPENDED)
    assert isinstance(rule(institution=until, at=NOW), Permit)


def test_an_administrator_never_queries() -> None:
    both = Standing("active", None, frozenset({"admin", "query"}))
    assert rule(operator=both) == Refuse(Reason.ROLE_NOT_PERMITTED)
    assert request(operator=both) == Refuse(Reason.ROLE_NOT_PERMITTED)
    assert isinstance(rule(institution=both), Permit)


def test_the_period_is_half_open() -> None:
    held = grant(consent(not_before=NOW, not_after=NOW + 1))
    assert rule(held=held, at=NOW - 1) == Refuse(Reason.NOT_YET_VALID)
    assert isinstance(rule(held=held, at=NOW), Permit)
    assert rule(held=held, at=NOW + 1) == Refuse(Reason.EXPIRED)


def test_a_key_acts_only_from_its_effective_time() -> None:
    assert rule(held=grant(effective=NOW + 1)) == Refuse(Reason.KEY_NOT_LIVE)
    assert isinstance(rule(held=grant(effective=NOW)), Permit)


def test_a_state_or_count_that_cannot_be_is_broken_evidence() -> None:
    assert rule(held=grant(state="live")) == Refuse(Reason.EVIDENCE_BROKEN)
    assert rule(held=grant(uses=-1)) == Refuse(Reason.EVIDENCE_BROKEN)


def test_a_category_that_nobody_checked_is_off() -> None:
    checked = tuple(msgspec.structs.replace(p, checked=True) for p in LIVE.purposes)
    policy = msgspec.structs.replace(LIVE, purposes=checked)
    assert rule(policy=policy) == Refuse(Reason.CATEGORY_NOT_PERMITTED)
    assert request(policy=policy) == Refuse(Reason.CATEGORY_NOT_PERMITTED)


def test_a_request_can_use_the_whole_of_its_limits_and_no_more() -> None:
    assert isinstance(request(not_after=NOW + 92 * DAY, max_uses=10, retention_days=92), Permit)
    for changed in ({"max_uses": 0}, {"retention_days": -1}):
        assert isinstance(request(**changed), Refuse)
    start = NOW + 14 * DAY
    assert isinstance(request(not_before=start, not_after=start + DAY), Permit)
    assert request(not_before=start + 1, not_after=start + DAY) == Refuse(Reason.VALIDITY_TOO_LONG)
    assert request(not_before=NOW + 2, not_after=NOW + 1) == Refuse(Reason.EXPIRED)


# --- the same rules once more, read naively from the bytes of the documents ---


POLICIES = {
    name: (policy, json.loads(format_policy(policy)))
    for name, policy in (("demo", DEMO), ("live", LIVE), ("narrow", NARROW))
}


def naive(asked: Ask, held: Grant | None, who: Standing, operator: Standing, policy: str, at: int) -> bool:
    if held is None:
        return False
    rules, paper = POLICIES[policy][1], json.loads(format_consent(held.document))
    for standing in (who, operator):
        lapsed = standing.state == "suspended" and standing.until is not None and standing.until <= at
        if not (standing.state == "active" or lapsed) or "query" not in standing.roles:
            return False
    purpose = next((p for p in rules["purposes"] if p["code"] == paper["purpose"]), None)
    if purpose is None or not (rules["demo"] or purpose["checked"]):
        return False
    on = {c["code"] for c in rules["categories"] if rules["demo"] or c["checked"]}
    may = on & set(purpose["permitted"]) & set(paper["categories"])
    return all(
        [
            "admin" not in operator.roles,
            not asked.reused,
            asked.statute is None,
            asked.person_matches is not False,
            asked.institution == paper["recipient"],
            asked.purpose == paper["purpose"],
            asked.answer == paper["answer"] and paper["answer"] in purpose["answers"],
            len(asked.categories) > 0 and may.issuperset(asked.categories),
            held.sound and held.key_live and held.effective <= at and held.state == "granted",
            0 <= held.uses < paper["max_uses"],
            held.document.not_before <= at < held.document.not_after,
        ]
    )


standings = st.builds(
    Standing,
    st.sampled_from(["active", "active", "active", "suspended", "other"]),
    st.sampled_from([None, NOW - 1, NOW, NOW + 1]),
    st.sampled_from([{"query"}, {"query"}, {"query", "audit"}, {"query", "admin"}, set()]).map(frozenset),
)
CATEGORIES = [
    ("loan",),
    ("judgment", "loan"),
    ("judgment", "loan", "repayment"),
    ("honour", "loan"),
    ("zodiac",),
    (),
]


@st.composite
def matters(draw: st.DrawFn) -> tuple[Any, ...]:
    def mostly(good: Any, *bad: Any) -> Any:
        return draw(st.sampled_from([good] * 8 + list(bad)))

    asked = Ask(
        institution=mostly(BANK, OTHER),
        operator="op-1",
        purpose=mostly("02", "03", "99"),
        categories=draw(st.sampled_from(CATEGORIES)),
        answer=mostly("report", PREDICATE),
        statute=mostly(None, CIR_28),
        person_matches=mostly(None, True, False),
        reused=mostly(False, True),
    )
    document = consent(
        recipient=mostly(BANK, OTHER),
        purpose=mostly("02", "03", "22", "99"),
        categories=draw(st.sampled_from([c for c in CATEGORIES if c])),
        answer=mostly("report", PREDICATE),
        not_before=mostly(NOW - DAY, NOW, NOW + 1),
        not_after=mostly(NOW + DAY, NOW + 2),
        max_uses=draw(st.integers(1, 3)),
    )
    held = Grant(
        document=document,
        state=mostly("granted", "withdrawn", "suspended", "other"),
        uses=draw(st.integers(-1, 3)),
        key_live=mostly(True, False),
        effective=mostly(NOW, NOW + 1),
        sound=mostly(True, False),
    )
    policy = mostly("demo", "live", "narrow")
    return asked, mostly(held, None), draw(standings), draw(standings), policy, mostly(NOW, NOW - 1, NOW + 2)


@settings(max_examples=1_000, deadline=None)
@given(matters())
def test_a_permit_is_what_the_naive_reading_permits_and_nothing_else(matter: tuple[Any, ...]) -> None:
    asked, held, who, operator, policy, at = matter
    ruling = decide(asked, held, None, who, operator, POLICIES[policy][0], at)
    assert isinstance(ruling, Permit) == naive(*matter)
    if isinstance(ruling, Permit):
        assert ruling == Permit(tuple(sorted(asked.categories)), held.uses + 1)
    assert ruling == decide(asked, held, None, who, operator, POLICIES[policy][0], at)


def test_random_matters_reach_permits_and_refusals() -> None:
    assert find(matters(), lambda matter: naive(*matter))
    assert find(matters(), lambda matter: not naive(*matter))
