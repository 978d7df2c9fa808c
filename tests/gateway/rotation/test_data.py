"""Data keys are replaced: every report and answer reads as before, and the old keys open nothing."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
import sqlalchemy as sa

from gateway import rows
from gateway.client.bank import Answer
from gateway.client.reply import Refused
from gateway.errors import EvidenceBroken
from gateway.keyring import wrapped_of
from gateway.query.request import Query
from gateway.query.ruled import Moved
from gateway.query.turnstile import rule_batch
from gateway.records.store import open_revisions, revisions_of
from gateway.rotation.data import rotate_data
from gateway.rotation.epochs import NOBODYS
from gateway.tables import citizen_keys, data_keys, grants
from keys.canonical import canonical, parse_canonical
from tests.gateway import kit
from tests.gateway.query.asked import look_up
from tests.gateway.rotation.kit import Person, loans, nothing, people, told
from tests.gateway.world import World


def versions(world: World) -> set[int]:
    """The versions of everybody's data keys, the decoy's included."""
    with world.house.read() as conn:
        wanted = sa.select(data_keys.c.version).where(data_keys.c.subject != NOBODYS)
        return set(conn.scalars(wanted))


def test_everything_reads_the_same_under_new_keys(world: World) -> None:
    some = people(world, 3)
    seen = [told(world, one) for one in some]
    old = _keys(world, some[0])
    done = rotate_data(world.house, nothing)
    assert (done.persons, done.broken) == (3, 0)
    assert versions(world) == {2}
    assert [told(world, one) for one in some] == seen
    for one in some:
        assert loans(world, one)
        _evident(world, one)
    fields = kit.insider(world.house, "SELECT tag FROM subjects WHERE subject = ?", [some[0].subject])
    with pytest.raises(EvidenceBroken):
        old["link"].open("subjects", "tag", some[0].subject, bytes(fields[0][0]))
    restated = kit.of_type(world.house, "record.restated")
    assert [(leaf.body.count, leaf.body.cause) for leaf in restated] == [(1, "rotation")] * 3
    assert sum(leaf.body.count for leaf in kit.of_type(world.house, "key.data")) == done.keys + 2


def _keys(world: World, person: Person) -> dict[str, Any]:
    with world.house.read() as conn:
        return world.house.keyring.open(conn, person.subject, ("link", "identity"))


def _evident(world: World, person: Person) -> None:
    house = world.house
    with house.read() as conn:
        for table, column, value in (
            (citizen_keys, "subject", person.subject),
            (grants, "tag", person.tag),
        ):
            found = rows.read_evident(conn, table, column, [value], house.shard)
            assert found
            for row in found:
                rows.require_evident(house.custody, table, row)


def test_those_who_come_later_are_no_rest_of_the_last_rotation(world: World) -> None:
    people(world, 1)
    rotate_data(world.house, nothing)
    world.import_records([kit.loan(kit.person(77), "later")])
    world.citizen(kit.person(78))
    assert versions(world) == {2}
    assert rotate_data(world.house, nothing).persons == 3
    assert versions(world) == {3}


def test_one_persons_keys_are_replaced_alone(world: World) -> None:
    first, second = people(world, 2)
    assert rotate_data(world.house, nothing, first.subject).persons == 1
    assert versions(world) == {1, 2}
    assert loans(world, first)
    assert loans(world, second)
    rotate_data(world.house, nothing)
    assert versions(world) == {3}


def test_an_answer_given_before_is_gone_and_never_wrong(world: World) -> None:
    (one,) = people(world, 1)
    query_id = str(uuid.uuid4())
    assert isinstance(world.query(one.consent, query_id=query_id), Answer)
    assert isinstance(world.query(one.consent, query_id=query_id), Answer)
    rotate_data(world.house, nothing)
    again = world.query(one.consent, query_id=query_id)
    assert isinstance(again, Refused)
    assert again.problem.name == "answer-gone"


def test_what_was_looked_up_before_is_looked_up_again(world: World) -> None:
    (one,) = people(world, 1)
    body = kit.query_body(one.consent)
    members: dict[str, Any] = parse_canonical(canonical(body))
    query = Query(**{**members, "categories": tuple(members["categories"])})
    ask = look_up(world.house, query, members, kit.signer_of(world))
    before = kit.size(world.house)
    rotate_data(world.house, nothing)
    written = kit.size(world.house)
    assert isinstance(world.house.lane.submit(rule_batch, ask), Moved)
    assert kit.size(world.house) == written > before
    ask = look_up(world.house, query, members, kit.signer_of(world))
    assert world.house.lane.submit(rule_batch, ask).decision == "disclosed"


def test_rows_and_keys_read_together_before_are_opened_after(world: World) -> None:
    (one,) = people(world, 1)
    with world.house.read() as conn:
        held, keys = revisions_of(conn, one.subject), wrapped_of(conn, one.subject)
    expected = open_revisions(world.house, held, keys)
    rotate_data(world.house, nothing)
    assert open_revisions(world.house, held, keys) == expected
    with world.house.read() as conn:
        later = wrapped_of(conn, one.subject)
    with pytest.raises(EvidenceBroken, match="does not open"):
        open_revisions(world.house, held, later)


def test_a_person_who_does_not_open_is_left_and_holds_up_nobody(world: World) -> None:
    first, second = people(world, 2)
    kit.insider(world.house, "UPDATE records SET shown_until = 7 WHERE subject = ?", [first.subject])
    done = rotate_data(world.house, nothing)
    assert (done.persons, done.broken) == (1, 1)
    assert loans(world, second)
