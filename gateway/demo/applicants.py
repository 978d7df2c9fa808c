"""From the public data set to a source's file: every applicant gets an invented adult and days.

Invariant: no cell of the data set is altered, and the same data, seed and day give the same file. The columns
that are added are the ones a real source would have: who, which contract, when it happened, when the person
was told (for adverse records only, because CIR art. 15 asks it for those) and when it is reported.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Final

from gateway.demo.people import Born, Person, synthetic_people
from gateway.records.mapping import SourceMapping

ADDED_COLUMNS: Final = ("citizen_number", "name", "reference", "occurred_on", "notified_on", "reported_on")

AGE_COLUMN: Final = "age_in_years"

_OLDEST_DAYS: Final = 900
"""Within the five years for which adverse information may be shown (CIR art. 16)."""
_NEWEST_DAYS: Final = 60


@dataclass(frozen=True, slots=True)
class Applicant:
    """An invented person and what a row of the file says of when. `notified_on` only where it is adverse."""

    person: Person
    reference: str
    occurred_on: date
    notified_on: date | None
    reported_on: date


def read_data_set(text: str) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    """The header and the rows of the data set. Raises ValueError when it has no rows or lacks the age."""
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    rows = list(reader)
    header = tuple(reader.fieldnames or ())
    if not rows or AGE_COLUMN not in header:
        raise ValueError("the data set has no rows or no column of ages")
    return header, rows


def invent_applicants(
    rows: list[dict[str, str]], mapping: SourceMapping, seed: int, as_of: date
) -> tuple[Applicant, ...]:
    """One applicant a row. The mapping says what is adverse; `as_of` is the day of the report.

    Ages hold on the day of the event, so nobody is a minor then (the youngest of the data set is 19).
    """
    random = Random(f"applicants {seed}")  # noqa: S311 - repeatable, nothing here is secret
    happened = [as_of - timedelta(days=random.randint(_NEWEST_DAYS, _OLDEST_DAYS)) for _ in rows]
    births = [Born(int(row[AGE_COLUMN]), day) for row, day in zip(rows, happened, strict=True)]
    people = synthetic_people(seed, births)
    return tuple(
        Applicant(
            person=person,
            reference=f"GC-{number:04d}",
            occurred_on=day,
            notified_on=day + timedelta(days=random.randint(7, 30)) if _is_adverse(row, mapping) else None,
            reported_on=as_of,
        )
        for number, (row, day, person) in enumerate(zip(rows, happened, people, strict=True), start=1)
    )


def _is_adverse(row: dict[str, str], mapping: SourceMapping) -> bool:
    return any(row.get(column) in rule.adverse for column, rule in mapping.columns.items())


def import_file(
    text: str, mapping: SourceMapping, seed: int, as_of: date
) -> tuple[str, tuple[Applicant, ...]]:
    """The file that the source sends (CSV with LF line ends), and the invented people in it, row by row.

    It holds (invented) personal data: write it with mode 0600, as a source would keep a real one.
    """
    header, rows = read_data_set(text)
    applicants = invent_applicants(rows, mapping, seed, as_of)
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow((*ADDED_COLUMNS, *header))
    for applicant, row in zip(applicants, rows, strict=True):
        days = (applicant.occurred_on, applicant.notified_on, applicant.reported_on)
        writer.writerow(
            (
                applicant.person.citizen_number,
                applicant.person.name,
                applicant.reference,
                *("" if day is None else day.isoformat() for day in days),
                *row.values(),
            )
        )
    return out.getvalue(), applicants
