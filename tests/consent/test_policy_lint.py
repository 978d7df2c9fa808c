"""An author is told everything that is wrong at once, and a policy with nothing wrong can be loaded."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.errors import MalformedPolicy
from consent.policy import default_texts, load_policy
from consent.policy_lint import Finding, lint

SHIPPED = default_texts()
ALL = "\n".join(SHIPPED.values())


def edited(old: str, new: str, **_: Any) -> dict[str, str]:
    assert old in ALL
    return {name: text.replace(old, new, 1) for name, text in SHIPPED.items()}


def said(texts: dict[str, str], severity: str, demo: bool = True) -> dict[str, str]:
    return {f.place: f.message for f in lint(texts, demo) if f.severity == severity}


def loads(texts: dict[str, str], demo: bool) -> bool:
    try:
        load_policy(texts.values(), demo=demo)
    except MalformedPolicy:
        return False
    return True


def test_the_shipped_policy_has_nothing_wrong_but_that_nobody_has_checked_it() -> None:
    assert {f.severity for f in lint(SHIPPED, True)} == {"note"}
    notes = said(SHIPPED, "note")
    assert len(notes) == len(re.findall(r"(?m)^checked = false$", ALL))
    court = notes["statutes.civil-procedure-253"]
    assert court.startswith("unverified: read 中华人民共和国民事诉讼法第二百五十三条 at its source")
    assert "it is off" in said(SHIPPED, "note", demo=False)["purposes.02"]
    assert said(SHIPPED, "warning", demo=False) == {
        "purposes": "none is on: every query under a consent will be refused"
    }


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ("max_uses = 12\n", "max_usage = 12\n", "purposes.01.max_usage", "unknown member"),
        ("max_uses = 12\n", "max_usage = 12\n", "purposes.01.max_uses", "missing"),
        ("max_uses = 12\n", 'max_uses = "12"\n', "purposes.01.max_uses", "int"),
        ('code = "02"', 'code = "01"', "purposes.01", "twice"),
        ('code = "02"', 'code = "00"', "purposes", "the order is 00, 01"),
        ('necessary = ["loan"]', 'necessary = ["honour"]', "purposes.02", "not permitted"),
        ('permitted = ["employment", "en', 'permitted = ["en', None, ""),
        (
            '"housing_fund", "judgment", "loan", "penalty"',
            '"housing_found", "judgment", "loan", "penalty"',
            "purposes.02",
            "housing_found",
        ),
        (
            'answers = ["predicate:licence',
            'answers = ["predicate:license',
            "purposes.62",
            "predicate:license",
        ),
        ('purpose = "91"', 'purpose = "02"', "statutes.civil-procedure-253", "its own"),
        ('purpose = "92"\nper', 'purpose = "94"\nper', "quotas.purpose/94/day", "no purpose 94"),
        ('purpose = "22"\nper', 'purpose = "92"\nper', "quotas.purpose/92/day", "twice"),
        ('sectors = ["agency"]', 'sectors = ["courts"]', "statutes.civil-procedure-253.sectors", "courts"),
        ('document = "（20', 'document = "(a+)+（20', "statutes.civil-procedure-253", "leaves too much open"),
        (
            'document = "（20',
            'document = "' + "a" * 200 + "（20",
            "statutes.civil-procedure-253.document",
            "200",
        ),
        ('categories = ["licence"]', 'categories = ["loan"]', "purposes.62", "does not permit"),
        ('categories = ["licence"]', 'categories = ["loan"]', "statutes.tax-collection-57", "not name"),
        ('categories = ["repayment"]', 'categories = ["repaid"]', "predicates.no-overdue-90d", "not list"),
        (
            '"licence", "penalty"]\nans',
            '"licence", "zodiac"]\nans',
            "statutes.tax-collection-57",
            "names zodiac",
        ),
        ("necessary = []", 'necessary = ["judgment"]', "purposes.61", "calls necessary"),
        ("[retention]", "[retentions]", "retentions", "unknown table"),
        ("[enrolment]", "[enrollment]", "enrolment", "missing"),
        ("approval_hours = 24", "approval_hours = 0", "retention.approval_hours", "1"),
        ("[[kinds.judgement]]", "[[kinds.judgment]]", "kinds.judgment", "unknown"),
        ('code = "score"', 'code = "loan"', "kinds.judgement.loan", "listed"),
        ('scope = "operator"', 'scope = "purpose"', "quotas.#2", "names its purpose"),
    ],
)
def test_what_is_wrong_is_said_where_it_is(old: str, new: str, place: str | None, words: str) -> None:
    errors = said(edited(old, new), "error")
    if place is None:
        assert errors == {}
    else:
        assert words in errors[place]
    assert loads(edited(old, new), True) == (place is None)


def test_all_that_is_wrong_is_said_at_once() -> None:
    texts = {
        "a.toml": "demo = true\n[enrolment]\nrequest_days = 0\nextra = 1\n[[purposes]]\ncode = '2'\n",
        "b.toml": "[enrolment]\n[kinds]\nforbidden = 3\n[[surprise]]\n",
        "c.toml": "[quotas",
        "d.toml": "purposes_ = 1\ncategories = 1\nretention = 2\nstatutes = [1]\n",
    }
    errors = said(texts, "error")
    assert {
        "a.toml",
        "b.toml",
        "c.toml",
        "enrolment.request_days",
        "enrolment.extra",
        "purposes.2.code",
        "purposes.2.checked",
        "surprise",
        "purposes_",
        "categories",
        "retention",
        "statutes.#1",
        "kinds.forbidden",
        "kinds.separate",
    } <= errors.keys()


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        (
            '"predicate:no-unperformed-judgment"]',
            '"predicate:no-unperformed-judgment", "report"]',
            "purposes.61",
            "a report will be refused",
        ),
        ('sectors = ["agency"]', "sectors = []", "statutes.civil-procedure-253", "nobody can use it"),
        (
            'document = "（20',
            'document = "[0-9]*|（20',
            "statutes.civil-procedure-253.document",
            "one character",
        ),
        ("limit = 120\n", "limit = 200000\n", "quotas.operator/minute", None),
        (
            'per = "minute"\nlimit = 120',
            'per = "day"\nlimit = 200000',
            "quotas.operator/day",
            "never reached",
        ),
        ("limit = 1000\n", "limit = 100001\n", "quotas.purpose/22/day", "quotas.institution/day ends first"),
        (
            "limit = 120\n",
            'limit = 120\n\n[[quotas]]\nscope = "purpose"\npurpose = "02"\nper = "minute"\nlimit = 9\n',
            None,
            None,
        ),
        ('"predicate:no-overdue-90d", ', "", "predicates.no-overdue-90d", "no purpose or statute answers"),
    ],
)
def test_what_is_doubtful_is_said_and_still_loads(
    old: str, new: str, place: str | None, words: str | None
) -> None:
    texts = edited(old, new)
    assert said(texts, "error") == {}
    assert loads(texts, True)
    warnings = said(texts, "warning")
    if words is None:
        assert warnings == {}
    else:
        assert words in warnings[place]


@pytest.mark.parametrize(
    ("minute", "hour", "moot"),
    [(10, 9, "minute"), (10, 10, None), (10, 599, None), (10, 600, "hour"), (10, 601, "hour")],
)
def test_two_windows_of_one_quota_that_contradict_are_named(minute: int, hour: int, moot: str | None) -> None:
    rows = "".join(
        f'[[quotas]]\nscope = "operator"\nper = "{per}"\nlimit = {limit}\n'
        for per, limit in (("hour", hour), ("minute", minute))
    )
    texts = SHIPPED | {"quotas.toml": rows}
    assert list(said(texts, "warning")) == ([f"quotas.operator/{moot}"] if moot else [])


def test_without_quotas_nobody_is_limited_and_that_is_said() -> None:
    texts = {name: text for name, text in SHIPPED.items() if name != "quotas.toml"}
    assert "nobody is limited" in said(texts, "warning")["quotas"]


def checked(*places: str) -> dict[str, str]:
    """The shipped texts with these rows checked."""
    texts = dict(SHIPPED)
    for place in places:
        table, code = place.split(".")
        pattern = rf'(\[\[{table}\]\]\n(?:code|name) = "{code}"\n(?:[^\[].*\n)*?checked = )false'
        for name, text in texts.items():
            texts[name] = re.sub(pattern, r"\1true", text, count=1)
    assert texts != SHIPPED
    return texts


def test_what_is_on_and_needs_what_is_off_is_said() -> None:
    warnings = said(checked("purposes.02"), "warning", demo=False)
    assert "every category that it permits is off" in warnings["purposes.02"]
    warnings = said(checked("purposes.02", "categories.judgment"), "warning", demo=False)
    assert "loan, which it needs, is off" in warnings["purposes.02"]
    assert said(checked("purposes.02", "categories.loan"), "warning", demo=False) == {}
    warnings = said(checked("purposes.61", "categories.enforcement"), "warning", demo=False)
    assert "predicate:no-" in warnings["purposes.61"]
    warnings = said(checked("purposes.61", "predicates.no-overdue-90d"), "warning", demo=False)
    assert "reads repayment, which is off" in warnings["predicates.no-overdue-90d"]
    warnings = said(checked("statutes.tax-collection-57"), "warning", demo=False)
    assert "is off" in warnings["statutes.tax-collection-57"]


LINES = [(name, at) for name, text in SHIPPED.items() for at in range(len(text.splitlines()))]
PATCHES = [
    "",
    "checked = true",
    "x = 1",
    'code = "02"',
    "[enrolment]",
    "limit = 0",
    "]",
    "answers = []",
    "per = 7",
]


@given(st.sampled_from(LINES), st.sampled_from(PATCHES), st.booleans())
def test_there_is_an_error_exactly_if_the_policy_cannot_be_loaded(
    line: tuple[str, int], patch: str, demo: bool
) -> None:
    name, at = line
    lines = SHIPPED[name].splitlines()
    lines[at] = patch
    texts = SHIPPED | {name: "\n".join(lines)}
    found = lint(texts, demo)
    assert any(f.severity == "error" for f in found) == (not loads(texts, demo))
    assert len(set(found)) == len(found)


def test_findings_come_with_the_gravest_first() -> None:
    found = lint(edited('sectors = ["agency"]', "sectors = []"), True)
    assert found[0] == Finding(
        "statutes.civil-procedure-253",
        "names no institution and no sector: nobody can use it, name who holds it",
        "warning",
    )
    assert {f.severity for f in found[1:]} == {"note"}
