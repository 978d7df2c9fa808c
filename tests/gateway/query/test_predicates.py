"""The named questions: what is answered, case by case, and that nothing unreadable is ever answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from consent.policy import default_policy
from gateway.errors import EvidenceBroken
from gateway.query.minimise import Record
from gateway.query.predicates import PREDICATES, Fact, counting, evaluate, fact_of, years_after

DAY = date(2026, 11, 21)
REPAYMENT = {"history": "delay_in_the_past"}
ENFORCEMENT = {"court": "某法院", "case_number": "1", "filed": "2026-01-02", "state": "open"}
LICENCE = {"authority": "某局", "title": "某证", "granted": "2026-01-02", "state": "valid"}


def ms(*when: int) -> int:
    """An instant in UTC, in ms."""
    return int(datetime(*when, tzinfo=UTC).timestamp()) * 1000


AT = ms(2026, 11, 21, 4)


def fact(category: str, occurred: date = DAY, *, adverse: bool = False, **fields: Any) -> Fact:
    return Fact(category, occurred, fields, adverse, disputed=False, repaired=False, shown_until=None)


def record(category: str, occurred: str = "2026-01-02", *, adverse: bool = False, **fields: Any) -> Record:
    body = {"category": category, "occurred_on": occurred, "adverse": adverse, "fields": fields}
    return Record(category, body, None)


def holds(name: str, *facts: Fact, day: date = DAY) -> bool:
    return PREDICATES[name](facts, day)


# --- what holds for every rule ---


def test_the_default_policy_states_exactly_the_rules_that_there_is_code_for() -> None:
    stated = {rule.name: frozenset(rule.categories) for rule in default_policy(demo=True).predicates}
    assert stated == {name: rule.categories for name, rule in PREDICATES.items()}


NEVER_MET = {"licence-valid"}
"""Rules that ask for a record; the others ask for none."""

AGAINST = {
    "no-adverse-record-3y": record("penalty", adverse=True),
    "no-unperformed-judgment": record("enforcement", **ENFORCEMENT),
    "no-overdue-90d": record("repayment", overdue_days=90, **REPAYMENT),
    "licence-valid": record("licence", **LICENCE),
}
"""For each rule one record that turns its answer."""


@pytest.mark.parametrize("name", PREDICATES)
def test_without_records_only_what_asks_for_one_is_not_met(name: str) -> None:
    assert evaluate(name, [], AT) is (name not in NEVER_MET)


@pytest.mark.parametrize("name", PREDICATES)
def test_one_record_turns_the_answer(name: str) -> None:
    assert evaluate(name, [AGAINST[name]], AT) is (name in NEVER_MET)


@pytest.mark.parametrize("without", ["disputed", "repaired"])
@pytest.mark.parametrize("name", PREDICATES)
def test_what_is_disputed_or_repaired_does_not_count(name: str, without: str) -> None:
    found = replace(fact_of(AGAINST[name]), **{without: True})
    assert counting([found], AT) == []
    assert PREDICATES[name](counting([found], AT), DAY) is (name not in NEVER_MET)


@pytest.mark.parametrize("name", PREDICATES)
def test_a_record_counts_to_the_end_of_its_term_and_not_at_it(name: str) -> None:
    last, over = (structs.replace(AGAINST[name], shown_until=AT + more) for more in (1, 0))
    assert evaluate(name, [last], AT) is (name in NEVER_MET)
    assert evaluate(name, [over], AT) is (name not in NEVER_MET)


@pytest.mark.parametrize("name", PREDICATES)
def test_records_of_other_categories_are_not_even_read(name: str) -> None:
    others = {"enforcement", "judgment", "licence", "loan", "penalty", "repayment"} - PREDICATES[
        name
    ].categories
    garbled = [Record(category, {"category": category}, None) for category in others]
    assert evaluate(name, garbled, AT) is evaluate(name, [], AT)


@pytest.mark.parametrize("name", PREDICATES)
def test_the_order_of_records_does_not_matter(name: str) -> None:
    hidden = structs.replace(AGAINST[name], shown_until=AT)
    harmless = record("penalty") if name == "no-adverse-record-3y" else hidden
    one, other = ([AGAINST[name], harmless], [harmless, AGAINST[name]])
    assert evaluate(name, one, AT) is evaluate(name, other, AT) is (name in NEVER_MET)


def test_the_day_is_chinas() -> None:
    """It begins at 16:00 UTC of the day before."""
    expires = record("licence", **LICENCE | {"expires": "2026-11-21"})
    assert evaluate("licence-valid", [expires], ms(2026, 11, 21, 15, 59, 59))
    assert not evaluate("licence-valid", [expires], ms(2026, 11, 21, 16))


# --- what cannot be read ---

UNREADABLE: list[tuple[str, str, Mapping[str, Any]]] = [
    ("no-unperformed-judgment", "enforcement", ENFORCEMENT | {"state": "unheard-of"}),
    ("no-unperformed-judgment", "enforcement", {"filed": "2026-01-02"}),
    ("no-unperformed-judgment", "enforcement", ENFORCEMENT | {"state": 1}),
    ("no-unperformed-judgment", "enforcement", ENFORCEMENT | {"filed": "2026-13-01"}),
    ("no-unperformed-judgment", "enforcement", {"state": "open"}),
    ("no-unperformed-judgment", "enforcement", {"state": "performed"}),
    ("no-overdue-90d", "repayment", REPAYMENT | {"overdue_days": "90"}),
    ("no-overdue-90d", "repayment", REPAYMENT | {"overdue_days": True}),
    ("no-overdue-90d", "repayment", REPAYMENT | {"overdue_days": -1}),
    ("no-overdue-90d", "repayment", REPAYMENT | {"overdue_days": None}),
    ("no-overdue-90d", "repayment", REPAYMENT | {"overdue_since": "yesterday"}),
    ("no-overdue-90d", "repayment", REPAYMENT | {"overdue_since": None}),
    ("no-overdue-90d", "repayment", REPAYMENT | {"overdue_ended": "2026-1-1"}),
    (
        "no-overdue-90d",
        "repayment",
        REPAYMENT | {"overdue_since": "2026-01-02", "overdue_ended": "2026-01-01"},
    ),
    ("licence-valid", "licence", LICENCE | {"state": "granted"}),
    ("licence-valid", "licence", LICENCE | {"expires": ""}),
    ("licence-valid", "licence", {"state": "valid"}),
]


@pytest.mark.parametrize(("name", "category", "fields"), UNREADABLE)
def test_an_unknown_or_garbled_field_is_never_an_answer(
    name: str, category: str, fields: Mapping[str, Any]
) -> None:
    with pytest.raises(EvidenceBroken):
        evaluate(name, [record(category, **fields)], AT)


@pytest.mark.parametrize(("name", "category", "fields"), UNREADABLE)
def test_a_record_that_settles_the_answer_does_not_hide_a_garbled_one(
    name: str, category: str, fields: Mapping[str, Any]
) -> None:
    with pytest.raises(EvidenceBroken):
        evaluate(name, [AGAINST[name], record(category, **fields)], AT)


@pytest.mark.parametrize(
    "change",
    [
        {"occurred_on": None},
        {"occurred_on": "2026-02-30"},
        {"occurred_on": 20260101},
        {"adverse": None},
        {"adverse": "false"},
        {"adverse": 0},
        {"fields": None},
        {"fields": []},
    ],
)
def test_a_record_of_another_form_is_never_an_answer(change: dict[str, Any]) -> None:
    whole = record("penalty")
    broken = Record("penalty", {**whole.body, **change}, None)
    with pytest.raises(EvidenceBroken):
        evaluate("no-adverse-record-3y", [broken], AT)


# --- no-adverse-record-3y ---


@pytest.mark.parametrize("category", sorted(PREDICATES["no-adverse-record-3y"].categories))
@pytest.mark.parametrize(
    ("occurred", "clean"),
    [
        (date(2023, 11, 20), True),
        (date(2023, 11, 21), True),  # three years ago to the day: over
        (date(2023, 11, 22), False),
        (date(2026, 11, 21), False),  # today
        (date(2026, 11, 22), True),  # tomorrow's cannot be told today
    ],
)
def test_adverse_records_count_for_three_years(category: str, occurred: date, clean: bool) -> None:
    assert holds("no-adverse-record-3y", fact(category, occurred, adverse=True)) is clean
    assert holds("no-adverse-record-3y", fact(category, occurred, adverse=False))


@pytest.mark.parametrize(
    ("occurred", "day", "clean"),
    [
        (date(2024, 2, 29), date(2027, 2, 28), False),
        (date(2024, 2, 29), date(2027, 3, 1), True),
        (date(2025, 2, 28), date(2028, 2, 27), False),
        (date(2025, 2, 28), date(2028, 2, 28), True),
        (date(2025, 2, 28), date(2028, 2, 29), True),
        (date(2025, 3, 1), date(2028, 2, 29), False),
        (date(2025, 3, 1), date(2028, 3, 1), True),
    ],
)
def test_three_years_around_the_29th_of_february(occurred: date, day: date, clean: bool) -> None:
    assert holds("no-adverse-record-3y", fact("penalty", occurred, adverse=True), day=day) is clean


@given(st.dates(date(1950, 1, 1), date(2200, 1, 1)))
def test_three_years_later_never_comes_early_and_is_a_day_late_at_most(day: date) -> None:
    after = years_after(day, 3)
    assert (after.year - day.year, after >= day.replace(day=min(day.day, 28), year=day.year + 3)) == (3, True)
    leap = (day.month, day.day) == (2, 29)
    assert (after.month, after.day) == ((3, 1) if leap else (day.month, day.day))


# --- no-unperformed-judgment ---


@pytest.mark.parametrize(
    ("state", "clean"), [("performed", True), ("open", False), ("suspended", False), ("terminated", False)]
)
def test_only_performance_ends_an_enforcement(state: str, clean: bool) -> None:
    assert holds("no-unperformed-judgment", fact("enforcement", **ENFORCEMENT | {"state": state})) is clean


def test_an_enforcement_counts_from_the_day_it_was_filed() -> None:
    filed = fact("enforcement", **ENFORCEMENT | {"filed": "2026-11-21"})
    assert holds("no-unperformed-judgment", filed, day=date(2026, 11, 20))
    assert not holds("no-unperformed-judgment", filed, day=date(2026, 11, 21))


def test_an_old_enforcement_still_counts_while_it_may_be_shown() -> None:
    assert not holds("no-unperformed-judgment", fact("enforcement", **ENFORCEMENT | {"filed": "2000-01-01"}))


# --- no-overdue-90d ---


@pytest.mark.parametrize(
    ("fields", "clean"),
    [
        ({}, True),
        ({"overdue_days": 0}, True),
        ({"overdue_days": 89}, True),
        ({"overdue_days": 90}, False),  # "以上" includes the number: Civil Code (民法典) art. 1259
        ({"overdue_since": "2026-08-24"}, True),  # 89 days
        ({"overdue_since": "2026-08-23"}, False),  # 90
        ({"overdue_since": "2026-11-22"}, True),  # begins tomorrow
        ({"overdue_since": "2026-11-22", "overdue_ended": "2027-11-22"}, True),
        ({"overdue_since": "2020-01-01", "overdue_ended": "2020-03-30"}, True),  # 89 days
        ({"overdue_since": "2020-01-01", "overdue_ended": "2020-03-31"}, False),  # 90, in a leap year
        ({"overdue_since": "2021-01-01", "overdue_ended": "2021-04-01"}, False),
        ({"overdue_since": "2021-01-01", "overdue_ended": "2021-03-31"}, True),
        ({"overdue_ended": "2021-03-31"}, True),
        ({"overdue_days": 10, "overdue_since": "2020-01-01"}, False),
        ({"overdue_days": 90, "overdue_since": "2026-11-20", "overdue_ended": "2026-11-21"}, False),
    ],
)
def test_ninety_days_overdue_as_reported_or_by_its_dates(fields: dict[str, Any], clean: bool) -> None:
    assert holds("no-overdue-90d", fact("repayment", **REPAYMENT | fields)) is clean


# --- licence-valid ---


@pytest.mark.parametrize(
    ("fields", "valid"),
    [
        ({}, True),
        ({"expires": "2026-11-20"}, False),
        ({"expires": "2026-11-21"}, True),  # valid throughout its last day
        ({"expires": "2026-11-22"}, True),
        ({"granted": "2026-11-21"}, True),
        ({"granted": "2026-11-22"}, False),
        ({"state": "suspended"}, False),
        ({"state": "expired"}, False),
        ({"state": "revoked"}, False),
    ],
)
def test_a_licence_is_valid_from_its_grant_through_its_last_day(fields: dict[str, Any], valid: bool) -> None:
    assert holds("licence-valid", fact("licence", **LICENCE | fields)) is valid


def test_one_valid_licence_is_enough() -> None:
    revoked = fact("licence", **LICENCE | {"state": "revoked"})
    assert holds("licence-valid", revoked, fact("licence", **LICENCE))
    assert not holds("licence-valid", revoked, revoked)


def test_facts_keep_what_was_stored() -> None:
    found = fact_of(Record("penalty", record("penalty", adverse=True, amount=5).body, AT + 1))
    assert (found.occurred_on, found.adverse, found.shown_until) == (date(2026, 1, 2), True, AT + 1)
    assert found.fields == {"amount": 5}
    assert not found.disputed
    assert not found.repaired
    assert "2026" not in repr(found)
