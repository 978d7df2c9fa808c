"""The thousand real applicants, with invented people, go through the import as the catalogue wants it."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from datetime import date, timedelta
from functools import lru_cache

import pytest

from consent.policy import default_policy
from gateway.demo.applicants import ADDED_COLUMNS, Applicant, import_file, read_data_set
from gateway.demo.data import demo_text
from gateway.records.mapping import SourceMapping, format_mapping, parse_mapping
from gateway.records.report import ImportReport, Tally
from gateway.records.rows import Record, examine
from gateway.records.rules import Rule
from gateway.records.table import read_table

AS_OF = date(2026, 11, 21)
AT = 1_795_219_200_000  # the same day, 2026-11-21T00:00:00Z


def mapping() -> SourceMapping:
    return parse_mapping(demo_text("german-credit.toml"))


@lru_cache(maxsize=1)
def sent() -> tuple[str, tuple[Applicant, ...]]:
    return import_file(demo_text("german-credit.csv"), mapping(), seed=2026, as_of=AS_OF)


@lru_cache(maxsize=1)
def imported() -> tuple[ImportReport, tuple[Record, ...]]:
    tally, records = Tally(mapping().source), []
    table = read_table(io.StringIO(sent()[0], newline=""))
    for one in examine(mapping(), default_policy(demo=True), table, AT):
        if isinstance(one, Record):
            tally.accept(one)
            records.append(one)
        else:
            tally.refuse(one)
    return tally.report(), tuple(records)


def test_data_set_is_the_one_that_the_attribution_names() -> None:
    digest = hashlib.sha256(demo_text("german-credit.csv").encode()).hexdigest()
    attribution = demo_text("ATTRIBUTION.md")
    assert digest in attribution
    for word in ("Statlog (German Credit Data)", "Hofmann", "UCI Machine Learning Repository", "CC BY 4.0"):
        assert word in attribution


def test_mapping_names_every_column_of_the_data_set_and_no_other() -> None:
    header, rows = read_data_set(demo_text("german-credit.csv"))
    assert set(mapping().columns) == set(header)
    assert set(mapping().key_columns()) == set(ADDED_COLUMNS)
    assert len(rows) == 1000
    assert parse_mapping(format_mapping(mapping())) == mapping()


def test_thousand_applicants_give_these_records() -> None:
    report, _ = imported()
    assert report.rows == 1000
    assert report.accepted == 4093
    assert report.by_category == {
        "employment": 1000,
        "guarantee": 93,
        "loan": 1000,
        "repayment": 1000,
        "residence": 1000,
    }
    assert report.adverse == 381


def test_only_columns_are_refused_and_each_by_its_rule() -> None:
    report, _ = imported()
    assert report.columns() == tuple(one.field for one in report.refusals)
    assert set(report.columns(Rule.SEPARATE_CONSENT)) == {
        "status_of_existing_checking_account",
        "savings_account_and_bonds",
        "property",
        "housing",
        "installment_rate_in_percentage_of_disposable_income",
    }
    assert set(report.columns(Rule.NOT_AUTHORISED)) == {
        "personal_status_and_sex",
        "age_in_years",
        "number_of_people_being_liable_to_provide_maintenance_for",
        "telephone",
        "foreign_worker",
    }
    assert report.columns(Rule.JUDGEMENT) == ("creditability",)
    assert report.columns(Rule.FORBIDDEN) == ()


def test_values_of_the_records_are_those_of_the_data_set() -> None:
    _, rows = read_data_set(demo_text("german-credit.csv"))
    by_reference = {record.reference: record for record in imported()[1]}
    adverse = set(mapping().columns["credit_history"].adverse)
    for applicant, row in zip(sent()[1], rows, strict=True):
        loan = by_reference[f"{applicant.reference}/loan"]
        assert loan.person == applicant.person.citizen_number
        assert loan.fields["amount"] == int(row["credit_amount"])
        assert loan.fields["currency"] == "DEM"
        assert loan.fields["duration_months"] == int(row["duration_in_month"])
        repayment = by_reference[f"{applicant.reference}/repayment"]
        assert repayment.adverse == (row["credit_history"] in adverse)
        assert (f"{applicant.reference}/guarantee" in by_reference) == (
            row["other_debtors_or_guarantors"] != "none"
        )


def test_every_adverse_record_was_told_before_it_was_reported() -> None:
    for record in imported()[1]:
        if record.adverse:
            assert record.notified_on is not None
            assert record.occurred_on < record.notified_on < AS_OF
        assert AS_OF - timedelta(days=5 * 365) < record.occurred_on


def test_nobody_can_tell_sex_or_the_verdict_from_a_record() -> None:
    shapes = Counter(tuple(sorted(record.fields)) for record in imported()[1])
    assert set(shapes) == {
        ("amount", "currency", "duration_months", "existing_credits", "other_instalment_plans", "purpose"),
        ("history",),
        ("parties",),
        ("job", "since"),
        ("since_years",),
    }


def test_no_cell_of_the_data_set_is_altered() -> None:
    header, rows = read_data_set(demo_text("german-credit.csv"))
    sent_rows = list(csv.DictReader(io.StringIO(sent()[0], newline="")))
    assert [{name: row[name] for name in header} for row in sent_rows] == rows


def test_same_seed_and_day_give_the_same_file() -> None:
    assert import_file(demo_text("german-credit.csv"), mapping(), 2026, AS_OF) == sent()
    other, _ = import_file(demo_text("german-credit.csv"), mapping(), 2027, AS_OF)
    assert other != sent()[0]


def test_people_are_distinct_and_of_the_age_of_their_row() -> None:
    _, rows = read_data_set(demo_text("german-credit.csv"))
    applicants = sent()[1]
    assert len({one.person.citizen_number for one in applicants}) == 1000
    assert len({one.reference for one in applicants}) == 1000
    for one, row in zip(applicants, rows, strict=True):
        number, day = one.person.citizen_number, one.occurred_on
        birth = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
        age = day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))
        assert age == int(row["age_in_years"])


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "age_in_years\n"])
def test_another_data_set_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="data set"):
        read_data_set(text)
