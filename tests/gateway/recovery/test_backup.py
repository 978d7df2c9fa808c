"""Backups: taken under load, whole, without a secret; and refused as soon as anything is not right."""

from __future__ import annotations

import json
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway import metrics
from gateway.errors import NotReady
from gateway.export import export_ledger
from gateway.opening import open_house
from gateway.publishing import publish, vkey_of
from gateway.recovery import backup as backups
from gateway.recovery.backup import MANIFEST, Backup, last_backup, read_backup, take_backup
from gateway.recovery.restore import Newest, restore_backup
from gateway.recovery.standing import Standing, standing_of
from gateway.signers import log_keys
from gateway.stock import take_stock
from keys.canonical import canonical, parse_canonical
from keys.custody.file import read_passphrase
from keys.notes import format_vkey
from ledger.publish import read_published
from ledger.verify.__main__ import main as verify
from tests.gateway import kit
from tests.gateway.policies import generous
from tests.gateway.recovery.copies import bare, moved
from tests.gateway.rotation.kit import people
from tests.gateway.rotation.test_under_load import Asking
from tests.gateway.world import PASSPHRASE, World, new_world


@pytest.fixture
def taken(world: World, tmp_path: Path) -> Backup:
    """A backup of a world in which somebody was asked about."""
    kit.ask_house(world, people(world, 1)[0].consent)
    return take_backup(world.house.settings, tmp_path / "backups", world.clock())


@pytest.fixture
def busy(tmp_path: Path, engine: str) -> Iterator[World]:
    """A gateway whose consents may be used a thousand times."""
    with new_world(tmp_path / "busy", policy=generous()) as made:
        yield made


def test_every_backup_taken_under_load_opens_and_verifies(busy: World, tmp_path: Path) -> None:
    world = busy
    some = people(world, 3, uses=1_000)
    made = []
    with Asking(world, some) as asking:
        for serial in range(4):
            before = len(asking.answers)
            made.append(take_backup(world.house.settings, tmp_path / "backups", world.clock() + serial))
            while len(asking.answers) == before:  # somebody was answered meanwhile, or is now
                time.sleep(0.001)
    assert not asking.errors, asking.errors[0]
    sizes = [one.manifest.size for one in made]
    assert sizes == sorted(sizes)
    assert len({*sizes}) > 1
    world.publishing.stop()
    for one in (made[0], made[-1]):
        _opens_and_verifies(world, one, tmp_path / one.path.name)


def _opens_and_verifies(world: World, made: Backup, home: Path) -> None:
    """On a machine that has nothing but the custody, the backup, and the checkpoint in it."""
    with moved(world.house, home) as settings:
        bare(settings)
        done = restore_backup(settings, made.path, Newest((made.path / "log" / "checkpoint").read_bytes()))
        assert done.log_restored
        assert standing_of(settings).standing is Standing.WHOLE
        house = open_house(settings, world.clock)
        try:
            publish(house)
            with house.read() as conn:
                published = read_published(conn, house.shard, log_keys(house, conn))
            assert published is not None
            assert published.checkpoint.size == made.manifest.size
            assert export_ledger(house, published, home / "export").intact
            (home / "regulator.jwk").write_bytes(canonical(world.regulator_private))
            arguments = [str(home / "export"), "--vkey", format_vkey(vkey_of(house))]
            assert verify([*arguments, "--regulator-key", str(home / "regulator.jwk")]) == 0
        finally:
            house.engine.dispose()
            house.custody.close()


def test_no_secret_is_in_a_backup_and_nobody_else_reads_it(world: World, taken: Backup) -> None:
    settings = world.house.settings
    assert read_passphrase(settings.passphrase_file) in PASSPHRASE
    secrets = {PASSPHRASE.strip()} | {
        file.read_bytes() for file in settings.custody_dir.rglob("*") if file.is_file()
    }
    assert len(secrets) > 5
    found = [file for file in taken.path.rglob("*") if file.is_file()]
    for file in found:
        data = file.read_bytes()
        assert not any(secret in data for secret in secrets), file
        assert not any(part in data for part in (kit.person(1).encode(), "测试人".encode())), file
    assert {path.name for path in taken.path.iterdir()} == {"config.toml", "database.db", "log", MANIFEST}
    for path in (taken.path.parent, taken.path, *taken.path.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def _damage(path: Path) -> None:
    data = bytearray((path / "database.db").read_bytes())
    data[5_000] ^= 1
    (path / "database.db").write_bytes(data)


def _lose(path: Path) -> None:
    next((path / "log" / "tile" / "0").rglob("*[0-9]")).unlink()


def _says(**changes: Any) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        found = parse_canonical((path / MANIFEST).read_bytes())
        (path / MANIFEST).write_bytes(canonical({**found, **changes}))

    return change


def _points_outside(path: Path) -> None:
    found = parse_canonical((path / MANIFEST).read_bytes())
    found["files"]["../elsewhere"] = {"bytes": 1, "sha256": "0" * 64}
    (path / MANIFEST).write_bytes(canonical(found))
    (path.parent / "elsewhere").write_bytes(b"x")


def _adds(path: Path) -> None:
    """A tile more than the log had: what is restored would begin with it."""
    (path / "log" / "tile" / "0" / "999").write_bytes(bytes(32))


def _links(path: Path) -> None:
    (path / "log" / "tile" / "0" / "998").symlink_to("/etc/hostname")


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "a file was added": (_adds, "was not backed up"),
    "a link was added": (_links, "was not backed up"),
    "a byte was changed": (_damage, "is not what was backed up"),
    "a tile is gone": (_lose, "is missing"),
    "no manifest": (lambda path: (path / MANIFEST).unlink(), "holds no backup"),
    "a torn manifest": (lambda path: (path / MANIFEST).write_bytes(b'{"v":1'), "damaged, or of a later"),
    "a manifest of later": (_says(v=2), "of a later release"),
    "a member more": (_says(more=1), "of a later release"),
    "a schema of later": (_says(schema="9999"), "9999 is of a later release"),
    "another log": (_says(origin="elsewhere.example.cn/log0"), "is of elsewhere.example.cn/log0"),
    "a file elsewhere": (_points_outside, "is missing"),
}


