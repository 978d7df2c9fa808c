"""A query under a statute is permitted exactly within its row, and approved by somebody else in time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from consent.asks import Approval, Permit, Reason, Refuse, Ruling, Standing
from consent.decision import decide_approval
from tests.consent.asking import (
    APPROVER,
    BANK,
    COURT,
    DEMO,
    GOOD,
    HOUR,
    LIVE,
    NOW,
    OTHER,
    SUSPENDED,
    again,
    approve,
    grant,
    inquire,
    statutory_ask,
    with_row,
)

CODE = "civil-procedure-253"
PERMITTED = Permit(("enforcement", "loan"), 0)
NOT_HELD = Refuse(Reason.STATUTE_NOT_HELD)
PREDICATE = "predicate:no-unperformed-judgment"
ON_TAX = {"code": "tax-collection-57", "document": "琼税稽检通〔2026〕12号", "purpose": "93"}
ON_CRIME = {"code": "criminal-procedure-144", "document": "琼公（刑）调证字〔2026〕12号", "purpose": "92"}

MISFITS: dict[str, Callable[[Callable[..., Ruling]], Ruling]] = {
    "unknown-code": lambda rule: rule(statutory_ask(code="cir-28")),
    "another-row": lambda rule: rule(statute=DEMO.statute("tax-collection-57")),
    "no-row": lambda rule: rule(statute=None),
    "a-row-of-another-policy": lambda rule: rule(
        policy=with_row("statutes", CODE, article="第一条"), statute=DEMO.statute(CODE)
    ),
    "off": lambda rule: rule(policy=LIVE),
    "category-off": lambda rule: rule(policy=with_row("statutes", CODE, LIVE, checked=True)),
    "another-sector": lambda rule: rule(institution=replace(COURT, sector="finance")),
    "no-sector": lambda rule: rule(institution=replace(COURT, sector="")),
    "another-institution": lambda rule: rule(
        policy=with_row("statutes", CODE, sectors=(), institutions=(OTHER,))
    ),
    "a-purpose-of-consents": lambda rule: rule(statutory_ask(purpose="02")),
    "another-statutes-purpose": lambda rule: rule(statutory_ask(purpose="92")),
    "a-category-beyond-it": lambda rule: rule(statutory_ask(categories=("enforcement", "penalty"))),
    "an-unknown-category": lambda rule: rule(statutory_ask(categories=("zodiac",))),
    "a-category-twice": lambda rule: rule(statutory_ask(categories=("loan", "loan"))),
    "no-category": lambda rule: rule(statutory_ask(categories=())),
    "an-answer-it-does-not-give": lambda rule: rule(statutory_ask(answer=PREDICATE)),
    "another-documents-number": lambda rule: rule(statutory_ask(document=ON_TAX["document"])),
    "a-number-and-more": lambda rule: rule(statutory_ask(document="（2026）琼01执123号\n")),
    "no-number": lambda rule: rule(statutory_ask(document="")),
    "deferral-not-allowed": lambda rule: rule(statutory_ask(deferred=True)),
}


def test_a_query_within_a_statute_is_permitted_and_takes_no_use() -> None:
    assert inquire() == approve() == PERMITTED
    assert inquire(statutory_ask(categories=("loan",))) == Permit(("loan",), 0)
    named = with_row("statutes", CODE, sectors=(), institutions=(BANK,))
    assert inquire(policy=named, institution=replace(COURT, sector="")) == PERMITTED


@pytest.mark.parametrize("rule", [inquire, approve], ids=["asked", "approved"])
@pytest.mark.parametrize("misfit", MISFITS)
def test_whatever_does_not_fit_is_one_refusal(misfit: str, rule: Callable[..., Ruling]) -> None:
    assert MISFITS[misfit](rule) == NOT_HELD


def test_the_persons_consents_and_identity_play_no_part() -> None:
    for matches in (None, True, False):
        assert inquire(statutory_ask(person_matches=matches)) == PERMITTED


def test_deferral_is_for_statutes_that_allow_it() -> None:
    on_crime = statutory_ask(**ON_CRIME, categories=("loan",))
    assert inquire(on_crime) == Permit(("loan",), 0)
    assert inquire(statutory_ask(**ON_CRIME, categories=("loan",), deferred=True)) == Permit(("loan",), 0)


def test_a_predicate_under_a_statute_reads_exactly_its_categories() -> None:
    valid = "predicate:licence-valid"
    asked = statutory_ask(**ON_TAX, categories=("licence",), answer=valid)
    assert inquire(asked) == Permit(("licence",), 0)
    assert inquire(replace(asked, categories=("licence", "penalty"))) == NOT_HELD
    assert inquire(replace(asked, categories=("penalty",))) == NOT_HELD
    on = with_row("statutes", "tax-collection-57", LIVE, checked=True)
    on = with_row("categories", "licence", on, checked=True)
    assert inquire(asked, policy=on) == NOT_HELD
    assert inquire(asked, policy=with_row("predicates", "licence-valid", on, checked=True)) == Permit(
        ("licence",), 0
    )


WITHOUT_STANDING: dict[str, tuple[dict[str, Any], Reason]] = {
    "no-institution": ({"institution": None}, Reason.INSTITUTION_SUSPENDED),
    "institution-suspended": (
        {"institution": replace(COURT, state="suspended")},
        Reason.INSTITUTION_SUSPENDED,
    ),
    "institution-without-role": (
        {"institution": replace(COURT, roles=frozenset({"source"}))},
        Reason.ROLE_NOT_PERMITTED,
    ),
}


@pytest.mark.parametrize("case", WITHOUT_STANDING)
def test_an_institution_without_standing_learns_nothing_of_statutes(case: str) -> None:
    changed, reason = WITHOUT_STANDING[case]
    for asked in (statutory_ask(), statutory_ask(code="cir-28")):
        assert inquire(asked, **changed) == approve(asked, **changed) == Refuse(reason)


def test_an_operator_without_standing_or_role_does_not_ask_under_a_statute() -> None:
    assert inquire(operator=None) == inquire(operator=SUSPENDED) == Refuse(Reason.OPERATOR_SUSPENDED)
    assert inquire(operator=APPROVER) == Refuse(Reason.ROLE_NOT_PERMITTED)
    assert inquire(statutory_ask(reused=True)) == Refuse(Reason.QUERY_ID_REUSED)


# --- the approval ---


APPROVALS: dict[str, tuple[dict[str, Any], Reason]] = {
    "approver-unknown": ({"approver": None}, Reason.OPERATOR_SUSPENDED),
    "approver-suspended": ({"approver": SUSPENDED}, Reason.OPERATOR_SUSPENDED),
    "approver-without-role": ({"approver": GOOD}, Reason.ROLE_NOT_PERMITTED),
    "approver-administers": (
        {"approver": replace(APPROVER, roles=frozenset({"admin", "approve"}))},
        Reason.ROLE_NOT_PERMITTED,
    ),
    "the-requester": ({"approver_id": "op-1"}, Reason.ROLE_NOT_PERMITTED),
    "the-requesters-key": ({"approver_kid": "kid-1"}, Reason.ROLE_NOT_PERMITTED),
    "a-key-unknown": ({"approver_kid": ""}, Reason.ROLE_NOT_PERMITTED),
    "the-requesters-key-unknown": ({"requester_kid": ""}, Reason.ROLE_NOT_PERMITTED),
    "too-late": ({"lapses_at": NOW}, Reason.APPROVAL_LAPSED),
    "requester-gone": ({"requester": None}, Reason.OPERATOR_SUSPENDED),
    "requester-suspended": ({"requester": SUSPENDED}, Reason.OPERATOR_SUSPENDED),
    "requester-lost-the-role": ({"requester": APPROVER}, Reason.ROLE_NOT_PERMITTED),
    "statute-repealed": ({"statute": None}, Reason.STATUTE_NOT_HELD),
}


@pytest.mark.parametrize("case", APPROVALS)
def test_an_approval_is_refused_for(case: str) -> None:
    changed, reason = APPROVALS[case]
    assert approve(**changed) == Refuse(reason)


@given(st.sets(st.sampled_from(sorted(APPROVALS)), min_size=1))
def test_no_approval_passes_while_anything_is_wrong(cases: set[str]) -> None:
    changed = {name: value for case in sorted(cases) for name, value in APPROVALS[case][0].items()}
    assert isinstance(approve(**changed), Refuse)


def test_an_approval_passes_until_the_last_millisecond() -> None:
    assert approve(at=NOW + HOUR - 1) == PERMITTED
    assert approve(at=NOW + HOUR) == Refuse(Reason.APPROVAL_LAPSED)


def test_who_may_both_ask_and_approve_approves_others() -> None:
    both = Standing("active", None, frozenset({"approve", "query"}))
    assert approve(approver=both, requester=both) == PERMITTED
    assert approve(approver=both, requester=both, approver_id="op-1", approver_kid="kid-1") == Refuse(
        Reason.ROLE_NOT_PERMITTED
    )


def test_an_ask_without_a_statute_is_never_approved() -> None:
    approval = Approval(replace(statutory_ask(), statute=None), "kid-1", "op-2", "kid-2", NOW + HOUR)
    ruling = decide_approval(approval, DEMO.statute(CODE), COURT, GOOD, APPROVER, DEMO, NOW)
    assert ruling == NOT_HELD


# --- collecting the answer ---


def test_the_answer_under_a_statute_can_be_collected_while_the_statute_is_held() -> None:
    known: dict[str, Any] = {"institution": COURT, "statute": DEMO.statute(CODE)}
    assert again(statutory_ask(), None, **known) == PERMITTED
    assert again(statutory_ask(), None, after=24 * HOUR, **known) == Refuse(Reason.QUERY_ID_REUSED)
    assert again(statutory_ask(), None, **known | {"statute": None}) == NOT_HELD
    assert again(statutory_ask(), grant(), **known | {"policy": LIVE}) == NOT_HELD
    assert again(statutory_ask(), None, **known | {"operator": SUSPENDED}) == Refuse(
        Reason.OPERATOR_SUSPENDED
    )


@given(st.data())
def test_only_asks_within_every_list_of_the_row_are_permitted(data: st.DataObject) -> None:
    """The same once more, read naively from the members of the row."""
    row = msgspec.to_builtins(DEMO.statute(CODE))
    sector = data.draw(st.sampled_from(["agency", "agency", "finance", ""]))
    asked = statutory_ask(
        purpose=data.draw(st.sampled_from(["91", "91", "91", "02", "92"])),
        categories=tuple(
            sorted(data.draw(st.sets(st.sampled_from(["loan", "enforcement", "penalty"]), max_size=3)))
        ),
        answer=data.draw(st.sampled_from(["report", "report", PREDICATE])),
        document=data.draw(st.sampled_from(["（2026）琼01执123号", "（2026）琼01执123", "x"])),
        deferred=data.draw(st.sampled_from([False, False, True])),
    )
    lawful = all(
        [
            sector in row["sectors"],
            asked.purpose == row["purpose"],
            asked.categories and set(asked.categories) <= set(row["categories"]),
            asked.answer in row["answers"],
            asked.statute is not None and asked.statute.document == "（2026）琼01执123号",
            asked.statute is not None and not asked.statute.deferred,
        ]
    )
    ruling = inquire(asked, institution=replace(COURT, sector=sector))
    assert ruling == (Permit(asked.categories, 0) if lawful else NOT_HELD)
