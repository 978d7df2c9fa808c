"""What goes in one exchange with the lock, or with the commit: several workers of one PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gateway import db
from gateway.errors import ReplayedNonce
from gateway.transaction import Transaction
from ledger.exchange import run
from ledger.fixed import Call
from ledger.sets import same
from tests import databases
from tests.attacks.schedule import until_waiting
from tests.attacks.test_between_reading_and_lock import made_ready, ruled_on
from tests.gateway import kit
from tests.gateway.test_policies import another
from tests.gateway.world import World, new_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with databases.using("postgresql"), new_world(tmp_path / "home") as made:
        yield made


def test_who_waits_for_the_lock_sees_the_nonce_that_was_spent_meanwhile(world: World) -> None:
    """What is sent with the lock is read after it: each statement takes its snapshot when its turn comes."""
    consent = world.consent(world.citizen(kit.NUMBER), max_uses=2)
    [ask] = made_ready(world, consent)
    outcome: list[Any] = []
    waiter = threading.Thread(target=lambda: outcome.extend(ruled_on(world, [ask])))

    def spend(_tx: Transaction) -> None:
        waiter.start()
        until_waiting(world.house, 1)

    with another(world) as other:
        other.transact(spend, seals=False, nonce=ask.signer.nonce)
        waiter.join(30)
    assert [type(one) for one in outcome] == [ReplayedNonce]


def test_a_constraint_that_fails_at_the_commit_fails_the_exchange(world: World) -> None:
    """The calls were all done; COMMIT was not, and its refusal is raised like any other."""
    once = sa.Table("once", sa.MetaData(), sa.Column("n", sa.Integer))
    one = Call(same(sa.insert(once).values(n=1)), {})
    with db.writing(world.house.engine) as conn:
        conn.execute(sa.text("CREATE TEMPORARY TABLE once (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)"))
        with pytest.raises(sa.exc.IntegrityError):
            run(conn, [one, one], commits=True)
