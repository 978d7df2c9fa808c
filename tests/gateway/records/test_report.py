"""The report counts everything and shows no value."""

from __future__ import annotations

import json

import pytest

from gateway.records.report import ImportReport, Tally, format_report_json, format_report_text
from gateway.records.rules import FIXES, Language, Rule, fix
from tests.gateway.records.kit import GOOD, SOURCE, csv_of, run


def report_of(text: str, *, known: bool = False) -> ImportReport:
    tally = Tally(SOURCE)
    records, refusals = run(text)
    for refusal in refusals:
        tally.refuse(refusal)
    for record in records:
        if known:
            tally.keep(record)
        else:
            tally.accept(record)
    return tally.report()


MIXED = csv_of(
    [
        GOOD | {"savings": "12345"},
        GOOD | {"savings": "54321", "contract": "A-2", "told": ""},
        GOOD | {"savings": "", "contract": "A-3", "id": "123456789012345678"},
    ]
)


def test_counts_are_of_records_and_refusals_are_in_the_order_of_the_file() -> None:
    report = report_of(MIXED)
    assert (report.accepted, report.unchanged, report.refused, report.adverse) == (3, 0, 3, 1)
    assert report.by_category == {"repayment": 1, "residence": 2}
    assert report.by_rule == {
        Rule.SEPARATE_CONSENT: 1,
        Rule.BAD_CITIZEN_NUMBER: 1,
        Rule.ADVERSE_WITHOUT_NOTICE: 1,
    }
    assert [one.line for one in report.refusals] == [0, 3, 4]
    assert report.columns() == report.columns(Rule.SEPARATE_CONSENT) == ("savings",)
    assert report.columns(Rule.FORBIDDEN) == ()


def test_rows_count_once_however_many_records_they_give() -> None:
    tally = Tally(SOURCE)
    for one in run(csv_of([GOOD, GOOD | {"contract": "A-2"}]))[0]:
        tally.accept(one)
    assert tally.report().rows == 2
    assert tally.report().accepted == 4


def test_rerun_is_reported_as_unchanged() -> None:
    report = report_of(csv_of([GOOD]), known=True)
    assert (report.accepted, report.unchanged, report.adverse) == (0, 2, 1)


def test_json_names_line_field_rule_and_what_to_do() -> None:
    told = json.loads(format_report_json(report_of(MIXED), "zh"))
    assert told["refusals"][0] == {
        "line": "header",
        "field": "savings",
        "rule": "separate-consent",
        "fix": fix(Rule.SEPARATE_CONSENT, "zh"),
    }
    assert told["refusals"][1]["line"] == 3
    assert told["by_rule"]["bad-citizen-number"] == 1
    assert told["refused"] == 3


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_value_of_the_file_is_printed(language: Language) -> None:
    report = report_of(MIXED)
    told = format_report_text(report, language) + format_report_json(report, language).decode()
    for cell in {*GOOD.values(), "12345", "54321", "123456789012345678"} - {"4", "31"}:
        assert cell not in told


def test_text_says_how_much_it_leaves_out() -> None:
    lines = format_report_text(report_of(MIXED), shown=1).splitlines()
    assert lines[-2].strip().startswith("header  savings  separate-consent")
    assert "2 more" in lines[-1]
    assert "line 3  told  adverse-without-notice" in format_report_text(report_of(MIXED))


def test_every_rule_says_what_to_do_in_both_languages() -> None:
    assert FIXES.keys() == set(Rule)
    for rule in Rule:
        assert fix(rule, "en").isascii()
        assert any("\u4e00" <= letter <= "\u9fff" for letter in fix(rule, "zh"))
