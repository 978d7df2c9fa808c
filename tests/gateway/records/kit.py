"""A small source with one adverse category, so that each test changes one thing of a good file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import date

from consent.policy import PolicyBundle, default_policy
from gateway.demo.people import Born, Person, synthetic_people, synthetic_uscc
from gateway.records.columns import Refusal
from gateway.records.mapping import SourceMapping, parse_mapping
from gateway.records.rows import Record, examine
from gateway.records.table import read_table

TODAY = date(2026, 11, 21)
AT = 1_795_219_200_000  # 2026-11-21T00:00:00Z, eight in the morning in China
SOURCE = synthetic_uscc(1)

MAPPING_TEXT = f"""
type = "chengxin/mapping/v1"
source = "{SOURCE}"
reference = ["contract"]
[person]
citizen_number = "id"
name = "name"
[dates]
occurred_on = "happened"
reported_on = "reported"
notified_on = "told"
[columns.history]
kind = "repayment"
field = "repayment.history"
read = "table"
values = {{ late = "delay_in_the_past", fine = "paid_till_now" }}
adverse = ["late"]
absent = ["none"]
[columns.overdue]
kind = "repayment"
field = "repayment.overdue_days"
read = "integer"
[columns.years]
kind = "residence"
field = "residence.since_years"
read = "integer"
[columns.faith]
kind = "religion"
[columns.savings]
kind = "deposits"
[columns.verdict]
kind = "creditability"
[columns.shoe_size]
kind = "shoe_size"
"""

PERSON: Person = synthetic_people(3, [Born(30, TODAY)])[0]

GOOD = {
    "id": PERSON.citizen_number,
    "name": PERSON.name,
    "contract": "A-1",
    "happened": "2025-03-01",
    "told": "2025-03-10",
    "reported": "2025-04-01",
    "history": "late",
    "overdue": "31",
    "years": "4",
}


def mapping() -> SourceMapping:
    return parse_mapping(MAPPING_TEXT)


def policy() -> PolicyBundle:
    return default_policy(demo=True)


def csv_of(rows: Iterable[dict[str, str]]) -> str:
    rows = list(rows)
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def run(
    text: str, source: SourceMapping | None = None, catalogue: PolicyBundle | None = None, at: int = AT
) -> tuple[list[Record], list[Refusal]]:
    found = list(
        examine(source or mapping(), catalogue or policy(), read_table(io.StringIO(text, newline="")), at)
    )
    return (
        [one for one in found if isinstance(one, Record)],
        [one for one in found if isinstance(one, Refusal)],
    )


def run_row(**changes: str) -> tuple[list[Record], list[Refusal]]:
    """What the good row gives with some of its cells changed."""
    return run(csv_of([GOOD | changes]))
