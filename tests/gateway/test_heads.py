"""Whoever has the database alone appends nothing: the head over it would need a key in custody."""

from __future__ import annotations

import os

import msgspec
import pytest
import sqlalchemy as sa

from consent.policy import format_policy, policy_hash
from gateway import db
from gateway.errors import EvidenceBroken
from gateway.institutions.register import suspend
from gateway.publishing import publisher_of
from keys.canonical import b64u
from keys.instant import format_instant
from ledger.bodies import PolicyChanged
from ledger.entries import Leaf, format_leaf
from ledger.errors import Forked
from ledger.log import read_head
from ledger.merkle import leaf_hash
from tests.gateway import kit
from tests.gateway.world import BANK, World


def append_as_stranger(world: World, *, mac: bytes | None) -> None:
    """A policy without quotas, well-formed leaf and all, by somebody who has the database and no key."""
    house = world.house
    bundle = msgspec.structs.replace(house.policy, quotas=())
    with house.read() as conn:
        head = read_head(conn, house.shard)
    leaf = format_leaf(
        Leaf(
            log=house.origin,
            index=head.size,
            prev=head.leaf_hash.hex(),
            at=format_instant(head.at),
            salt=b64u(os.urandom(16)),
            type="policy.changed",
            body=PolicyChanged(policy=policy_hash(bundle), replaces=policy_hash(house.policy)),
            policy=policy_hash(bundle),
        )
    )
    kit.insider(
        house,
        "INSERT INTO policies (hash, body, idx) VALUES (?, ?, ?)",
        [policy_hash(bundle), format_policy(bundle), head.size],
    )
    kit.insider(
        house,
        "INSERT INTO ledger_leaves (shard, idx, leaf, leaf_hash, type) VALUES (0, ?, ?, ?, 'policy.changed')",
        [head.size, leaf, leaf_hash(leaf)],
    )
    kit.insider(
        house,
        "UPDATE ledger_head SET size = ?, leaf_hash = ?, mac = ? WHERE shard = 0",
        [head.size + 1, leaf_hash(leaf), mac],
    )


@pytest.mark.parametrize("mac", [None, bytes(32)], ids=["none", "zeros"])
def test_a_policy_that_a_stranger_appended_decides_nothing(world: World, mac: bytes | None) -> None:
    consent = world.consent(world.citizen(kit.NUMBER))
    world.publishing.publish_now()
    append_as_stranger(world, mac=mac)
    kit.check_problem(kit.post_query(world, kit.query_body(consent)), 503, "evidence-damaged")
    with pytest.raises(EvidenceBroken):
        suspend(world.house, "institution", BANK, "misuse")
    with pytest.raises((EvidenceBroken, Forked)):
        world.reopen()


def test_what_a_stranger_appended_is_not_signed(world: World) -> None:
    before = world.publishing.publish_now()
    append_as_stranger(world, mac=bytes(32))
    with pytest.raises(Forked):
        publisher_of(world.house).publish()
    note = (world.house.settings.log_dir / "checkpoint").read_bytes()
    assert before is not None
    assert note == before.note


def test_the_mac_of_another_head_is_none_of_this_one(world: World) -> None:
    """An older head's MAC, put beside a longer log."""
    with world.house.read() as conn:
        older = read_head(conn, world.house.shard)
    append_as_stranger(world, mac=older.mac)
    with pytest.raises(EvidenceBroken):
        suspend(world.house, "institution", BANK, "misuse")


def test_every_head_that_the_gateway_leaves_has_its_mac(world: World) -> None:
    with db.read(world.house.engine) as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM ledger_head WHERE mac IS NULL").scalar() == 0
        assert conn.scalar(sa.text("SELECT length(mac) FROM ledger_head")) == 32
