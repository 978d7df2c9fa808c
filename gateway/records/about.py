"""What a row says of all its records: who it is about, under which reference, and when.

Invariant: without refusals there is an `About`, of a valid citizen number, an adult when it happened, with
days that are days and none of them in the future. With any refusal no record comes of the row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from gateway.records.columns import Plan, Refusal
from gateway.records.rules import Rule
from gateway.records.table import Row
from keys.blind import canonical_citizen_number
from keys.errors import BadIdentifier

ADULT_AGE: Final = 18
"""Conduct is recorded for adults only (18岁以上); what happened before is never collected."""

MAX_NAME: Final = 64
MAX_REFERENCE: Final = 64

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True, repr=False)
class About:
    """Who, which contract, when. `person` is the canonical citizen number; nothing of it shows in a repr."""

    person: str
    name: str
    reference: str
    occurred_on: date
    notified_on: date | None
    reported_on: date | None


def read_about(plan: Plan, row: Row, today: date) -> tuple[About | None, list[Refusal]]:
    """Identity, reference and days of a row; with any refusal the row gives no record."""
    reading = _Reading(plan, row, today)
    columns, dates = plan.mapping.person, plan.mapping.dates
    person = reading.person(columns.citizen_number)
    reading.text(columns.name, MAX_NAME)
    for name in plan.mapping.reference:
        reading.text(name, MAX_REFERENCE)
        # "/" joins the parts of a reference and the category, so no part may hold one.
        if "/" in reading.cell(name):
            reading.refuse(name, Rule.BAD_VALUE)
    occurred_on = reading.day(dates.occurred_on)
    notified_on = reading.optional_day(dates.notified_on)
    reported_on = None if dates.reported_on is None else reading.day(dates.reported_on)
    if occurred_on and reported_on and dates.reported_on and reported_on < occurred_on:
        reading.refuse(dates.reported_on, Rule.BAD_VALUE)
    if person is None or occurred_on is None:
        return None, reading.refusals
    if _age(person, occurred_on) < ADULT_AGE:
        reading.refuse(dates.occurred_on, Rule.MINOR)
    reference = row_reference(plan, row)
    name = reading.cell(columns.name)
    return About(person, name, reference, occurred_on, notified_on, reported_on), reading.refusals


def row_reference(plan: Plan, row: Row) -> str:
    """The parts of a row's reference, joined with "/"."""
    return "/".join(row.cells[plan.keys[name]] for name in plan.mapping.reference)


def read_day(cell: str) -> date | None:
    """A day written YYYY-MM-DD; None for anything else."""
    if not _DAY.fullmatch(cell):
        return None
    try:
        return date.fromisoformat(cell)
    except ValueError:
        return None


@dataclass(slots=True, repr=False)
class _Reading:
    """A row while it is read, and what was refused of it so far."""

    plan: Plan
    row: Row
    today: date
    refusals: list[Refusal] = field(default_factory=list)

    def cell(self, name: str) -> str:
        return self.row.cells[self.plan.keys[name]]

    def refuse(self, name: str, rule: Rule) -> None:
        self.refusals.append(Refusal(self.row.line, name, rule))

    def person(self, name: str) -> str | None:
        try:
            return canonical_citizen_number(self.cell(name))
        except BadIdentifier:
            self.refuse(name, Rule.BAD_CITIZEN_NUMBER if self.cell(name) else Rule.MISSING_FIELD)
            return None

    def text(self, name: str, longest: int) -> None:
        cell = self.cell(name)
        if not cell:
            self.refuse(name, Rule.MISSING_FIELD)
        elif len(cell) > longest or not cell.isprintable():
            self.refuse(name, Rule.BAD_VALUE)

    def optional_day(self, name: str | None) -> date | None:
        return self.day(name) if name is not None and self.cell(name) else None

    def day(self, name: str) -> date | None:
        read = read_day(self.cell(name))
        if read is None:
            self.refuse(name, Rule.BAD_VALUE if self.cell(name) else Rule.MISSING_FIELD)
        elif read > self.today:
            self.refuse(name, Rule.FUTURE_DATE)
        return read


def _age(citizen_number: str, on: date) -> int:
    """Full years on a day; characters 7 to 14 of a citizen number are the day of birth (GB 11643)."""
    birth = date.fromisoformat(f"{citizen_number[6:10]}-{citizen_number[10:12]}-{citizen_number[12:14]}")
    return on.year - birth.year - ((on.month, on.day) < (birth.month, birth.day))
