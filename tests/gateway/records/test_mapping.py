"""A mapping is strict, and its text and its value go both ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.demo.people import synthetic_uscc
from gateway.records.mapping import (
    TYPE,
    ColumnRule,
    DateColumns,
    MalformedMapping,
    PersonColumns,
    Read,
    SourceMapping,
    format_mapping,
    parse_mapping,
)

MINIMAL = f"""
type = "{TYPE}"
source = "{synthetic_uscc(1)}"
reference = ["contract"]
[person]
citizen_number = "id"
name = "name"
[dates]
occurred_on = "day"
[columns.history]
kind = "repayment"
field = "repayment.history"
read = "table"
values = {{ late = "delay_in_the_past", fine = "paid_till_now" }}
adverse = ["late"]
absent = ["n/a"]
"""

names = st.text(min_size=1, max_size=30).filter(lambda s: s.isprintable() and s == s.strip())
codes = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
values = names | st.integers(-(2**53) + 1, 2**53 - 1)


@st.composite
def column_rules(draw: st.DrawFn, field: str) -> ColumnRule:
    reads: list[Read | None] = [None, "table", "text", "integer", "date"]
    shape = draw(st.sampled_from(reads))
    if shape is None:
        return ColumnRule(kind=draw(codes))
    words = draw(st.lists(names, min_size=2, max_size=6, unique=True))
    if shape != "table":
        absent = tuple(words[: draw(st.integers(0, 2))])
        return ColumnRule(kind=draw(codes), field=field, read=shape, absent=absent)
    table = {word: draw(values) for word in words[:-1]}
    return ColumnRule(
        kind=draw(codes),
        field=field,
        read="table",
        values=table,
        adverse=tuple(draw(st.sets(st.sampled_from(sorted(table))))),
        absent=tuple(words[-1:]),
    )


@st.composite
def mappings(draw: st.DrawFn) -> SourceMapping:
    spare = draw(st.lists(names, min_size=7, max_size=10, unique=True))
    number, name, reference, occurred, reported, notified, *columns = spare
    return SourceMapping(
        type=TYPE,
        source=synthetic_uscc(draw(st.integers(0, 9999))),
        reference=(reference,),
        person=PersonColumns(citizen_number=number, name=name),
        dates=DateColumns(
            occurred_on=occurred,
            reported_on=draw(st.sampled_from([None, reported])),
            notified_on=draw(st.sampled_from([None, notified])),
        ),
        columns={column: draw(column_rules(f"c.f{place}")) for place, column in enumerate(columns)},
        constants=draw(st.dictionaries(codes.map("k.{}".format), values, max_size=2)),
    )


@given(mappings())
def test_mapping_survives_its_text(mapping: SourceMapping) -> None:
    text = format_mapping(mapping)
    assert parse_mapping(text) == mapping
    assert format_mapping(parse_mapping(text)) == text


def test_optional_members_are_absent_not_null() -> None:
    mapping = parse_mapping(MINIMAL)
    assert mapping.dates.notified_on is None
    assert "notified_on" not in format_mapping(mapping)
    assert mapping.key_columns() == ("id", "name", "contract", "day")


def _instead(old: str, new: str) -> str:
    assert old in MINIMAL
    return MINIMAL.replace(old, new)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("type = [", "not TOML"),
        ("type = " + "9" * 5_000, "not TOML"),
        ("type = " + "[" * 5_000, "not TOML"),
        (MINIMAL + "[columns.history.more]\nx = 1", "unknown field"),
        (_instead('name = "name"', 'name = "name"\nsex = "sex"'), "unknown field"),
        (_instead("[dates]", "surprise = 1\n[dates]"), "unknown field"),
        (_instead(TYPE, "chengxin/mapping/v2"), "type"),
        (_instead(synthetic_uscc(1), synthetic_uscc(1)[:-1] + "A"), "source"),
        (_instead(synthetic_uscc(1), synthetic_uscc(1).lower()), "source"),
        (_instead('["contract"]', "[]"), "reference"),
        (_instead('["contract"]', '["id"]'), "named twice"),
        (_instead('"day"', '"history"'), "already names"),
        (_instead('"day"', '" day"'), "printable"),
        (_instead('"repayment"', '"Repayment"'), "kind"),
        (_instead('"repayment.history"', '"history"'), "category.field"),
        (_instead('read = "table"', ""), "read"),
        (_instead('read = "table"', 'read = "python"'), "Invalid enum value"),
        (_instead('read = "table"', 'read = "text"'), "values"),
        (_instead('"delay_in_the_past"', "1.5"), "got `float`"),
        (_instead('"delay_in_the_past"', "true"), "got `bool`"),
        (_instead('"delay_in_the_past"', str(2**53)), "below 2"),
        (_instead('["late"]', '["never"]'), "adverse"),
        (_instead('["late"]', '["late", "late"]'), "twice"),
        (_instead('["n/a"]', '["late"]'), "absent"),
        (_instead('field = "repayment.history"', ""), "nothing to read"),
        (MINIMAL + '[columns.other]\nkind="repayment"\nfield="repayment.history"\nread="text"', "same field"),
        (MINIMAL + '[constants]\n"repayment.history" = "paid_till_now"', "constants"),
        (MINIMAL + '[constants]\nhistory = "paid_till_now"', "constants"),
        ("# " + "x" * 300_000 + MINIMAL, "too long"),
    ],
)
def test_a_mapping_that_is_not_exactly_right_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(MalformedMapping, match=complaint):
        parse_mapping(text)
