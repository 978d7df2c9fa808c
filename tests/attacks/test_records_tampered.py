"""An insider with the database makes a clean record out of a bad one; no answer comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.client.bank import Answer
from gateway.client.reply import Refused
from gateway.records.rows import Record
from gateway.tables import records
from tests.gateway.kit import NUMBER, OTHER_NUMBER
from tests.gateway.world import SOURCE, World, new_world


def held(number: str) -> list[Record]:
    loan = {"purpose": "education", "amount": 2096, "currency": "DEM", "duration_months": 12}
    late = {"history": "delay"}
    return [
        Record(2, number, "测试人", "loan", SOURCE, "T-1/loan", date(2024, 1, 2), None, None, False, loan),
        Record(
            2,
            number,
            "测试人",
            "repayment",
            SOURCE,
            "T-1/repayment",
            date(2024, 1, 2),
            date(2024, 2, 2),
            None,
            True,
            late,
        ),
    ]


REPAYMENT = records.c.category == "repayment"
WAYS: dict[str, sa.Executable] = {
    "the_adverse_record_is_deleted": sa.delete(records).where(REPAYMENT),
    "all_records_are_deleted": sa.delete(records),
    "it_hides_under_another_category": sa.update(records).where(REPAYMENT).values(category="guarantee"),
    "its_display_term_is_ended": sa.update(records).where(REPAYMENT).values(shown_until=0),
    "it_moves_to_another_leaf": sa.update(records).where(REPAYMENT).values(idx=1),
    "it_is_given_another_hash": sa.update(records).where(REPAYMENT).values(revision_hash=bytes(32)),
    "it_is_copied": sa.insert(records).from_select(
        [column.name for column in records.columns],
        sa.select(
            *(
                sa.func.randomblob(16 if column.name == "record" else 32)
                if column.name in ("record", "reference_lookup")
                else column
                for column in records.columns
            )
        ).where(REPAYMENT),
    ),
}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """One of its own: what an insider does here would be seen in every other test."""
    with new_world(tmp_path / "home") as made:
        yield made


@pytest.mark.parametrize("way", WAYS)
def test_records_tampered_with_are_refused_and_not_answered_as_clean(world: World, way: str) -> None:
    assert world.import_records(held(NUMBER)).accepted == 2
    citizen = world.citizen(NUMBER)
    consent = world.consent(citizen)
    before = world.query(consent)
    assert isinstance(before, Answer)
    assert len(before.answer["records"]["repayment"]) == 1
    with world.house.engine.begin() as conn:
        conn.execute(WAYS[way])
    after = world.query(consent)
    assert isinstance(after, Refused), "a tampered file was answered"
    assert (after.problem.name, after.receipt is not None) == ("evidence-broken", True)
    report = citizen.client.report()
    assert isinstance(report, Refused)
    assert report.problem.name == "evidence-damaged"


def test_another_person_is_answered_while_one_file_is_tampered_with(world: World) -> None:
    others = [Record(3, OTHER_NUMBER, "旁人", *_rest(record)) for record in held(OTHER_NUMBER)]
    assert world.import_records(held(NUMBER) + others).accepted == 4
    consents = [world.consent(world.citizen(number)) for number in (NUMBER, OTHER_NUMBER)]
    with world.house.engine.begin() as conn:
        first = conn.scalar(sa.select(records.c.subject).order_by(records.c.idx).limit(1))
        conn.execute(sa.delete(records).where(records.c.subject == first))
    assert {type(world.query(consent)) for consent in consents} == {Answer, Refused}


def _rest(record: Record) -> tuple[Any, ...]:
    return (
        record.category,
        record.source,
        record.reference.replace("T-1", "T-2"),
        record.occurred_on,
        record.notified_on,
        record.reported_on,
        record.adverse,
        record.fields,
    )
