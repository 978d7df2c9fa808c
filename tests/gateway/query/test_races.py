"""Races: a count that is never exceeded, and a withdrawal that no answer follows.

Whatever the threads do, the ledger is one order, and the order must show the promise kept.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from consent.decision import Reason
from gateway.consents import bodies
from gateway.consents.withdraw import withdraw
from gateway.house import House
from gateway.institutions.register import reinstate, suspend
from gateway.query.answer import Answer, Refusal
from ledger.entries import Leaf
from tests.gateway import kit
from tests.gateway.world import BANK, Citizen, World

ROUNDS = 8
ASKERS = 32


@pytest.fixture
def second(world: World) -> Iterator[House]:
    """A second process's worth of gateway on the same database."""
    house = world.reopen()
    yield house
    house.engine.dispose()
    house.custody.close()


def disclosed(world: World, grant: int) -> list[Leaf]:
    return [leaf for leaf in kit.of_type(world.house, "query.disclosed") if leaf.body.grant == grant]


def grant_of(world: World, consent: str) -> int:
    return int(kit.row_of(world.house, "grants", "consent = ?", consent)["grant_index"])


@pytest.mark.parametrize("uses", [1, 2, 10])
def test_sixty_four_threads_never_exceed_the_count(world: World, uses: int) -> None:
    consent = world.consent(world.citizen(kit.NUMBER), max_uses=uses)
    results = kit.together(*[partial(kit.ask_house, world, consent)] * 64)
    assert sum(isinstance(one, Answer) for one in results) == uses
    refused = {one.reason for one in results if isinstance(one, Refusal)}
    assert refused == {Reason.EXHAUSTED}
    leaves = disclosed(world, grant_of(world, consent))
    assert [leaf.body.use for leaf in leaves] == list(range(1, uses + 1))
    assert len(kit.of_type(world.house, "query.refused")) == 64 - uses


@pytest.mark.parametrize("uses", [1, 10])
def test_two_processes_share_one_count(world: World, second: House, uses: int) -> None:
    consent = world.consent(world.citizen(kit.NUMBER), max_uses=uses)
    work = [partial(kit.ask_house, world, consent, house) for house in (world.house, second) * 32]
    results = kit.together(*work)
    assert sum(isinstance(one, Answer) for one in results) == uses
    assert [leaf.body.use for leaf in disclosed(world, grant_of(world, consent))] == list(range(1, uses + 1))


def test_over_http_the_count_holds_too(world: World) -> None:
    consent = world.consent(world.citizen(kit.NUMBER), max_uses=2)
    asks = [partial(kit.post_query, world, kit.query_body(consent)) for _ in range(24)]
    statuses = [reply.status_code for reply in kit.together(*asks)]
    assert sorted(statuses) == [200] * 2 + [403] * 22


def race(world: World, citizen: Citizen, houses: list[House], chance: random.Random) -> None:
    """One round: askers and one withdrawal, in whatever order the machine finds."""
    consent = world.consent(citizen, max_uses=10)
    grant = grant_of(world, consent)
    body = world.wallet.sign_withdrawal_of(consent, world.house.origin, citizen.key)
    work: list[Callable[[], object]] = [
        partial(kit.ask_house, world, consent, chance.choice(houses)) for _ in range(ASKERS)
    ]
    work.insert(chance.randrange(ASKERS), partial(withdraw, chance.choice(houses), bodies.Withdraw(**body)))
    results = kit.together(*work)
    [withdrawn] = [leaf for leaf in kit.of_type(world.house, "consent.withdrawn") if leaf.body.grant == grant]
    answered = disclosed(world, grant)
    assert all(leaf.index < withdrawn.index for leaf in answered)
    told = sorted(one.answer["query_id"] for one in results if isinstance(one, Answer))
    assert told == sorted(leaf.body.query for leaf in answered)
    refused = {one.reason for one in results if isinstance(one, Refusal)}
    assert refused <= {Reason.WITHDRAWN, Reason.EXHAUSTED}


def test_no_answer_follows_a_withdrawal(world: World) -> None:
    citizen = world.citizen(kit.NUMBER)
    for seed in range(ROUNDS):
        race(world, citizen, [world.house], random.Random(seed))


def test_no_answer_of_any_process_follows_a_withdrawal(world: World, second: House) -> None:
    citizen = world.citizen(kit.NUMBER)
    for seed in range(ROUNDS // 2):
        race(world, citizen, [world.house, second], random.Random(seed))


def test_once_the_withdrawal_has_returned_every_process_refuses(world: World, second: House) -> None:
    citizen = world.citizen(kit.NUMBER)
    consent = world.consent(citizen)
    assert isinstance(kit.ask_house(world, consent, second), Answer)
    world.withdraw(citizen, consent)
    refusal = kit.ask_house(world, consent, second)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.WITHDRAWN


def test_no_answer_follows_a_suspension(world: World, second: House) -> None:
    consent = world.consent(world.citizen(kit.NUMBER), max_uses=10)
    houses = (world.house, second)
    for turn in range(6):
        before = kit.size(world.house)
        work: list[Callable[[], object]] = [
            partial(kit.ask_house, world, consent, house) for house in houses * 4
        ]
        work.insert(turn, partial(suspend, houses[turn % 2], "institution", BANK, "race"))
        kit.together(*work)
        new = kit.leaves(world.house)[before:]
        [suspended] = [leaf.index for leaf in new if leaf.type == "institution.suspended"]
        assert all(leaf.index < suspended for leaf in new if leaf.type == "query.disclosed")
        after = {leaf.body.reason for leaf in new if leaf.type == "query.refused" and leaf.index > suspended}
        assert after <= {"institution-suspended"}
        reinstate(houses[turn % 2], "institution", BANK, "over")


def test_what_two_processes_appended_is_one_chain(world: World, second: House) -> None:
    """Everything two processes appended under contention is one chain, and every person's too."""
    citizens = [world.citizen(kit.person(serial)) for serial in range(3)]
    consents = [world.consent(citizen, max_uses=10) for citizen in citizens]
    work = [
        partial(kit.ask_house, world, consent, house)
        for consent in consents
        for house in (world.house, second) * 5
    ]
    kit.together(*work)
    leaves = kit.leaves(world.house)
    assert [leaf.index for leaf in leaves] == list(range(len(leaves)))
    hashes = [row[0] for row in kit.insider(world.house, "SELECT leaf_hash FROM ledger_leaves ORDER BY idx")]
    assert [bytes.fromhex(leaf.prev) for leaf in leaves] == [bytes(32), *hashes[:-1]]
    heads: dict[str, tuple[int, bytes]] = {}
    for leaf, digest in zip(leaves, hashes, strict=True):
        if leaf.subject is not None:
            n, prev = heads.get(leaf.subject.tag, (0, bytes(32)))
            assert (leaf.subject.n, bytes.fromhex(leaf.subject.prev)) == (n + 1, prev)
            heads[leaf.subject.tag] = (n + 1, digest)
    assert leaves == sorted(leaves, key=lambda leaf: leaf.at)
