"""From the rows of a source's file to records, and to the refusals of what may not be stored.

Invariant: a record leaves here only if its person is identified and was an adult, its category is authorised,
its fields are as the catalogue wants them, it lies in the past and, where it is adverse, the person was told
before it was reported (CIR art. 15). Everything else is a `Refusal`: line, field and rule, and no cell of the
file. One row gives at most one record a category; what is wrong with one does not stop the others.
Pure: the instant is passed in, nothing is opened or stored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from typing import Final

from consent.catalogue import Fault, faults
from consent.policy import PolicyBundle
from gateway.records.about import About, read_about, read_day, row_reference
from gateway.records.columns import BoundCategory, BoundColumn, Plan, Refusal, plan_columns
from gateway.records.mapping import SourceMapping, Value
from gateway.records.rules import Rule
from gateway.records.table import Row, Table
from keys.instant import Instant

CHINA: Final = timezone(timedelta(hours=8))
"""Days in a file are days in China, which has one zone and no summer time."""

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,15}")


@dataclass(frozen=True, slots=True)
class Record:
    """One record of one category about one person. What is personal does not show in a repr.

    `person` is the canonical citizen number; `reference` is the row's, "/" and the category, so unique for a
    source; `reported_on` is absent unless the file names it.
    """

    line: int
    person: str = field(repr=False)
    name: str = field(repr=False)
    category: str
    source: str
    reference: str = field(repr=False)
    occurred_on: date = field(repr=False)
    notified_on: date | None = field(repr=False)
    reported_on: date | None = field(repr=False)
    adverse: bool
    fields: Mapping[str, Value] = field(repr=False)


def record_body(record: Record) -> dict[str, object]:
    """What is stored of a record, encrypted: JSON members, days as YYYY-MM-DD, absent members left out.

    The person is not in it (the store keys it by subject), nor is the line: the same record in another file
    is the same record.
    """
    days = (("notified_on", record.notified_on), ("reported_on", record.reported_on))
    return {
        "category": record.category,
        "source": record.source,
        "reference": record.reference,
        "occurred_on": record.occurred_on.isoformat(),
        "adverse": record.adverse,
        "fields": dict(record.fields),
        **{name: day.isoformat() for name, day in days if day is not None},
    }


def china_day(at: Instant) -> date:
    """The day in China at an instant."""
    return datetime.fromtimestamp(at // 1000, tz=CHINA).date()


def examine(
    mapping: SourceMapping, catalogue: PolicyBundle, table: Table, at: Instant
) -> Iterator[Record | Refusal]:
    """Records and refusals, the refused columns first, then row by row in the order of the file.

    Raises MalformedMapping before the first row, MalformedFile where the file stops being CSV.
    """
    plan = plan_columns(mapping, catalogue, table.header)
    yield from plan.refusals
    if not plan.usable:
        return
    today = china_day(at)
    seen: set[str] = set()
    for row in table.rows:
        yield from examine_row(plan, row, today, seen)


def examine_row(plan: Plan, row: Row, today: date, seen: set[str]) -> Iterator[Record | Refusal]:
    """What one row gives. `seen` holds the references of the rows before it and gains this one's."""
    if len(row.cells) != plan.width:
        yield Refusal(row.line, "row", Rule.BAD_ROW)
        return
    about, refusals = read_about(plan, row, today)
    reference = row_reference(plan, row)
    if reference in seen:
        refusals.append(Refusal(row.line, plan.mapping.reference[0], Rule.DUPLICATE_REFERENCE))
    # An empty reference is missing, not taken.
    if reference.strip("/"):
        seen.add(reference)
    if about is None or refusals:
        yield from refusals
        return
    for category in plan.categories:
        yield from _read_category(plan, row, category, about, today)


def _read_category(
    plan: Plan, row: Row, bound: BoundCategory, about: About, today: date
) -> Iterator[Record | Refusal]:
    """The record of one category, or what is wrong with it; nothing when the row has nothing to say of it."""
    values: dict[str, Value] = {}
    refusals: list[Refusal] = []
    adverse = empty = False
    for column in bound.columns:
        cell = row.cells[column.position]
        empty = empty or (not cell and column.spec.required)
        adverse = adverse or cell in column.rule.adverse
        if not cell or cell in column.rule.absent:
            continue
        value = _read_value(cell, column)
        if value is None:
            refusals.append(Refusal(row.line, column.name, Rule.BAD_VALUE))
        else:
            values[column.field] = value
    if not values and not refusals and not empty:
        return
    values |= bound.constants
    told = {refusal.field for refusal in refusals}
    for fault in faults(bound.category, values):
        rule = Rule.MISSING_FIELD if fault.fault is Fault.MISSING else Rule.BAD_VALUE
        name = _column_of(bound, fault.field)
        if name not in told:
            refusals.append(Refusal(row.line, name, rule))
    if adverse and not _was_told_before(about, today):
        refusals.append(
            Refusal(
                row.line, plan.mapping.dates.notified_on or bound.category.code, Rule.ADVERSE_WITHOUT_NOTICE
            )
        )
    if refusals:
        yield from refusals
        return
    yield Record(
        line=row.line,
        person=about.person,
        name=about.name,
        category=bound.category.code,
        source=plan.mapping.source,
        reference=f"{about.reference}/{bound.category.code}",
        occurred_on=about.occurred_on,
        # The day of the notice belongs to the adverse record; it would tell of one in the others.
        notified_on=about.notified_on if adverse else None,
        reported_on=about.reported_on,
        adverse=adverse,
        fields=values,
    )


def _was_told_before(about: About, today: date) -> bool:
    """Told after it happened, and on an earlier day than it was reported (CIR art. 15: 事先告知)."""
    notified = about.notified_on
    return notified is not None and about.occurred_on <= notified < (about.reported_on or today)


def _column_of(bound: BoundCategory, name: str) -> str:
    return next(
        (column.name for column in bound.columns if column.field == name), f"{bound.category.code}.{name}"
    )


def _read_value(cell: str, column: BoundColumn) -> Value | None:
    """The stored form of a cell; None when it cannot be read. Ranges are the catalogue's to check."""
    match column.rule.read:
        case "table":
            return column.rule.values.get(cell)
        case "integer":
            return int(cell) if _INTEGER.fullmatch(cell) else None
        case "date":
            return cell if read_day(cell) else None
        case _:
            return cell
