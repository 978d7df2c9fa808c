"""The blind index is rotated: everybody is found all the while, and by the new key only afterwards."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from gateway import rows
from gateway.errors import KeysMovedOn
from gateway.people.citizens import find_by_kid
from gateway.people.subjects import find_by_number, find_by_tag, kid_lookups, number_lookups
from gateway.records.holdings import batches_of, is_whole
from gateway.records.ingest import reference_lookups
from gateway.records.store import revisions_of
from gateway.rotation import index as rotating
from gateway.rotation.index import rotate_index
from gateway.rotation.versions import index_versions, require_versions
from gateway.rotation.waiting import by_version
from gateway.tables import citizen_keys, subject_index
from keys.errors import UnknownKeyName
from keys.signing import thumbprint_bytes
from tests.gateway import kit
from tests.gateway.rotation.kit import Person, loans, nothing, people, told
from tests.gateway.world import World


def test_everything_is_found_and_reads_the_same_under_the_new_index(world: World) -> None:
    some = people(world, 3)
    seen = [told(world, one) for one in some]
    before = kit.insider(world.house, "SELECT value FROM subject_index")
    done = rotate_index(world.house, nothing)
    assert (done.version, done.broken) == (2, 0)
    assert index_versions(world.house.custody) == (2,)
    assert [(leaf.body.version, leaf.body.event) for leaf in kit.of_type(world.house, "key.index")] == [
        (2, "opened"),
        (2, "completed"),
        (1, "destroyed"),
    ]
    with world.house.read() as conn:
        assert by_version(conn).keys() == {2}
    assert not set(before) & set(kit.insider(world.house, "SELECT value FROM subject_index"))
    assert [told(world, one) for one in some] == seen
    for one in some:
        _evident(world, one)
        assert loans(world, one)
    assert loans(world, Person(some[0].citizen, world.consent(some[0].citizen), b"", b""))
    assert world.import_records([kit.loan(kit.person(1), "R-1")]).accepted == 0  # held already
    assert world.import_records([kit.loan(kit.person(1), "N-1")]).accepted == 1
    world.citizen(kit.person(50))
    assert rotate_index(world.house, nothing).version == 3
    assert [told(world, one)["person"] for one in some] == [one["person"] for one in seen]


def _evident(world: World, person: Person) -> None:
    house = world.house
    with house.read() as conn:
        assert find_by_number(house, conn, person.citizen.number).subject == person.subject
        assert find_by_tag(house, conn, person.tag).subject == person.subject
        citizen = find_by_kid(house, conn, person.citizen.key.kid)
        assert citizen is not None
        assert citizen.subject.subject == person.subject
        for row in rows.read_evident(conn, citizen_keys, "subject", [person.subject], house.shard):
            rows.require_evident(house.custody, citizen_keys, row)
        said = batches_of(house, conn, [person.tag])[person.tag]
        assert is_whole(house, said, revisions_of(conn, person.subject))


def test_between_opening_and_the_end_both_are_looked_up_and_written(world: World) -> None:
    some = people(world, 2)
    with world.house.read() as conn:
        assert rotating.read_indexes(conn, world.house.shard) == rotating.Indexes()
    rotating._open(world.house, 2)
    assert index_versions(world.house.custody) == (2, 1)
    assert len(number_lookups(world.house.custody, kit.NUMBER)) == 2
    world.citizen(kit.person(60))
    with world.house.read() as conn:
        found = find_by_number(world.house, conn, kit.person(60))
        wanted = sa.select(subject_index.c.version).where(subject_index.c.subject == found.subject)
        assert set(conn.scalars(wanted)) == {1, 2}
    assert world.import_records([kit.loan(kit.person(1), "R-1")]).accepted == 0
    for one in some:
        _evident(world, one)
    assert rotate_index(world.house, nothing).version == 2
    for one in some:
        _evident(world, one)


def test_another_process_finds_everybody_at_every_step(world: World) -> None:
    """It looks up by what custody has, so it needs to be told nothing."""
    (one,) = people(world, 1)
    other = world.reopen()
    steps = []

    def look(done: int, total: int) -> None:
        steps.append((done, total))
        with other.read() as conn:
            assert find_by_number(other, conn, one.citizen.number).known
            assert find_by_tag(other, conn, one.tag).known
            assert find_by_kid(other, conn, one.citizen.key.kid) is not None

    try:
        rotate_index(world.house, look)
        assert len(steps) > 3
        other.listen()
        with pytest.raises(UnknownKeyName):
            other.custody.mac("index-1", b"")
        look(0, 0)
    finally:
        other.engine.dispose()
        other.custody.close()


def test_rows_made_before_the_lock_under_other_versions_are_made_again(world: World) -> None:
    made = index_versions(world.house.custody)
    require_versions(world.house.custody, made)
    rotating._open(world.house, 2)
    with pytest.raises(KeysMovedOn):
        require_versions(world.house.custody, made)


def test_a_row_that_was_changed_is_not_made_evident(world: World) -> None:
    first, second = people(world, 2)
    kit.insider(world.house, "UPDATE citizen_keys SET effective = 0 WHERE subject = ?", [first.subject])
    kit.insider(world.house, "UPDATE records SET shown_until = 7 WHERE subject = ?", [first.subject])
    rotate_index(world.house, nothing)
    house = world.house
    with house.read() as conn:
        for row in rows.read_evident(conn, citizen_keys, "subject", [first.subject], house.shard):
            assert not rows.is_evident(house.custody, citizen_keys, row)
        said = batches_of(house, conn, [first.tag])[first.tag]
        assert not is_whole(house, said, revisions_of(conn, first.subject))
    assert loans(world, second)


def test_a_person_whose_identity_does_not_open_holds_up_nobody(world: World) -> None:
    first, second = people(world, 2)
    kit.insider(world.house, "DELETE FROM data_keys WHERE subject = ?", [first.subject])
    assert rotate_index(world.house, nothing).broken == 4
    assert loans(world, second)


def test_the_names_of_a_key_differ_by_version_and_kind(world: World) -> None:
    rotating._open(world.house, 2)
    raw = thumbprint_bytes(world.citizen(kit.person(2)).key.kid)
    found = kid_lookups(world.house.custody, raw)
    assert list(found) == [2, 1]
    assert len(set(found.values()) | set(reference_lookups(world.house, kit.loan()).values())) == 4
