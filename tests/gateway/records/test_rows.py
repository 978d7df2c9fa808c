"""Each rule of the import refuses what it names, and nothing beside it."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.demo.people import Born, synthetic_people
from gateway.records.columns import Refusal
from gateway.records.mapping import parse_mapping
from gateway.records.rows import Record, china_day, record_body
from gateway.records.rules import FIXES, Rule
from tests.gateway.records.kit import AT, GOOD, MAPPING_TEXT, PERSON, SOURCE, TODAY, csv_of, run, run_row


def found(refusals: list[Refusal]) -> list[tuple[int, str, Rule]]:
    return [(one.line, one.field, one.rule) for one in refusals]


def test_one_row_gives_one_record_a_category() -> None:
    records, refusals = run_row()
    assert refusals == []
    assert records == [
        Record(
            line=2,
            person=PERSON.citizen_number,
            name=PERSON.name,
            category="repayment",
            source=SOURCE,
            reference="A-1/repayment",
            occurred_on=date(2025, 3, 1),
            notified_on=date(2025, 3, 10),
            reported_on=date(2025, 4, 1),
            adverse=True,
            fields={"history": "delay_in_the_past", "overdue_days": 31},
        ),
        Record(
            line=2,
            person=PERSON.citizen_number,
            name=PERSON.name,
            category="residence",
            source=SOURCE,
            reference="A-1/residence",
            occurred_on=date(2025, 3, 1),
            notified_on=None,
            reported_on=date(2025, 4, 1),
            adverse=False,
            fields={"since_years": 4},
        ),
    ]
    assert record_body(records[1]) == {
        "category": "residence",
        "source": SOURCE,
        "reference": "A-1/residence",
        "occurred_on": "2025-03-01",
        "reported_on": "2025-04-01",
        "adverse": False,
        "fields": {"since_years": 4},
    }
    assert record_body(records[0])["notified_on"] == "2025-03-10"


@pytest.mark.parametrize(
    ("changes", "field", "rule"),
    [
        ({"id": ""}, "id", Rule.MISSING_FIELD),
        ({"id": "990971200408131559"}, "id", Rule.BAD_CITIZEN_NUMBER),
        ({"id": "someone"}, "id", Rule.BAD_CITIZEN_NUMBER),
        ({"name": " "}, "name", Rule.MISSING_FIELD),
        ({"name": "a\u202eb"}, "name", Rule.BAD_VALUE),
        ({"name": "x" * 65}, "name", Rule.BAD_VALUE),
        ({"contract": ""}, "contract", Rule.MISSING_FIELD),
        ({"contract": "A/1"}, "contract", Rule.BAD_VALUE),
        ({"happened": ""}, "happened", Rule.MISSING_FIELD),
        ({"happened": "01.03.2025"}, "happened", Rule.BAD_VALUE),
        ({"happened": "2025-02-29"}, "happened", Rule.BAD_VALUE),
        ({"happened": "20250301"}, "happened", Rule.BAD_VALUE),
        ({"told": "soon"}, "told", Rule.BAD_VALUE),
        ({"reported": ""}, "reported", Rule.MISSING_FIELD),
        ({"reported": "2025-02-28"}, "reported", Rule.BAD_VALUE),
        ({"reported": "2026-11-22"}, "reported", Rule.FUTURE_DATE),
        ({"told": "2026-11-22"}, "told", Rule.FUTURE_DATE),
    ],
)
def test_row_whose_person_reference_or_day_is_wrong_gives_no_record(
    changes: dict[str, str], field: str, rule: Rule
) -> None:
    records, refusals = run_row(**changes)
    assert records == []
    assert found(refusals) == [(2, field, rule)]


def test_event_in_the_future_is_refused() -> None:
    records, refusals = run_row(happened="2026-11-22", told="", reported="2026-11-22", history="fine")
    assert records == []
    assert set(found(refusals)) == {(2, "happened", Rule.FUTURE_DATE), (2, "reported", Rule.FUTURE_DATE)}


@pytest.mark.parametrize(
    ("changes", "field", "rule"),
    [
        ({"history": "unheard of"}, "history", Rule.BAD_VALUE),
        ({"history": ""}, "history", Rule.MISSING_FIELD),
        ({"history": "none"}, "history", Rule.MISSING_FIELD),  # nothing of it, yet days overdue
        ({"overdue": "1,5"}, "overdue", Rule.BAD_VALUE),
        ({"overdue": "007"}, "overdue", Rule.BAD_VALUE),
        ({"overdue": "-1"}, "overdue", Rule.BAD_VALUE),
        ({"overdue": "３"}, "overdue", Rule.BAD_VALUE),
        ({"overdue": "99999999999999999999"}, "overdue", Rule.BAD_VALUE),
    ],
)
def test_bad_value_stops_the_record_of_its_category_only(
    changes: dict[str, str], field: str, rule: Rule
) -> None:
    records, refusals = run_row(**changes)
    assert [record.category for record in records] == ["residence"]
    assert found(refusals) == [(2, field, rule)]


def test_word_for_nothing_to_record_gives_no_record_and_no_refusal() -> None:
    records, refusals = run_row(history="none", overdue="")
    assert [record.category for record in records] == ["residence"]
    assert refusals == []


def test_required_cell_left_empty_is_missing_even_when_it_is_the_only_one() -> None:
    records, refusals = run_row(years="")
    assert [record.category for record in records] == ["repayment"]
    assert found(refusals) == [(2, "years", Rule.MISSING_FIELD)]


def test_optional_field_left_empty_is_absent() -> None:
    records, _ = run_row(overdue="")
    assert records[0].fields == {"history": "delay_in_the_past"}


@pytest.mark.parametrize(
    "changes",
    [
        {"told": ""},
        {"told": "2025-02-28"},  # before it happened
        {"told": "2025-04-01"},  # on the day of the report
        {"told": "2025-04-02"},  # after it
    ],
)
def test_adverse_record_without_prior_notice_is_refused(changes: dict[str, str]) -> None:
    """CIR art. 15: who provides adverse information tells the person first."""
    records, refusals = run_row(**changes)
    assert [record.category for record in records] == ["residence"]
    assert found(refusals) == [(2, "told", Rule.ADVERSE_WITHOUT_NOTICE)]


def test_record_that_is_not_adverse_needs_no_notice_and_keeps_none() -> None:
    records, refusals = run_row(history="fine", told="")
    assert refusals == []
    assert [record.adverse for record in records] == [False, False]
    records, _ = run_row(history="fine")
    assert [record.notified_on for record in records] == [None, None]


def test_without_a_day_of_report_the_notice_must_precede_the_import() -> None:
    source = parse_mapping(MAPPING_TEXT.replace('reported_on = "reported"\n', ""))
    row = {name: cell for name, cell in GOOD.items() if name != "reported"}
    records, refusals = run(csv_of([row | {"told": (TODAY - timedelta(days=1)).isoformat()}]), source)
    assert refusals == []
    assert records[0].reported_on is None
    assert "reported_on" not in record_body(records[0])
    _, refusals = run(csv_of([row | {"told": TODAY.isoformat()}]), source)
    assert found(refusals) == [(2, "told", Rule.ADVERSE_WITHOUT_NOTICE)]


def test_mapping_without_a_notice_column_lets_no_adverse_record_in() -> None:
    source = parse_mapping(MAPPING_TEXT.replace('notified_on = "told"\n', ""))
    row = {name: cell for name, cell in GOOD.items() if name != "told"}
    records, refusals = run(csv_of([row]), source)
    assert [record.category for record in records] == ["residence"]
    assert found(refusals) == [(2, "repayment", Rule.ADVERSE_WITHOUT_NOTICE)]


@given(st.dates(date(1960, 1, 1), date(2008, 11, 21)), st.data())
def test_what_happened_before_eighteen_is_never_collected(birth: date, data: st.DataObject) -> None:
    person = synthetic_people(1, [Born(18, _birthday(birth, 18))])[0]
    day = data.draw(st.dates(birth, TODAY))
    number = person.citizen_number
    born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    records, refusals = run_row(
        id=number, happened=day.isoformat(), told="", reported=TODAY.isoformat(), history="fine"
    )
    if day < _birthday(born, 18):
        assert records == []
        assert found(refusals) == [(2, "happened", Rule.MINOR)]
    else:
        assert refusals == []
        assert len(records) == 2


def _birthday(birth: date, age: int) -> date:
    """Who was born on 29 February comes of age on 1 March of a common year."""
    try:
        return birth.replace(year=birth.year + age)
    except ValueError:
        return date(birth.year + age, 3, 1)


def test_second_row_with_the_same_reference_is_refused() -> None:
    other = synthetic_people(4, [Born(40, TODAY)])[0]
    text = csv_of([GOOD, GOOD | {"id": other.citizen_number, "name": other.name}])
    records, refusals = run(text)
    assert {record.person for record in records} == {PERSON.citizen_number}
    assert found(refusals) == [(3, "contract", Rule.DUPLICATE_REFERENCE)]


def test_reference_of_a_refused_row_is_taken_too() -> None:
    records, refusals = run(csv_of([GOOD | {"id": ""}, GOOD]))
    assert records == []
    assert found(refusals) == [(2, "id", Rule.MISSING_FIELD), (3, "contract", Rule.DUPLICATE_REFERENCE)]


def test_empty_reference_is_missing_and_not_a_duplicate() -> None:
    _, refusals = run(csv_of([GOOD | {"contract": ""}, GOOD | {"contract": ""}]))
    assert found(refusals) == [(2, "contract", Rule.MISSING_FIELD), (3, "contract", Rule.MISSING_FIELD)]


@pytest.mark.parametrize("line", ["one,two", ",".join(GOOD.values()) + ",surplus"])
def test_row_with_the_wrong_number_of_cells_is_refused_whole(line: str) -> None:
    records, refusals = run(csv_of([GOOD]) + line + "\n")
    assert len(records) == 2
    assert found(refusals) == [(3, "row", Rule.BAD_ROW)]


def test_citizen_number_is_stored_in_its_one_form() -> None:
    people = synthetic_people(9, [Born(40, TODAY)] * 40)
    ends_in_x = next(one for one in people if one.citizen_number.endswith("X"))
    records, _ = run_row(id=f" {ends_in_x.citizen_number.lower()} ")
    assert records[0].person == ends_in_x.citizen_number


def test_day_is_the_one_in_china() -> None:
    midnight = AT - 8 * 3_600_000
    assert china_day(midnight) == TODAY
    assert china_day(midnight - 1) == TODAY - timedelta(days=1)


def test_nothing_personal_shows_in_a_repr() -> None:
    records, _ = run_row()
    shown = repr(records)
    assert SOURCE in shown
    for value in (PERSON.citizen_number, PERSON.name, "A-1", "2025", "delay_in_the_past"):
        assert value not in shown


cells = st.text(max_size=12) | st.sampled_from([*GOOD.values(), "late", "fine", "none", ""])


@given(st.lists(st.lists(cells, min_size=len(GOOD), max_size=len(GOOD)), min_size=1, max_size=4))
def test_whatever_a_file_holds_no_cell_gets_into_a_refusal(rows: list[list[str]]) -> None:
    text = csv_of([dict(zip(GOOD, row, strict=True)) for row in rows])
    records, refusals = run(text)
    names = {*GOOD, "row", "repayment.history"}
    for one in refusals:
        assert one.field in names
        assert one.rule in FIXES
    for record in records:
        assert record.reference.split("/")[1] == record.category
        assert not record.adverse or record.notified_on is not None
    assert len({record.reference for record in records}) == len(records)
