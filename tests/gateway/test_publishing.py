"""A database put back to an older state: no house opens on it, a running one writes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from gateway.client.bank import Answer
from gateway.errors import EvidenceBroken, NotReady
from gateway.locks import sole_publisher
from gateway.opening import open_house
from gateway.publishing import PublishingThread, publisher_of
from ledger.checkpoint import open_checkpoint
from ledger.errors import HeadBehind
from tests import databases
from tests.gateway import kit
from tests.gateway.world import World


@pytest.fixture
def rolled_back(world: World, tmp_path: Path) -> Iterator[World]:
    """A world that lived on after a backup, and was then put back to it while it runs."""
    world.consent(world.citizen(kit.NUMBER))
    world.publishing.stop()
    with databases.snapshot(world.house, tmp_path / "backup.db") as restore:
        consent = world.consent(world.citizen(kit.OTHER_NUMBER))
        assert isinstance(world.query(consent), Answer)
        assert world.publishing.publish_now() is not None
        restore()
        yield world


def test_a_restored_database_is_not_opened(rolled_back: World) -> None:
    with pytest.raises(HeadBehind):
        open_house(rolled_back.house.settings, rolled_back.clock)


def test_it_is_not_opened_when_the_tiles_were_restored_too(rolled_back: World) -> None:
    """The copy outside is what a backup of the installation does not hold."""
    shutil.rmtree(rolled_back.house.settings.log_dir)
    with pytest.raises(HeadBehind):
        open_house(rolled_back.house.settings, rolled_back.clock)


def test_it_is_not_opened_when_the_copy_outside_is_gone(world: World) -> None:
    world.publishing.stop()
    world.house.settings.checkpoint_copy.unlink()
    with pytest.raises(HeadBehind):
        open_house(world.house.settings, world.clock)


def test_a_running_house_writes_nothing_into_a_restored_database(rolled_back: World) -> None:
    before = kit.size(rolled_back.house)
    consent = kit.insider(rolled_back.house, "SELECT consent FROM grants WHERE grant_index > 0")[0][0]
    for body in (kit.query_body(consent), kit.query_body("00000000-0000-4000-8000-000000000000")):
        reply = kit.post_query(rolled_back, body)
        assert (reply.status_code, kit.name_of(reply)) == (503, "not-ready")
    assert kit.size(rolled_back.house) == before
    ready = httpx.get(rolled_back.url + "/readyz")
    assert (ready.status_code, ready.json()["why"]) == (503, "rolled-back")


def test_the_publisher_signs_no_second_history(rolled_back: World) -> None:
    """Even once the restored log has grown past the checkpoint again."""
    served = (rolled_back.house.settings.log_dir / "checkpoint").read_bytes()
    rolled_back.house.seen = None  # an insider's own process, that knows of nothing
    for _ in range(12):
        rolled_back.house.transact(
            lambda tx: tx.append(
                "institution.suspended", {"institution": "91990000DEMA00002P", "reason": "again"}
            ),
            seals=False,
        )
    with pytest.raises(HeadBehind):
        publisher_of(rolled_back.house).publish()
    assert (rolled_back.house.settings.log_dir / "checkpoint").read_bytes() == served


def test_an_untouched_database_opens_and_goes_on(world: World) -> None:
    consent = world.consent(world.citizen(kit.NUMBER))
    house = world.reopen()
    try:
        assert kit.ask_house(world, consent, house)
        assert kit.size(house) == kit.size(world.house)
    finally:
        house.engine.dispose()


def test_an_edited_installation_row_is_not_opened(world: World) -> None:
    kit.insider(world.house, "UPDATE installation SET decoy_consent = '0'")
    with pytest.raises(EvidenceBroken):
        open_house(world.house.settings, world.clock)


def test_a_policy_that_the_ledger_does_not_name_is_not_in_force(world: World) -> None:
    """An insider's own policy, well-formed and under its own hash, put in as the newest."""
    from consent.policy import default_policy, format_policy, policy_hash

    forged = default_policy(demo=False)
    kit.insider(
        world.house,
        "INSERT INTO policies (hash, body, idx) VALUES (?, ?, 999)",
        [policy_hash(forged), format_policy(forged)],
    )
    house = open_house(world.house.settings, world.clock)
    try:
        assert house.policy_hash == world.house.policy_hash
        assert house.policy == world.house.policy
    finally:
        house.engine.dispose()


def test_a_policy_whose_bytes_were_changed_is_not_opened(world: World) -> None:
    from consent.policy import default_policy, format_policy

    kit.insider(world.house, "UPDATE policies SET body = ?", [format_policy(default_policy(demo=False))])
    with pytest.raises(EvidenceBroken):
        open_house(world.house.settings, world.clock)


def test_only_one_server_runs_on_a_home(world: World) -> None:
    home = world.house.settings.home
    with sole_publisher(home), pytest.raises(NotReady), sole_publisher(home):
        pass
    with sole_publisher(home):
        pass


def test_what_is_committed_is_published_and_served(world: World) -> None:
    world.consent(world.citizen(kit.NUMBER))
    published = world.publishing.publish_now()
    assert published is not None
    assert published.checkpoint.size == kit.size(world.house)
    served = httpx.get(world.url + "/ledger/checkpoint")
    assert served.content == published.note == world.house.settings.checkpoint_copy.read_bytes()


def test_the_publisher_outlives_a_locked_database(world: World) -> None:
    """It says so in /readyz and goes on once the lock is gone; a dead thread would publish nothing again."""
    world.publishing.stop()
    again = PublishingThread(world.house)

    world.consent(world.citizen(kit.NUMBER))
    databases.impatient(world.house)
    with databases.locked(world.house):
        again._publish_or_note()
        assert isinstance(again.failure, sa.exc.OperationalError)
    again._publish_or_note()
    assert again.failure is None
    served = open_checkpoint(
        (world.house.settings.log_dir / "checkpoint").read_bytes(), world.bank().pins.vkey
    )
    assert served.size == kit.size(world.house)
