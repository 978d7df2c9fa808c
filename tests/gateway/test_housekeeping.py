"""Housekeeping: one process does it, a chore that fails holds up no other, twice is once."""

from __future__ import annotations

from functools import partial

import pytest

from gateway import housekeeping
from gateway.consents.ending import lapse_due
from gateway.house import House
from gateway.housekeeping import CHORES, Housekeeping, keep_house
from gateway.locks import HOUSEKEEPING, Seat
from tests.gateway import kit
from tests.gateway.test_policies import another
from tests.gateway.world import DAY_MS, World


def overdue(world: World, serial: int = 1) -> None:
    """A request that has waited too long."""
    world.ask(world.citizen(kit.person(serial)))
    world.clock.offset += 15 * DAY_MS


def test_what_is_due_is_done_before_anything_is_served(world: World) -> None:
    overdue(world)
    keeper = Housekeeping(world.house)
    keeper.start()  # returns after one turn
    try:
        assert len(kit.of_type(world.house, "consent.lapsed")) == 1
    finally:
        keeper.stop()


def test_who_has_not_the_seat_does_nothing(world: World) -> None:
    overdue(world)
    other = Seat(world.house.settings.home / HOUSEKEEPING)
    assert other.taken()
    keeper = Housekeeping(world.house)
    assert not keeper.turn()
    assert not kit.of_type(world.house, "consent.lapsed")
    other.leave()
    assert keeper.turn()
    assert len(kit.of_type(world.house, "consent.lapsed")) == 1
    keeper._seat.leave()


def test_done_by_two_at_once_everything_is_done_once(world: World) -> None:
    """The seat spares work; it is not what keeps the ledger right."""
    for serial in range(1, 5):
        world.ask(world.citizen(kit.person(serial)))
    world.clock.offset += 15 * DAY_MS
    with another(world) as other:
        counted = kit.together(*[partial(keep_house, house) for house in (world.house, other)] * 2)
    assert sum(done["lapse_due"] for done in counted) == 4
    assert len(kit.of_type(world.house, "consent.lapsed")) == 4


def test_a_chore_that_fails_holds_up_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    overdue(world)

    def breaks(_house: House) -> int:
        raise RuntimeError

    monkeypatch.setattr(housekeeping, "CHORES", (breaks, lapse_due))
    assert keep_house(world.house) == {"lapse_due": 1}


def test_every_chore_runs_on_an_installation_where_nothing_is_due(world: World) -> None:
    before = kit.size(world.house)
    done = keep_house(world.house)
    assert done.keys() == {chore.__name__ for chore in CHORES}
    assert kit.size(world.house) == before
