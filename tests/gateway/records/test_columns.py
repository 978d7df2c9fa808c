"""What nothing authorises never becomes a column that is read."""

from __future__ import annotations

import pytest

from consent.policy import default_policy
from gateway.records.columns import HEADER, plan_columns
from gateway.records.mapping import MalformedMapping, parse_mapping
from gateway.records.rules import COLUMN_RULES, Rule
from tests.gateway.records.kit import GOOD, MAPPING_TEXT, csv_of, mapping, policy, run

CANARY = "canary-in-a-cell"


@pytest.mark.parametrize(
    ("column", "rule"),
    [
        ("faith", Rule.FORBIDDEN),
        ("savings", Rule.SEPARATE_CONSENT),
        ("verdict", Rule.JUDGEMENT),
        ("shoe_size", Rule.NOT_AUTHORISED),
        ("in_no_mapping", Rule.NOT_AUTHORISED),
    ],
)
def test_column_without_authority_is_refused_once_and_its_cells_go_nowhere(column: str, rule: Rule) -> None:
    rows = [GOOD | {"contract": f"A-{place}", column: CANARY} for place in range(3)]
    records, refusals = run(csv_of(rows))
    assert [(one.line, one.field, one.rule) for one in refusals] == [(HEADER, column, rule)]
    assert rule in COLUMN_RULES
    assert len(records) == 6
    assert not any(CANARY in map(str, record.fields.values()) for record in records)


@pytest.mark.parametrize("column", ["savings", "faith", "verdict"])
def test_a_mapping_cannot_give_a_refused_kind_a_place(column: str) -> None:
    """The catalogue decides by the kind; a target in the mapping changes nothing."""
    kind = {"savings": "deposits", "faith": "religion", "verdict": "creditability"}[column]
    text = MAPPING_TEXT.replace(
        f'kind = "{kind}"', f'kind = "{kind}"\nfield = "repayment.overdue_amount"\nread = "integer"'
    )
    records, refusals = run(csv_of([GOOD | {column: "77"}]), parse_mapping(text))
    assert [one.field for one in refusals] == [column]
    assert all("overdue_amount" not in record.fields for record in records)


def test_category_that_nobody_has_checked_is_not_authorised_outside_a_demonstration() -> None:
    records, refusals = run(csv_of([GOOD]), catalogue=default_policy(demo=False))
    assert records == []
    assert {(one.field, one.rule) for one in refusals} == {
        (column, Rule.NOT_AUTHORISED) for column in ("history", "overdue", "years")
    }


@pytest.mark.parametrize("column", ["id", "name", "contract", "happened", "told", "reported", "history"])
def test_file_without_a_column_of_the_mapping_gives_no_record(column: str) -> None:
    row = {name: cell for name, cell in GOOD.items() if name != column}
    records, refusals = run(csv_of([row]))
    assert records == []
    assert [(one.line, one.field, one.rule) for one in refusals] == [(HEADER, column, Rule.MISSING_FIELD)]


def test_column_that_stands_twice_is_not_guessed_at() -> None:
    header, row = csv_of([GOOD]).splitlines()
    records, refusals = run(f"{header},years\n{row},9\n")
    assert records == []
    assert [(one.field, one.rule) for one in refusals] == [("years", Rule.MISSING_FIELD)]


def test_file_without_a_header_does_not_put_its_first_person_into_the_report() -> None:
    records, refusals = run(csv_of([GOOD]).splitlines()[1] + "\n")
    assert records == []
    assert {one.field for one in refusals} == {*mapping().key_columns(), "history", "overdue", "years"}
    assert not {one.field for one in refusals} & set(GOOD.values())


def test_odd_name_of_a_column_is_shown_by_its_place() -> None:
    _, refusals = run(csv_of([GOOD | {"张三 990101": "1"}]))
    assert [one.field for one in refusals] == ["column 10"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"residence.since_years"', '"residence.street"'),  # no such field
        ('"residence.since_years"', '"loan.amount"'),  # another category than the kind
        ('"residence.since_years"\nread = "integer"', '"residence.since_years"\nread = "text"'),
        ('"paid_till_now"', '"paid_in_gold"'),  # not a value of the catalogue
        ('kind = "residence"\nfield = "residence.since_years"\nread = "integer"', 'kind = "residence"'),
        ("[columns.faith]", '[constants]\n"residence.country" = "x"\n[columns.faith]'),
        ("[columns.faith]", '[constants]\n"loan.currency" = "DEM"\n[columns.faith]'),
        ("[columns.faith]", '[constants]\n"repayment.currency" = "gold"\n[columns.faith]'),
        # `history` is required of every repayment, and nothing fills it any more
        ('"repayment.history"\nread = "table"', '"repayment.currency"\nread = "table"'),
    ],
)
def test_mapping_that_contradicts_the_catalogue_is_refused_before_any_row(old: str, new: str) -> None:
    assert old in MAPPING_TEXT
    contradicting = parse_mapping(MAPPING_TEXT.replace(old, new))
    with pytest.raises(MalformedMapping):
        plan_columns(contradicting, policy(), tuple(GOOD))


def test_required_field_that_no_column_fills_is_a_fault_of_the_mapping() -> None:
    start, end = MAPPING_TEXT.index("[columns.history]"), MAPPING_TEXT.index("[columns.overdue]")
    with pytest.raises(MalformedMapping, match="requires"):
        plan_columns(parse_mapping(MAPPING_TEXT[:start] + MAPPING_TEXT[end:]), policy(), tuple(GOOD))


def test_only_what_can_be_adverse_may_be_called_adverse() -> None:
    text = MAPPING_TEXT + (
        '[columns.job]\nkind = "employment"\nfield = "employment.since"\nread = "table"\n'
        'values = { none = "unemployed" }\nadverse = ["none"]\n'
    )
    with pytest.raises(MalformedMapping, match="never adverse"):
        plan_columns(parse_mapping(text), policy(), (*GOOD, "job"))
