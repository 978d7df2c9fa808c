"""Corrections: the new revision takes the old one's place, and who was told of that hears of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.client.bank import Answer
from gateway.client.reply import Refused
from gateway.errors import EvidenceBroken, Rejected
from gateway.institutions.register import suspend
from gateway.records.correct import correct
from gateway.records.rows import Record
from gateway.records.rules import Rule
from keys.canonical import sha256_hex
from tests.gateway import kit
from tests.gateway.world import DAY_MS, SOURCE, World

AMOUNT = 1_234


def corrected(record: Record, **fields: Any) -> Record:
    """The same record, saying something else."""
    return replace(record, fields={**record.fields, "amount": AMOUNT, **fields})


def act(world: World, *records: Record) -> Any:
    return correct(world.house, SOURCE, records, "source-error", lambda _: None)


def told(world: World) -> list[tuple[str, str | None]]:
    with world.bank() as bank:
        found = bank.events()
    assert not isinstance(found, Refused)
    return [(event.kind, event.query_id) for event in found if event.kind == "corrected"]


def test_a_correction_replaces_what_was_said_and_is_answered_from_then_on(world: World) -> None:
    world.import_records([kit.loan(), kit.job()])
    consent = world.consent(world.citizen(kit.NUMBER), max_uses=5)
    before = kit.insider(world.house, "SELECT record, body FROM records WHERE category = 'loan'")
    report = act(world, corrected(kit.loan()))
    assert (report.accepted, report.unchanged, report.refused) == (1, 0, 0)
    after = kit.insider(world.house, "SELECT record, body FROM records WHERE category = 'loan'")
    assert after[0][0] == before[0][0]
    assert after[0][1] != before[0][1]
    answer = world.query(consent)
    assert isinstance(answer, Answer)
    assert [one["fields"]["amount"] for one in answer.answer["records"]["loan"]] == [AMOUNT]
    [leaf] = kit.of_type(world.house, "record.corrected")
    assert (leaf.body.source, leaf.body.category, leaf.body.authority) == (SOURCE, "loan", "source-error")
    assert leaf.body.record != sha256_hex(bytes(before[0][0]))  # salted
    [stated] = kit.of_type(world.house, "record.restated")
    assert (stated.index, stated.body.cause, stated.body.count) == (leaf.index + 1, "correction", 2)


def test_a_rerun_changes_nothing(world: World) -> None:
    world.import_records([kit.loan()])
    act(world, corrected(kit.loan()))
    size = kit.size(world.house)
    report = act(world, corrected(kit.loan()))
    assert (report.accepted, report.unchanged) == (0, 1)
    assert kit.size(world.house) == size
    assert world.import_records([corrected(kit.loan())]).unchanged == 1


def test_who_was_answered_from_it_is_told_by_its_own_query(world: World) -> None:
    world.import_records([kit.loan(), kit.job()])
    citizen = world.citizen(kit.NUMBER)
    consent = world.consent(citizen, categories=("loan", "repayment", "employment"), max_uses=9)
    with_loan, other = world.query(consent), world.query(consent, categories=("employment",))
    assert isinstance(with_loan, Answer)
    act(world, corrected(kit.loan()))
    assert told(world) == [("corrected", with_loan.receipt.query_id)]
    assert isinstance(other, Answer)
    act(world, corrected(kit.loan(), amount=77))
    assert told(world) == [("corrected", with_loan.receipt.query_id)] * 2


def test_who_may_not_keep_it_any_more_is_not_told(world: World) -> None:
    world.import_records([kit.loan()])
    consent = world.consent(world.citizen(kit.NUMBER), retention_days=3)
    assert isinstance(world.query(consent), Answer)
    world.clock.offset += 3 * DAY_MS
    act(world, corrected(kit.loan()))
    assert told(world) == []


def test_nobody_is_told_who_was_answered_about_another(world: World) -> None:
    world.import_records([kit.loan(), kit.loan(kit.OTHER_NUMBER, "T-2")])
    consent = world.consent(world.citizen(kit.OTHER_NUMBER))
    assert isinstance(world.query(consent), Answer)
    act(world, corrected(kit.loan()))
    assert told(world) == []


def test_what_is_not_held_or_another_persons_is_refused_by_line(world: World) -> None:
    world.import_records([kit.loan(), kit.loan(kit.OTHER_NUMBER, "T-2")])
    size = kit.size(world.house)
    unknown = corrected(kit.loan(kit.NUMBER, "T-9"))
    moved = corrected(kit.loan(kit.NUMBER, "T-2"))
    report = act(world, unknown, moved)
    assert dict(report.by_rule) == {Rule.UNKNOWN_REFERENCE: 1, Rule.ANOTHER_PERSON: 1}
    assert kit.size(world.house) == size


def test_a_person_whose_rows_are_not_whole_is_not_touched(world: World) -> None:
    world.import_records([kit.loan(), kit.job()])
    kit.insider(world.house, "DELETE FROM records WHERE category = 'employment'")
    with pytest.raises(EvidenceBroken):
        act(world, corrected(kit.loan()))
    assert not kit.of_type(world.house, "record.corrected")
    assert told(world) == []


def test_a_source_without_standing_corrects_nothing(world: World) -> None:
    world.import_records([kit.loan()])
    suspend(world.house, "institution", SOURCE, "stale-records")
    with pytest.raises(Rejected):
        act(world, corrected(kit.loan()))


def test_an_answer_from_before_is_not_given_again(world: World) -> None:
    world.import_records([kit.loan()])
    body = kit.query_body(world.consent(world.citizen(kit.NUMBER)))
    assert kit.post_query(world, body).status_code == 200
    act(world, corrected(kit.loan()))
    assert kit.name_of(kit.post_query(world, body)) == "answer-gone"


def test_the_old_revision_is_gone_from_the_database(world: World) -> None:
    world.import_records([kit.loan()])
    [(body,)] = kit.insider(world.house, "SELECT body FROM records")
    act(world, corrected(kit.loan()))
    assert bytes(body) not in [bytes(row[0]) for row in kit.insider(world.house, "SELECT body FROM records")]
