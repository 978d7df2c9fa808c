"""Where a yes or no serves, no record is given; and a yes or no reads exactly what its rule says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.asks import Permit, Reason, Refuse, Ruling
from consent.policy import PolicyBundle
from consent.predicates import predicate_name, predicates_of
from tests.consent.asking import DEMO, LIVE, ask, consent, grant, request, rule, with_row

UNPERFORMED = "predicate:no-unperformed-judgment"
CLEAN = "predicate:no-adverse-record-3y"
VALID = "predicate:licence-valid"
ALL_ADVERSE = ("enforcement", "judgment", "penalty", "repayment")
READS = {
    UNPERFORMED: ("enforcement",),
    CLEAN: ALL_ADVERSE,
    "predicate:no-overdue-90d": ("repayment",),
    VALID: ("licence",),
}


def queried(answer: str, categories: tuple[str, ...], purpose: str = "61", **known: Any) -> Ruling:
    """Under a consent to just that, to as much as the purpose permits."""
    held = consent(purpose=purpose, categories=tuple(sorted({*categories, *ALL_ADVERSE})), answer=answer)
    return rule(ask(purpose=purpose, categories=categories, answer=answer), grant(held), **known)


def requested(answer: str, categories: tuple[str, ...], purpose: str = "61", **known: Any) -> Ruling:
    return request(purpose=purpose, categories=categories, answer=answer, **known)


both = pytest.mark.parametrize("asked", [queried, requested])
Asked = Callable[..., Ruling]


@both
def test_a_predicate_is_permitted_for_exactly_what_it_reads(asked: Asked) -> None:
    for answer, categories in READS.items():
        purpose = "62" if answer == VALID else "61"
        ruling = asked(answer, categories, purpose)
        assert isinstance(ruling, Permit)
        assert ruling.categories == categories


@both
def test_a_record_is_refused_where_a_yes_or_no_serves(asked: Asked) -> None:
    for purpose in ("61", "62"):
        assert asked("report", ("enforcement",), purpose) == Refuse(Reason.PREDICATE_SUFFICES)
    mixed = with_row("purposes", "61", answers=(UNPERFORMED, "report"))
    assert asked("report", ("enforcement",), policy=mixed) == Refuse(Reason.PREDICATE_SUFFICES)
    assert isinstance(asked(UNPERFORMED, ("enforcement",), policy=mixed), Permit)


def test_a_record_is_refused_there_whatever_was_consented() -> None:
    for held in (None, grant(), grant(consent(purpose="61", answer="report", categories=("enforcement",)))):
        asked = ask(purpose="61", categories=("enforcement",), answer="report")
        assert rule(asked, held) == Refuse(Reason.PREDICATE_SUFFICES)


@both
def test_a_predicate_reads_neither_less_nor_more_than_its_rule(asked: Asked) -> None:
    assert asked(CLEAN, ALL_ADVERSE[1:]) == Refuse(Reason.CATEGORY_MISSING)
    assert asked(UNPERFORMED, ("judgment",)) == Refuse(Reason.CATEGORY_MISSING)
    assert asked(UNPERFORMED, ("enforcement", "judgment")) == Refuse(Reason.CATEGORY_NOT_PERMITTED)
    assert asked(UNPERFORMED, ()) == Refuse(Reason.CATEGORY_MISSING)


@both
def test_a_predicate_that_the_purpose_does_not_offer_is_not_offered(asked: Asked) -> None:
    assert asked(VALID, ("enforcement",), "61") == Refuse(Reason.ANSWER_NOT_OFFERED)
    assert asked("predicate:clean", ("enforcement",)) == Refuse(Reason.ANSWER_NOT_OFFERED)
    assert asked(CLEAN, ("loan",), "02") == Refuse(Reason.ANSWER_NOT_OFFERED)


def live(**predicate: Any) -> PolicyBundle:
    """Outside a demonstration, with all but perhaps the predicate checked."""
    policy = with_row("purposes", "61", LIVE, checked=True)
    policy = with_row("categories", "enforcement", policy, checked=True)
    return with_row("predicates", "no-unperformed-judgment", policy, **predicate)


@both
def test_a_predicate_nobody_has_checked_is_off_outside_a_demonstration(asked: Asked) -> None:
    assert asked(UNPERFORMED, ("enforcement",), policy=live(checked=False)) == Refuse(
        Reason.ANSWER_NOT_OFFERED
    )
    assert isinstance(asked(UNPERFORMED, ("enforcement",), policy=live(checked=True)), Permit)


def test_a_consent_to_one_answer_serves_no_other() -> None:
    held = grant(consent(purpose="61", categories=ALL_ADVERSE, answer=CLEAN))
    asked = ask(purpose="61", categories=("enforcement",), answer=UNPERFORMED)
    assert rule(asked, held) == Refuse(Reason.ANSWER_MISMATCH)
    narrowed = grant(consent(purpose="61", categories=("enforcement",), answer=CLEAN))
    asked = ask(purpose="61", categories=ALL_ADVERSE, answer=CLEAN)
    assert rule(asked, narrowed) == Refuse(Reason.CATEGORY_NOT_CONSENTED)


@given(
    st.sampled_from(["61", "62", "02"]),
    st.sampled_from(["report", *READS, "predicate:none"]),
    st.sets(st.sampled_from([*ALL_ADVERSE, "licence", "loan"])),
)
def test_only_an_offered_predicate_over_its_own_categories_is_requested(
    purpose: str, answer: str, chosen: set[str]
) -> None:
    """The same once more, read naively from the row."""
    categories = tuple(sorted(chosen))
    row = DEMO.purpose(purpose)
    assert row is not None
    if answer == "report":
        by_predicates = any("predicate" in offered for offered in row.answers)
        lawful = not by_predicates and set(row.necessary) <= chosen <= set(row.permitted)
    else:
        lawful = answer in row.answers and categories == READS[answer]
    assert isinstance(requested(answer, categories, purpose), Permit) == lawful


def test_the_names_of_predicates_are_read_from_forms_of_answer() -> None:
    assert predicate_name("report") is None
    assert predicate_name(CLEAN) == "no-adverse-record-3y"
    assert predicates_of((CLEAN, VALID, "report")) == ("no-adverse-record-3y", "licence-valid")


def test_the_shipped_rules_are_named_and_state_themselves_in_two_languages() -> None:
    assert {f"predicate:{rule.name}": rule.categories for rule in DEMO.predicates} == READS
    for stated in DEMO.predicates:
        assert not stated.checked
        assert stated.text_en.isascii()
        assert "in China (UTC+8)" in stated.text_en
        assert "UTC+8" in stated.text_zh
        for word_en, word_zh in (("dispute", "异议"), ("display term", "展示期限"), ("no record", "没有")):
            assert word_en in stated.text_en
            assert word_zh in stated.text_zh