@pytest.mark.parametrize("case", sorted(WRONG))
def test_what_is_not_right_is_said_and_nothing_is_restored(
    world: World, taken: Backup, tmp_path: Path, case: str
) -> None:
    change, why = WRONG[case]
    change(taken.path)
    with moved(world.house, tmp_path / "restored") as settings:
        before = sorted(settings.home.rglob("*"))
        with pytest.raises(NotReady, match=why):
            restore_backup(settings, taken.path)
        assert sorted(settings.home.rglob("*")) == before


def test_a_backup_that_fails_leaves_nothing(world: World, tmp_path: Path) -> None:
    def full(_rows: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        take_backup(world.house.settings, tmp_path / "backups", world.clock(), full)
    assert list((tmp_path / "backups").iterdir()) == []
    assert last_backup(world.house.settings.home) == 0


def test_two_of_one_moment_are_not_mixed(world: World, taken: Backup) -> None:
    with pytest.raises(NotReady, match="is there already"):
        take_backup(world.house.settings, taken.path.parent, taken.manifest.at)
    assert read_backup(taken.path).manifest == taken.manifest


def test_the_oldest_go_and_those_of_others_stay(world: World, taken: Backup) -> None:
    folder, settings = taken.path.parent, world.house.settings
    other = folder / "chengxin-20200101T000000.000000Z"
    shutil.copytree(taken.path, other)
    _says(origin="elsewhere.example.cn/log0")(other)
    torn = folder / "chengxin-20200102T000000.000000Z"
    torn.mkdir()
    (torn / MANIFEST).write_text("{")
    made = [take_backup(settings, folder, taken.manifest.at + serial, keep=2) for serial in (1_000, 2_000)]
    assert {*folder.iterdir()} == {other, torn, *(one.path for one in made)}


@pytest.mark.parametrize("place", ["log", "custody"])
def test_a_backup_is_never_written_where_the_log_is_served_from(world: World, place: str) -> None:
    with pytest.raises(NotReady, match="choose a directory elsewhere"):
        take_backup(world.house.settings, world.house.settings.home / place / "backups", world.clock())
    assert not (world.house.settings.home / place / "backups").exists()


def test_nothing_is_made_where_nothing_is_installed(world: World, tmp_path: Path, engine: str) -> None:
    with moved(world.house, tmp_path / "empty") as settings:
        with pytest.raises(NotReady, match="init"):
            take_backup(settings, tmp_path / "backups", world.clock())
        if settings.database_file is not None:
            assert not settings.database_file.exists()
    assert not (tmp_path / "backups").exists() or list((tmp_path / "backups").iterdir()) == []


def test_the_settings_file_that_is_in_force_is_the_one_in_it(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "elsewhere.toml"
    shutil.copy(world.house.settings.home / "config.toml", file)
    file.write_text(file.read_text() + "# in force\n")
    monkeypatch.setenv("CHENGXIN_CONFIG", str(file))
    made = take_backup(world.house.settings, tmp_path / "backups", world.clock())
    assert "# in force" in (made.path / "config.toml").read_text()


def test_the_alert_knows_when_the_last_backup_was(world: World, taken: Backup) -> None:
    take_stock(world.house, world.publishing)
    assert metrics.BACKED_UP._value.get() == taken.manifest.at / 1000
    (world.house.settings.home / backups.LAST).write_text("torn {")
    take_stock(world.house, world.publishing)
    assert metrics.BACKED_UP._value.get() == 0


def test_a_manifest_reads_back_as_it_was_written(taken: Backup) -> None:
    written = (taken.path / MANIFEST).read_bytes()
    assert backups.format_manifest(backups.read_manifest(taken.path)) == written
    assert json.loads(written)["size"] == taken.manifest.size
