"""Several publishers of one log: one at a time, each at once when asked, and never two histories."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from gateway import locks
from gateway.publishing import PublishingThread, proof_of, publish, publisher_of
from ledger.errors import LogBusy
from ledger.proof import parse_proof, verify_proof
from ledger.publish import Published, Publisher
from tests.gateway import kit
from tests.gateway.test_house import registered
from tests.gateway.test_policies import another
from tests.gateway.world import World


def append(world: World) -> int:
    """One leaf more; its index."""
    return world.house.transact(registered, seals=False)


def test_publishers_in_several_processes_take_turns(world: World) -> None:
    """Threads with locks of their own stand for the processes; nobody is ever told to come again."""
    with another(world) as other:
        publishers = [PublishingThread(house) for house in (world.house, other) * 3]

        def publish_often(one: PublishingThread) -> list[int]:
            sizes = []
            for _ in range(8):
                index = append(world)
                published = one.publish_now()
                assert published is not None
                assert published.checkpoint.size > index
                sizes.append(published.checkpoint.size)
            return sizes

        for sizes in kit.together(*[partial(publish_often, one) for one in publishers]):
            assert sizes == sorted(sizes)


def test_a_proof_is_to_be_had_at_once_from_whoever_is_asked(world: World) -> None:
    with another(world) as other:
        for house in (world.house, other, world.house):
            index = append(world)
            published = PublishingThread(house).publish_now()
            assert published is not None
            proof = parse_proof(proof_of(house, published, index))
            [row] = kit.insider(world.house, "SELECT leaf_hash FROM ledger_leaves WHERE idx = ?", [index])
            verify_proof(proof, bytes(row[0]), world.bank().pins.vkey)


def test_who_only_ticks_does_not_wait_for_a_publisher_at_work(world: World) -> None:
    world.publishing.stop()
    ticking = PublishingThread(world.house)
    append(world)
    with locks.turn(world.house.settings.home / locks.TURN, wait=True):
        ticking._publish_or_note()  # returns: another has the turn
        assert ticking._covering() is None
        assert ticking.failure is None
    ticking._publish_or_note()
    assert ticking._covering() is not None


def test_who_wants_a_proof_waits_for_the_publisher_at_work(world: World) -> None:
    world.publishing.stop()
    index = append(world)
    got: list[Published | None] = []
    asking = threading.Thread(target=lambda: got.append(PublishingThread(world.house).publish_now()))
    with locks.turn(world.house.settings.home / locks.TURN, wait=True):
        asking.start()
        asking.join(0.2)
        assert asking.is_alive()
    asking.join(30)
    [published] = got
    assert published is not None
    assert published.checkpoint.size > index


def test_a_swap_that_another_machine_won_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file lock does not reach there; the comparison in the database does."""
    world.publishing.stop()
    swap = Publisher._swap
    lost: list[int] = []

    def loses_once(self: Publisher, last: Published | None, new: Published) -> None:
        if not lost:
            lost.append(new.checkpoint.size)
            append(world)  # and the other one publishes more than this one has
            publisher_of(world.house).publish()
        swap(self, last, new)

    index = append(world)
    monkeypatch.setattr(Publisher, "_swap", loses_once)
    assert publish(world.house)
    assert lost == [index + 1]
    published = PublishingThread(world.house)._covering()
    assert published is not None
    assert published.checkpoint.size == index + 2


def test_a_swap_that_is_lost_again_and_again_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.publishing.stop()

    def loses(*_: object) -> None:
        raise LogBusy("another publisher was faster")

    append(world)
    monkeypatch.setattr(Publisher, "_swap", loses)
    with pytest.raises(LogBusy):
        publish(world.house)


def test_files_that_a_crash_left_behind_are_caught_up_with(world: World) -> None:
    """The database has the checkpoint and the files do not: nothing new, and not nothing to do."""
    world.publishing.stop()
    settings = world.house.settings
    earlier = settings.checkpoint_copy.read_bytes()
    append(world)
    one = PublishingThread(world.house)
    newest = one.publish_now()
    assert newest is not None
    for path in (settings.checkpoint_copy, settings.log_dir / "checkpoint"):
        path.write_bytes(earlier)
        assert one._covering() is None
        one._publish_or_note()
        assert one.failure is None
        assert path.read_bytes() == newest.note
