"""Restoring: into what is empty, with the custody it is of, and held against the newest checkpoint."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from gateway.client.bank import Answer
from gateway.custody import create_custody
from gateway.errors import EvidenceBroken, NotReady
from gateway.locks import sole_publisher
from gateway.opening import open_house
from gateway.publishing import publish, vkey_of
from gateway.recovery.backup import Backup, take_backup
from gateway.recovery.restore import Newest, restore_backup
from gateway.recovery.standing import Standing, standing_of
from gateway.rotation.destroy import destroy_epoch
from gateway.rotation.epoch import rotate_epoch
from gateway.rotation.own import rotate_own
from keys.errors import KeysError
from ledger.errors import HeadBehind
from tests import databases
from tests.gateway import kit
from tests.gateway.recovery.copies import bare, moved
from tests.gateway.recovery.serve import serving_elsewhere
from tests.gateway.rotation.kit import Person, loans, nothing, people
from tests.gateway.world import World


@pytest.fixture
def asked(world: World) -> Person:
    """Somebody with a record and a consent."""
    return people(world, 1)[0]


@pytest.fixture
def taken(world: World, asked: Person, tmp_path: Path) -> Backup:
    """A backup of it, all of it published."""
    world.publishing.stop()  # each test publishes what it wants to have published
    publish(world.house)
    return take_backup(world.house.settings, tmp_path / "backups", world.clock())


def test_nothing_is_overwritten(world: World, taken: Backup, engine: str) -> None:
    size = kit.size(world.house)
    with pytest.raises(NotReady, match=r"nothing is overwritten|stands in that database"):
        restore_backup(world.house.settings, taken.path)
    assert kit.size(world.house) == size


def test_it_is_restored_once(world: World, taken: Backup, tmp_path: Path) -> None:
    with moved(world.house, tmp_path / "restored") as settings:
        restore_backup(settings, taken.path)
        with pytest.raises(NotReady, match=r"nothing is overwritten|stands in that database"):
            restore_backup(settings, taken.path)
        house = open_house(settings, world.clock)
        assert kit.size(house) == taken.manifest.size
        house.engine.dispose()
        house.custody.close()


def test_it_is_refused_without_custody_and_without_a_checkpoint(
    world: World, taken: Backup, tmp_path: Path
) -> None:
    with moved(world.house, tmp_path / "restored") as settings:
        shutil.move(settings.custody_dir, tmp_path / "aside")
        with pytest.raises(NotReady, match="put the custody back first"):
            restore_backup(settings, taken.path)
        shutil.move(tmp_path / "aside", settings.custody_dir)
        settings.checkpoint_copy.unlink()
        with pytest.raises(NotReady, match="--checkpoint FILE"):
            restore_backup(settings, taken.path)


def test_another_custody_does_not_open_it(world: World, taken: Backup, tmp_path: Path) -> None:
    with moved(world.house, tmp_path / "restored") as settings:
        shutil.rmtree(settings.custody_dir)
        create_custody(settings, os.urandom).close()
        with pytest.raises((NotReady, EvidenceBroken, KeysError)):
            restore_backup(settings, taken.path)
        assert settings.database_file is None or not settings.database_file.exists()


def test_no_restore_while_a_server_runs(world: World, taken: Backup, tmp_path: Path) -> None:
    with (
        moved(world.house, tmp_path / "restored") as settings,
        sole_publisher(settings.home),
        pytest.raises(NotReady, match="a server is running"),
    ):
        restore_backup(settings, taken.path)


def test_the_newest_checkpoint_that_anybody_kept_gives_an_old_backup_away(
    world: World, asked: Person, taken: Backup, tmp_path: Path
) -> None:
    loans(world, asked)
    publish(world.house)
    newest = (world.house.settings.log_dir / "checkpoint").read_bytes()
    with moved(world.house, tmp_path / "restored") as settings:
        bare(settings)
        assert restore_backup(settings, taken.path, Newest(newest)).log_restored
        assert settings.checkpoint_copy.read_bytes() == newest
        assert standing_of(settings).standing is Standing.BEYOND
        with pytest.raises(HeadBehind):
            open_house(settings, world.clock)


def test_a_checkpoint_that_is_older_than_the_one_kept_changes_nothing(
    world: World, asked: Person, taken: Backup, tmp_path: Path
) -> None:
    old = (taken.path / "log" / "checkpoint").read_bytes()
    loans(world, asked)
    publish(world.house)
    with moved(world.house, tmp_path / "restored") as settings:
        kept = settings.checkpoint_copy.read_bytes()
        assert not restore_backup(settings, taken.path, Newest(old)).log_restored
        assert settings.checkpoint_copy.read_bytes() == kept != old


@pytest.mark.parametrize("case", ["of another log", "no note", "altered"])
def test_a_checkpoint_that_the_log_did_not_sign_is_refused(
    world: World, taken: Backup, tmp_path: Path, case: str
) -> None:
    note = (taken.path / "log" / "checkpoint").read_bytes()
    size = str(taken.manifest.size).encode()
    wrong = {
        "of another log": note.replace(b"localhost", b"elsewhere"),
        "no note": b"\xff",
        "altered": note.replace(b"\n" + size + b"\n", b"\n" + size + b"0\n", 1),
    }[case]
    assert wrong != note
    with moved(world.house, tmp_path / "restored") as settings:
        bare(settings)
        with pytest.raises(NotReady, match="not signed by the log's key"):
            restore_backup(settings, taken.path, Newest(wrong))
        assert not settings.checkpoint_copy.exists()
        assert not settings.log_dir.exists()


def test_a_checkpoint_under_a_key_of_after_the_backup_needs_that_key(
    world: World, asked: Person, taken: Backup, tmp_path: Path
) -> None:
    rotate_own(world.house, "checkpoint")
    loans(world, asked)
    publish(world.house)
    newest = (world.house.settings.log_dir / "checkpoint").read_bytes()
    with moved(world.house, tmp_path / "restored") as settings:
        settings.checkpoint_copy.unlink()
        with pytest.raises(NotReady, match="--vkey"):
            restore_backup(settings, taken.path, Newest(newest))
        restore_backup(settings, taken.path, Newest(newest, vkey_of(world.house)))
        assert settings.checkpoint_copy.read_bytes() == newest
        assert standing_of(settings).standing is Standing.RECOVERABLE


def test_a_restore_cut_short_is_run_again(world: World, taken: Backup, tmp_path: Path) -> None:
    """A process that dies in the middle leaves no row; what it left of the database is an empty one."""
    with moved(world.house, tmp_path / "restored") as settings:
        shutil.rmtree(settings.log_dir)
        child = os.fork()
        if child == 0:
            try:
                restore_backup(settings, taken.path, progress=lambda _some: os._exit(9))
            finally:
                os._exit(1)  # whatever happened, this is not the process that tests
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
        if settings.database_file is not None:  # the message says so: it is moved away first
            with pytest.raises(NotReady, match="move it away first"):
                restore_backup(settings, taken.path)
            for file in settings.home.glob("gateway.db*"):
                file.unlink()
        assert not restore_backup(settings, taken.path).log_restored  # the first one put it there, whole
        house = open_house(settings, world.clock)
        assert kit.size(house) == taken.manifest.size
        house.engine.dispose()
        house.custody.close()


def test_a_backup_moves_to_the_other_engine_and_back(
    world: World, asked: Person, taken: Backup, tmp_path: Path, engine: str
) -> None:
    other = next(name for name in databases.ENGINES if name != engine)
    with databases.using(other), moved(world.house, tmp_path / "there") as there:
        restore_backup(there, taken.path)
        assert (there.database_file is None) == (other == "postgresql")
        second = take_backup(there, tmp_path / "second", world.clock())
        assert second.manifest.rows == taken.manifest.rows
        with databases.using(engine), moved(world.house, tmp_path / "back") as back:
            restore_backup(back, second.path)
            house = open_house(back, world.clock)
            with serving_elsewhere(world, house):
                assert isinstance(world.query(asked.consent), Answer)


def test_survivors_of_a_destroyed_epoch_are_read_again_and_those_erased_are_not(
    world: World, asked: Person, taken: Backup, tmp_path: Path
) -> None:
    rotate_epoch(world.house, nothing)
    destroy_epoch(world.house, 1)
    publish(world.house)
    later = take_backup(world.house.settings, tmp_path / "later", world.clock())
    assert any((later.path / "rewrapped").iterdir())
    with moved(world.house, tmp_path / "restored") as settings:
        done = restore_backup(settings, taken.path)
        assert (done.applied.epoch, done.applied.unreadable) == (2, 0)
    with moved(world.house, tmp_path / "lost") as settings:
        shutil.rmtree(settings.home / "rewrapped")
        with pytest.raises(NotReady, match="wrapped anew"):
            restore_backup(settings, taken.path)
        assert settings.database_file is None or not settings.database_file.exists()
        # The keys come from a later backup: its directory is put in the place of the lost one.
        shutil.copytree(later.path / "rewrapped", settings.home / "rewrapped")
        assert restore_backup(settings, taken.path).applied.unreadable == 0
