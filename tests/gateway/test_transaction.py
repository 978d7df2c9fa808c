"""Leaves made ready before the lock: what stands in the log opens with key and epoch of its commit."""

from __future__ import annotations

import os
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from gateway.errors import NotReady
from gateway.house import House
from gateway.institutions.register import NewInstitution, add_institution
from gateway.rotation.epoch import rotate_epoch
from gateway.transaction import Transaction, close_details, prepare
from keys.canonical import canonical
from keys.instant import DAY
from keys.sealing import generate_x25519, open_details
from ledger.drafts import Closed, Draft, Entry, Ready
from ledger.entries import Leaf, parse_leaf
from ledger.tables import ledger_sealed
from tests.gateway.world import World, synthetic_uscc

TAG = b"a tag of 16 byte"
DETAILS = {"request": {"purpose": "02"}, "request_salt": "AAAAAAAAAAAAAAAAAAAAAA"}
REFUSED = Draft(
    "query.refused",
    {"query": "3f0c1f3e-9a35-4a3b-8a53-0e6ef3d4a111", "reason": "no-consent", "purpose": "02"},
    tag=TAG,
    by={"institution": "91110000600037341L", "operator": "op-0123456789abcdef"},
    details=DETAILS,
)


def made_ready(house: House) -> Ready:
    """After a first leaf, which announces the day's key."""
    house.transact(lambda tx: tx.record(REFUSED))
    ready = prepare(house, REFUSED)
    assert isinstance(ready, Ready)
    return ready


def recorded(house: House, ready: Draft | Ready) -> tuple[Entry, Leaf]:
    entry = house.transact(lambda tx: tx.record(ready))
    return entry, parse_leaf(entry.leaf)


def opened(house: House, entry: Entry, leaf: Leaf) -> bytes:
    """Its details, with the key that this process seals with now."""
    assert leaf.sealed is not None
    assert house.sealing is not None
    assert leaf.sealed.key == house.sealing.id
    with house.read() as conn:
        row = conn.execute(sa.select(ledger_sealed).where(ledger_sealed.c.idx == entry.index)).one()
    assert (row.sha256.hex(), row.epoch) == (leaf.sealed.sha256, house.keyring.epoch)
    blob = house.unwrap_sealed(row.blob, leaf.sealed.sha256)
    return open_details(house.sealing.key, blob, house.origin, entry.salt)


def test_what_was_ready_is_recorded_as_it_was_made(world: World) -> None:
    ready = made_ready(world.house)
    entry, leaf = recorded(world.house, ready)
    assert entry.salt == ready.salt
    assert leaf.subject is not None
    assert leaf.subject.n == 2
    assert opened(world.house, entry, leaf) == canonical(DETAILS)


def test_it_is_sealed_again_where_the_days_key_is_another(world: World) -> None:
    ready = made_ready(world.house)
    world.clock.offset += DAY
    entry, leaf = recorded(world.house, ready)
    assert ready.closed is not None
    assert leaf.sealed is not None
    assert leaf.sealed.key != ready.closed.key
    assert opened(world.house, entry, leaf) == canonical(DETAILS)


def test_a_regulator_who_came_meanwhile_can_open_it(world: World) -> None:
    ready = made_ready(world.house)
    _, public = generate_x25519(os.urandom)
    new = NewInstitution(synthetic_uscc(77), "另一监管局", "regulator", ("audit",), regulator_key=public)
    add_institution(world.house, new)
    entry, leaf = recorded(world.house, ready)
    assert world.house.sealing is not None
    assert len(world.house.sealing.regulators) == 2
    assert opened(world.house, entry, leaf) == canonical(DETAILS)


def test_it_is_wrapped_again_where_the_epoch_is_another(world: World) -> None:
    ready = made_ready(world.house)
    rotate_epoch(world.house, lambda *_: None)
    entry, leaf = recorded(world.house, ready)
    assert ready.closed is not None
    assert ready.closed.epoch < world.house.keyring.epoch
    assert opened(world.house, entry, leaf) == canonical(DETAILS)


@pytest.mark.parametrize("days", [0, 1])
def test_details_may_be_sealed_before_the_body_is_known(world: World, days: int) -> None:
    """On the next day they are sealed again, with another salt."""
    made_ready(world.house)
    closed = close_details(world.house, DETAILS)
    assert isinstance(closed, Closed)
    world.clock.offset += days * DAY
    entry, leaf = recorded(world.house, msgspec.structs.replace(REFUSED, details=closed))
    assert (entry.salt == closed.salt) == (days == 0)
    assert opened(world.house, entry, leaf) == canonical(DETAILS)


def test_where_no_key_was_announced_yet_the_draft_stays_one(world: World) -> None:
    house = world.house
    house.sealing = None
    assert prepare(house, REFUSED) is REFUSED
    assert close_details(house, DETAILS) is DETAILS
    entry, leaf = recorded(house, REFUSED)
    assert opened(house, entry, leaf) == canonical(DETAILS)


def test_details_that_nobody_may_open_are_not_recorded(world: World) -> None:
    ready = made_ready(world.house)

    def act(tx: Transaction) -> Any:
        tx.sealing = None
        return tx.record(ready)

    with pytest.raises(NotReady):
        world.house.transact(act)
