"""Erasing by order: what goes is gone from every table, what stays stays readable, and an auditor agrees."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.client.bank import Answer, Person
from gateway.client.reply import Refused
from gateway.erasure.holds import lift_hold, place_hold
from gateway.erasure.order import erase_all, erase_classes
from gateway.erasure.refused import ErasureRefused
from gateway.people.subjects import find_by_number
from gateway.tables import (
    citizen_keys,
    consent_requests,
    data_keys,
    events,
    grants,
    queries,
    records,
    subject_index,
    subjects,
)
from ledger.tables import ledger_leaves, ledger_sealed
from tests.gateway import kit
from tests.gateway.erasure.kit import audited, drop, late, leave
from tests.gateway.rotation.kit import loans, people, told
from tests.gateway.world import BANK, World

CASE = "0f8e2c1a-5b7d-4e3f-9a6b-1c2d3e4f5a6b"


def test_a_person_leaves_and_nothing_of_theirs_is_left(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone, staying = people(world, 2)
    loans(world, gone)
    before = told(world, staying)
    erased = leave(world, gone.citizen.number)
    assert erased.count == 1
    assert {"identity", "link"} < set(erased.classes)
    with world.house.read() as conn:
        for table in (subjects, subject_index, data_keys, citizen_keys, records):
            assert not conn.scalar(
                sa.select(sa.func.count()).select_from(table).where(table.c.subject == gone.subject)
            ), table.name
        assert conn.execute(sa.select(grants).where(grants.c.tag == gone.tag)).all() == []
        theirs = sa.select(ledger_leaves.c.idx).where(ledger_leaves.c.tag == gone.tag)
        given = conn.scalars(sa.select(queries.c.given).where(queries.c.idx.in_(theirs))).all()
        assert given == [None]
        blobs = conn.scalars(sa.select(ledger_sealed.c.blob).where(ledger_sealed.c.idx.in_(theirs))).all()
        assert len(blobs) == 4  # enrolled, requested, granted, disclosed
        assert set(blobs) == {b""}
        states = conn.scalars(
            sa.select(consent_requests.c.state).where(consent_requests.c.tag == gone.tag)
        ).all()
        assert states == ["erased"]
        assert not find_by_number(world.house, conn, gone.citizen.number).known
    assert told(world, staying) == before
    assert loans(world, staying)
    assert audited(world, tmp_path, capsys)["opened"] >= 4


def test_consents_end_with_their_person(world: World) -> None:
    (gone,) = people(world, 1)
    waiting = world.ask(gone.citizen)
    leave(world, gone.citizen.number)
    withdrawn = kit.of_type(world.house, "consent.withdrawn")
    assert [leaf.body.by for leaf in withdrawn] == ["erasure"]
    assert len(kit.of_type(world.house, "consent.lapsed")) == 1
    kit.check_refused(world, world.query(gone.consent), "no-consent")
    assert [event.kind for event in told_to(world)][-1] == "withdrawn"
    again = world.bank().request_consent(waiting.request_id, Person(gone.citizen.number), world.terms())
    assert isinstance(again, Refused)
    assert again.problem.name == "query-id-reused"


def test_who_comes_back_has_a_new_tag_and_no_old_consents(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (gone,) = people(world, 1)
    leave(world, gone.citizen.number)
    old = gone.citizen.client.enrol(gone.citizen.certificate, gone.citizen.number)
    assert isinstance(old, Refused)
    assert old.problem.name == "bad-certificate"
    certificate = world.registrar.certify(
        world.house.origin, gone.citizen.number, gone.citizen.key, world.clock()
    )
    assert isinstance(gone.citizen.client.enrol(certificate, gone.citizen.number), int)
    with world.house.read() as conn:
        found = find_by_number(world.house, conn, gone.citizen.number)
    assert found.known
    assert found.tag != gone.tag
    report = told(world, gone)
    assert report["consents"] == []
    assert report["records"] == {}
    kit.check_refused(world, world.query(gone.consent), "no-consent")
    assert isinstance(world.query(world.consent(gone.citizen)), Answer)
    audited(world, tmp_path, capsys)


def test_a_class_goes_and_the_others_stay(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (person,) = people(world, 1)
    number = person.citizen.number
    some = [late(number, "A-1", date(2025, 3, 1)), late(number, "A-2", date(2025, 4, 1))]
    assert world.import_records(some).accepted == 2
    with world.house.read() as conn:
        klasses = set(conn.scalars(sa.select(records.c.klass).where(records.c.category == "repayment")))
    assert len(klasses) == 2  # two ends of a term, two keys
    erased = drop(world, number, "adverse")
    assert (set(erased.classes), erased.count) == (klasses, 2)
    assert list(told(world, person)["records"]) == ["loan"]
    assert loans(world, person)
    with world.house.read() as conn:
        held = conn.scalars(sa.select(data_keys.c.klass).where(data_keys.c.subject == person.subject)).all()
    assert sorted(held) == ["current", "identity", "link"]
    assert world.import_records(some).accepted == 2  # a source may send it anew
    audited(world, tmp_path, capsys)


def test_a_held_person_is_not_erased_until_the_case_is_closed(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (person,) = people(world, 1)
    place_hold(world.house, CASE, person.citizen.number, "investigation")
    before = kit.size(world.house)
    kit.insider(world.house, "DELETE FROM holds")  # the row is no hold
    for act in (
        lambda: erase_all(world.house, person.citizen.number, "demanded"),
        lambda: erase_classes(world.house, person.citizen.number, {"loan"}, "demanded"),
    ):
        with pytest.raises(ErasureRefused, match=CASE):
            act()
    assert kit.size(world.house) == before


def test_a_closed_case_holds_nobody(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (person,) = people(world, 1)
    place_hold(world.house, CASE, person.citizen.number, "investigation")
    with pytest.raises(ErasureRefused, match="already"):
        place_hold(world.house, CASE, person.citizen.number, "investigation")
    lift_hold(world.house, CASE, "no-further-action")
    with pytest.raises(ErasureRefused, match="closed already"):
        lift_hold(world.house, CASE, "no-further-action")
    leave(world, person.citizen.number)
    audited(world, tmp_path, capsys)


def test_what_cannot_be_erased_is_said_and_nothing_is_done(world: World) -> None:
    (person,) = people(world, 1)
    before = kit.size(world.house)
    number = person.citizen.number
    for act, said in (
        (lambda: erase_all(world.house, kit.person(900), "demanded"), "nothing is held"),
        (lambda: erase_all(world.house, number, "because"), "no such ground"),
        (lambda: erase_classes(world.house, number, {"adverse"}, "demanded"), "nothing of that kind"),
        (lambda: erase_classes(world.house, number, {"link"}, "demanded"), "everything else"),
    ):
        with pytest.raises(ErasureRefused, match=said):
            act()
    assert kit.size(world.house) == before


def told_to(world: World) -> list[sa.Row[Any]]:
    """The bank's events."""
    with world.house.read() as conn:
        wanted = sa.select(events).where(events.c.institution == BANK).order_by(events.c.seq)
        return list(conn.execute(wanted))
