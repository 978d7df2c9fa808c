"""A deferred notice: hidden while the statute allows it, and not a day longer."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.client.accesses import Access
from gateway.client.bank import Answer
from gateway.client.reply import Refused
from gateway.client.statutory import Settled, Waiting
from gateway.institutions.register import suspend
from gateway.query.statutory.ending import lapse_pending, unseal_due
from keys.instant import parse_instant
from ledger.entries import Leaf
from tests.gateway import kit
from tests.gateway.query.statutory.kit import COVERT, DAY_MS, POLICE, Office, leaves_since, tag_of
from tests.gateway.world import World

DEFERRAL = 30 * DAY_MS


def listed(citizen: Any) -> tuple[Access, ...]:
    """The citizen's own list, each entry checked by their client."""
    found = citizen.client.accesses()
    assert not isinstance(found, Refused), found
    return tuple(found)


def unsealed(world: World) -> list[Leaf]:
    return kit.of_type(world.house, "query.unsealed")


def test_its_leaves_stand_under_one_tag_that_is_nobodys(world: World, office: Office) -> None:
    world.import_records([kit.loan()])
    citizen = world.citizen(kit.NUMBER)
    theirs = {tag_of(leaf) for leaf in kit.of_type(world.house, "subject.enrolled")}
    size = kit.size(world.house)
    request = office.answered(COVERT)
    answer = office.collect(request)
    assert isinstance(answer, Answer)
    assert len(answer.answer["records"]["loan"]) == 1
    found = leaves_since(world, size)
    assert [leaf.type for leaf in found] == ["query.pending", "query.disclosed", "query.redelivered"]
    assert len({tag_of(leaf) for leaf in found}) == 1
    assert theirs.isdisjoint(tag_of(leaf) for leaf in found)
    until = found[0].body.deferred_until
    assert parse_instant(until) == parse_instant(found[0].at) + DEFERRAL
    assert {one.type for one in listed(citizen)} <= {"subject.enrolled", "subject.read", "record.ingested"}


def test_once_the_deferral_is_over_the_person_sees_all_of_it(world: World, office: Office) -> None:
    world.import_records([kit.loan()])
    citizen = world.citizen(kit.NUMBER)
    size = kit.size(world.house)
    request = office.answered(COVERT)
    assert isinstance(office.collect(request), Answer)
    world.clock.offset += DEFERRAL - 60_000
    assert unseal_due(world.house) == 0
    world.clock.offset += 60_000
    assert unseal_due(world.house) == 1
    assert unseal_due(world.house) == 0
    covert = leaves_since(world, size)[:3]
    entry = listed(citizen)[-2]
    assert entry.type == "query.unsealed"
    assert entry.proven
    assert [(one.index, one.type, one.at) for one in entry.joined] == [
        (leaf.index, leaf.type, leaf.at) for leaf in covert
    ]
    first = entry.joined[0]
    assert (first.institution, first.purpose, first.statute) == (office.institution, "92", POLICE.code)
    assert first.institution_name == "测试机关"
    assert all(one.proven for one in entry.joined)


def test_what_is_collected_after_the_unsealing_is_seen_too(world: World, office: Office) -> None:
    """A policy may give more time to approve and to collect than the statute defers."""
    citizen = world.citizen(kit.NUMBER)
    request = office.request(COVERT)
    assert isinstance(office.submit(request), Waiting)
    world.clock.offset += DEFERRAL
    assert unseal_due(world.house) == 1
    assert len(listed(citizen)[-2].joined) == 1
    assert lapse_pending(world.house) == 1
    entry = next(one for one in listed(citizen) if one.type == "query.unsealed")
    assert [one.reason for one in entry.joined] == [None, "approval-lapsed"]


@pytest.mark.parametrize("ending", ["denied", "lapsed", "never-ended"])
def test_it_is_unsealed_whatever_became_of_it(world: World, office: Office, ending: str) -> None:
    citizen = world.citizen(kit.NUMBER)
    request = office.request(COVERT)
    assert isinstance(office.submit(request), Waiting)
    if ending == "denied":
        assert isinstance(office.deny(request), Settled)
    elif ending == "lapsed":
        world.clock.offset += DAY_MS
        assert lapse_pending(world.house) == 1
    world.clock.offset += DEFERRAL
    assert unseal_due(world.house) == 1
    lapse_pending(world.house)
    entry = next(one for one in listed(citizen) if one.type == "query.unsealed")
    assert [one.type for one in entry.joined] == ["query.pending", "query.refused"]
    assert entry.joined[0].index == unsealed(world)[0].body.of


def test_of_somebody_nobody_knows_it_is_unsealed_under_yet_another_tag(world: World, office: Office) -> None:
    request = office.answered(COVERT)
    [pending] = kit.of_type(world.house, "query.pending")
    world.clock.offset += DEFERRAL
    assert unseal_due(world.house) == 1
    [leaf] = unsealed(world)
    assert leaf.body.of == pending.index
    others = {tag_of(one) for one in kit.leaves(world.house)[: leaf.index] if one.subject is not None}
    assert tag_of(leaf) not in others
    kit.check_refused(world, office.collect(request), "answer-gone")


def test_who_became_known_meanwhile_sees_it(world: World, office: Office) -> None:
    """A deferred query is of the person that its number names, whenever they became known."""
    request = office.request(COVERT)
    assert isinstance(office.submit(request), Waiting)
    citizen = world.citizen(kit.NUMBER)
    world.clock.offset += DEFERRAL
    assert unseal_due(world.house) == 1
    assert [one.type for one in listed(citizen)].count("query.unsealed") == 1


def test_a_query_that_was_not_deferred_is_never_unsealed(world: World, office: Office) -> None:
    office.answered(POLICE)
    world.clock.offset += 2 * DEFERRAL
    assert unseal_due(world.house) == 0


def test_a_refused_attempt_to_defer_stands_in_the_persons_list_at_once(world: World, office: Office) -> None:
    citizen = world.citizen(kit.NUMBER)
    refused = office.request(COVERT, purpose="91")
    kit.check_refused(world, office.submit(refused), "statute-not-held")
    unheld = office.request(COVERT)
    kit.check_refusal(world, kit.post_query(world, unheld), "statute-not-held", unheld["query_id"])
    told = [(one.query, one.reason) for one in listed(citizen) if one.type == "query.refused"]
    assert told == [(one["query_id"], "statute-not-held") for one in (refused, unheld)]


def test_who_may_not_repeat_a_deferred_query_does_not_give_it_away(world: World, office: Office) -> None:
    citizen = world.citizen(kit.NUMBER)
    request = office.request(COVERT)
    assert isinstance(office.submit(request), Waiting)
    [pending] = kit.of_type(world.house, "query.pending")
    suspend(world.house, "operator", office.operators["asker"], "test")
    leaf = kit.check_refused(world, office.submit(request), "operator-suspended")
    assert tag_of(leaf) == tag_of(pending)
    assert "query.refused" not in {one.type for one in listed(citizen)}
    world.clock.offset += DEFERRAL
    assert unseal_due(world.house) == 1
    entry = next(one for one in listed(citizen) if one.type == "query.unsealed")
    assert [one.type for one in entry.joined] == ["query.pending", "query.refused"]
