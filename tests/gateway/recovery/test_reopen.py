"""The second way back: a new log that names the old one's last checkpoint, every consent suspended."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.client.bank import Answer
from gateway.client.citizen import CitizenClient
from gateway.client.reply import Refused
from gateway.config import Settings, load_settings
from gateway.errors import NotReady
from gateway.export import export_ledger
from gateway.institutions.register import suspend
from gateway.opening import open_house
from gateway.publishing import publish
from gateway.recovery.backup import take_backup
from gateway.recovery.reopen import reopen, set_aside
from gateway.recovery.restore import restore_backup
from ledger.verify.__main__ import main as verify
from tests.gateway import kit
from tests.gateway.recovery.copies import moved
from tests.gateway.recovery.serve import serving_elsewhere
from tests.gateway.world import OTHER_BANK, World

NEXT = "localhost/log1"
WAIT_MS = 72 * 3_600_000
"""Every key waits, for it may have been revoked in the lost part."""


@dataclass
class Lost:
    """A restored database whose log's newest tiles are gone."""

    world: World
    settings: Settings
    citizen: Any
    live: str
    used_once: str
    withdrawn: str
    before: int


@pytest.fixture
def lost(world: World, tmp_path: Path) -> Iterator[Lost]:
    citizen = world.citizen(kit.NUMBER)
    world.import_records([kit.loan(), kit.job()])
    live, used_once, withdrawn = (world.consent(citizen, max_uses=2) for _ in range(3))
    assert isinstance(world.query(used_once), Answer)
    suspend(world.house, "institution", OTHER_BANK, "misuse")
    publish(world.house)
    backup = take_backup(world.house.settings, tmp_path / "backups", world.clock())
    world.withdraw(citizen, withdrawn)
    publish(world.house)
    with moved(world.house, tmp_path / "restored") as settings:
        shutil.rmtree(settings.log_dir)
        restore_backup(settings, backup.path)
        before = kit.size(world.house)
        yield Lost(world, settings, citizen, live, used_once, withdrawn, before)


def _reopened(lost: Lost) -> Any:
    house = open_house(lost.settings, lost.world.clock, behind=True)
    try:
        return reopen(house, NEXT)
    finally:
        house.engine.dispose()
        house.custody.close()


def _next(lost: Lost) -> Settings:
    config = lost.settings.home / "config.toml"
    config.write_text(config.read_text("utf-8") + f'origin = "{NEXT}"\n', "utf-8")
    return load_settings(lost.settings.home)


def test_the_new_log_names_the_old_and_carries_what_is_true(lost: Lost) -> None:
    done = _reopened(lost)
    assert (done.origin, done.previous.origin, done.previous.size) == (NEXT, "localhost/log0", lost.before)
    assert (done.carried.citizens, done.carried.consents, done.carried.records) == (1, 3, 2)
    house = open_house(_next(lost), lost.world.clock)
    leaves = kit.leaves(house)
    house.engine.dispose()
    house.custody.close()
    assert leaves[0].type == "log.opened"
    assert leaves[0].body.previous.size == lost.before
    assert [leaf.index for leaf in leaves] == list(range(len(leaves)))


def test_every_consent_waits_for_its_citizen(lost: Lost) -> None:
    _reopened(lost)
    world, house = lost.world, open_house(_next(lost), lost.world.clock)
    with serving_elsewhere(world, house):
        _repin(lost)
        assert _reason(world.query(lost.live)) == "key-not-live"
        assert _reason(lost.citizen.client.consent(lost.live)) == "key-not-live"
        world.clock.offset += WAIT_MS
        assert _reason(world.query(lost.live)) == "consent-suspended"
        assert _reason(world.query(lost.withdrawn)) == "consent-suspended"
        world.confirm(lost.citizen, lost.live)
        assert isinstance(world.query(lost.live), Answer)
        world.confirm(lost.citizen, lost.used_once)
        assert isinstance(world.query(lost.used_once), Answer)
        assert _reason(world.query(lost.used_once)) == "exhausted"
        world.withdraw(lost.citizen, lost.withdrawn)
        assert _reason(world.query(lost.withdrawn)) == "withdrawn"
        assert _reason(world.query(lost.live, world.bank(world.other_key))) == "institution-suspended"
        assert isinstance(world.query(world.consent(lost.citizen)), Answer)


def test_an_auditor_verifies_the_new_log(
    lost: Lost, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _reopened(lost)
    world, house = lost.world, open_house(_next(lost), lost.world.clock)
    with serving_elsewhere(world, house) as publishing:
        world.clock.offset += WAIT_MS
        _repin(lost)
        world.confirm(lost.citizen, lost.live)
        assert isinstance(world.query(lost.live), Answer)
        published = publishing.publish_now()
        assert published is not None
        export_ledger(house, published, tmp_path / "export")
        vkey = world.pins()["vkey"]
    key = tmp_path / "regulator.jwk"
    key.write_text(json.dumps(world.regulator_private))
    key.chmod(0o600)
    arguments = [str(tmp_path / "export"), "--vkey", vkey, "--regulator-key", str(key)]
    assert verify(arguments) == 0, capsys.readouterr()


def test_files_that_a_kill_left_are_set_aside_by_the_next_run(lost: Lost) -> None:
    _reopened(lost)
    log = lost.settings.log_dir
    shutil.rmtree(log)
    log.with_name("log.of-log-0").rename(log)
    set_aside(lost.settings, 0)
    house = open_house(_next(lost), lost.world.clock)
    publish(house)
    house.engine.dispose()
    house.custody.close()


def test_a_log_whose_tiles_hold_everything_is_not_given_up(world: World, tmp_path: Path) -> None:
    backup = take_backup(world.house.settings, tmp_path / "backups", world.clock())
    world.citizen(kit.NUMBER)
    publish(world.house)
    with moved(world.house, tmp_path / "restored") as settings:
        restore_backup(settings, backup.path)
        house = open_house(settings, world.clock, behind=True)
        try:
            with pytest.raises(NotReady, match="recover"):
                reopen(house, NEXT)
        finally:
            house.engine.dispose()
            house.custody.close()


def _repin(lost: Lost) -> None:
    """Everybody is told the new log's verifier key, as after any new log."""
    lost.citizen.client = CitizenClient(lost.world.url, lost.citizen.key, **lost.world.pins())


def _reason(reply: object) -> str:
    assert isinstance(reply, Refused), reply
    return reply.problem.name
