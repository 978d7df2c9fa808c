"""What a batch carries: what a group read with the lock holds for it, and ends with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.errors import ReplayedNonce
from gateway.query.ruled import Disclosed
from gateway.query.turnstile import rule_batch
from gateway.transaction import Transaction
from gateway.work import Grouped
from ledger.errors import LogBusy
from ledger.tables import ledger_head
from tests.attacks.test_between_reading_and_lock import made_ready, ruled_on
from tests.gateway import kit
from tests.gateway.test_house import batched, registered
from tests.gateway.world import World, new_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with new_world(tmp_path / "home") as made:
        yield made


@pytest.mark.parametrize("first", ["the act", "the query"])
def test_a_nonce_is_spent_once_in_a_batch_of_acts_and_queries(world: World, first: str) -> None:
    """An act of the same batch has spent it after the lock was taken, and before the queries' turn."""
    consent = world.consent(world.citizen(kit.NUMBER), max_uses=2)
    [ask] = made_ready(world, consent)
    work = [
        lambda: world.house.transact(registered, seals=False, nonce=ask.signer.nonce),
        lambda: world.house.lane.submit(rule_batch, ask),
    ]
    with batched(world.house) as run:
        done = run(*(work if first == "the act" else work[::-1]))
    act, query = done if first == "the act" else done[::-1]
    assert isinstance(act, int)
    assert isinstance(query, ReplayedNonce)
    assert kit.row_of(world.house, "grants", "consent = ?", consent)["uses"] == 0


def test_a_head_that_moved_under_the_lock_is_not_committed(world: World) -> None:
    """On PostgreSQL the commit is sent before anybody here has seen that the head did not move."""
    before = kit.size(world.house)

    def moving(tx: Transaction, payloads: Sequence[None]) -> list[int]:
        tx.conn.execute(sa.update(ledger_head).values(leaf_hash=bytes(32)))
        return [registered(tx) for _ in payloads]

    [slot] = world.house.lane.submit_all(Grouped(lambda *_: [], moving), [None], [None])
    assert isinstance(slot.outcome, LogBusy)
    assert kit.size(world.house) == before
    assert world.house.transact(registered, seals=False) == before


def test_what_a_group_writes_last_is_undone_with_the_act_that_ran_it(world: World) -> None:
    """A use counted without its leaf, or a leaf without its use, would be a lie."""
    consent = world.consent(world.citizen(kit.NUMBER), max_uses=2)
    before = kit.size(world.house)

    def fails(tx: Transaction) -> None:
        [ruled] = rule_batch(tx, made_ready(world, consent))
        assert isinstance(ruled, Disclosed)
        raise LookupError

    with pytest.raises(LookupError):
        world.house.transact(fails)
    assert kit.size(world.house) == before
    assert kit.row_of(world.house, "grants", "consent = ?", consent)["uses"] == 0
    [ruled] = ruled_on(world, made_ready(world, consent))
    assert isinstance(ruled, Disclosed)
