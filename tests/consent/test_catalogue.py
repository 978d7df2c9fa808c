"""What may be collected, what is refused and why, and what a record's fields may hold."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.catalogue import Fault, FieldFault, Kind, faults
from consent.policy import default_policy

POLICY = default_policy(demo=True)
LISTED = [
    "employment",
    "enforcement",
    "guarantee",
    "honour",
    "housing_fund",
    "judgment",
    "licence",
    "loan",
    "penalty",
    "repayment",
    "residence",
]
LOAN: dict[str, Any] = {"purpose": "car_new", "amount": 1169, "currency": "DEM", "duration_months": 6}
JUDGMENT: dict[str, Any] = {
    "court": "海口中院",
    "case_number": "(2024)琼01",
    "cause": "借款",
    "decided": "2024-02-29",
}


@pytest.mark.parametrize("kind", ["religion", "genes", "fingerprints", "blood_type", "disease"])
def test_forbidden_always(kind: str) -> None:
    assert POLICY.classify(kind) is Kind.FORBIDDEN


@pytest.mark.parametrize(
    "kind", ["income", "deposits", "securities", "insurance", "real_estate", "tax_amount"]
)
def test_only_on_separate_written_consent(kind: str) -> None:
    assert POLICY.classify(kind) is Kind.SEPARATE


@pytest.mark.parametrize("kind", ["creditability", "score"])
def test_a_judgement_is_no_record(kind: str) -> None:
    assert POLICY.classify(kind) is Kind.JUDGEMENT


@pytest.mark.parametrize("kind", LISTED)
def test_listed(kind: str) -> None:
    assert POLICY.classify(kind) is Kind.LISTED


@given(st.sampled_from(["sex", "marital_status", "nationality", "foreign_worker", "telephone"]) | st.text())
def test_everything_else_is_not_authorised(kind: str) -> None:
    kinds = POLICY.kinds
    named = {entry.code for group in (kinds.forbidden, kinds.separate, kinds.judgement) for entry in group}
    if kind not in named | set(LISTED):
        assert POLICY.classify(kind) is Kind.NOT_AUTHORISED


def test_the_catalogue_names_class_term_authority_and_basis() -> None:
    assert [c.code for c in POLICY.categories] == LISTED
    for category in POLICY.categories:
        assert category.authority
        assert category.basis
        assert not category.checked
        assert category.term_years == (5 if category.adverse else None)
        assert (category.klass == "adverse") == category.adverse
        assert any(field.required for field in category.fields.values())
    assert {c.code for c in POLICY.categories if c.adverse} == {
        "enforcement",
        "judgment",
        "penalty",
        "repayment",
    }


def loan_faults(**changed: Any) -> tuple[FieldFault, ...]:
    category = POLICY.category("loan")
    assert category is not None
    return faults(category, {name: value for name, value in (LOAN | changed).items() if value is not None})


def judgment_faults(**changed: Any) -> tuple[FieldFault, ...]:
    category = POLICY.category("judgment")
    assert category is not None
    return faults(category, JUDGMENT | changed)


def test_a_lawful_record_has_no_fault() -> None:
    assert loan_faults() == judgment_faults() == ()


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"amount": None}, Fault.MISSING),
        ({"amount": "1169"}, Fault.WRONG_TYPE),
        ({"amount": 11.5}, Fault.WRONG_TYPE),
        ({"amount": True}, Fault.WRONG_TYPE),
        ({"amount": 0}, Fault.OUT_OF_RANGE),
        ({"amount": 10**12 + 1}, Fault.OUT_OF_RANGE),
        ({"purpose": "car"}, Fault.NOT_A_VALUE),
        ({"purpose": 1}, Fault.WRONG_TYPE),
        ({"granted": "2023-02-29"}, Fault.NOT_A_DATE),
        ({"granted": "20230228"}, Fault.NOT_A_DATE),
        ({"granted": "2023-02-28\n"}, Fault.NOT_A_DATE),
        ({"granted": "２０２３-02-28"}, Fault.NOT_A_DATE),
        ({"income": 1}, Fault.UNKNOWN_FIELD),
    ],
)
def test_a_field_out_of_form_is_named(changed: dict[str, Any], fault: Fault) -> None:
    assert loan_faults(**changed) == (FieldFault(next(iter(changed)), fault),)


@pytest.mark.parametrize(
    ("court", "fault"),
    [
        ("", Fault.MISSING),
        (" \u3000", Fault.MISSING),
        ("院" * 101, Fault.TOO_LONG),
        ("a\x00b", Fault.NOT_PRINTABLE),
        ("a\u202eb", Fault.NOT_PRINTABLE),
        (5, Fault.WRONG_TYPE),
    ],
)
def test_a_text_out_of_form_is_named(court: Any, fault: Fault) -> None:
    assert judgment_faults(court=court) == (FieldFault("court", fault),)


def test_every_fault_of_the_vocabulary_is_produced() -> None:
    seen = {
        f.fault
        for f in loan_faults(amount=0, purpose="x", granted="x", duration_months=None, currency=1, x=1)
    }
    seen |= {f.fault for f in judgment_faults(court="x" * 101, cause="\x00x")}
    assert seen == set(Fault)


def test_faults_stand_in_the_catalogues_order() -> None:
    found = loan_faults(zodiac=1, amount=0, purpose=None, age=3)
    assert [f.field for f in found] == ["purpose", "amount", "age", "zodiac"]
