"""Last night's backup over this morning's log: refused, and brought back from the tiles."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.client.bank import Answer
from gateway.client.reply import Refused
from gateway.config import Settings
from gateway.errors import NotReady
from gateway.export import export_ledger
from gateway.institutions.register import reinstate, suspend
from gateway.opening import open_house
from gateway.publishing import publish
from gateway.recovery.backup import Backup, take_backup
from gateway.recovery.onward import LEAP
from gateway.recovery.replay import recover
from gateway.recovery.restore import restore_backup
from gateway.recovery.standing import Standing, standing_of
from ledger.errors import HeadBehind
from ledger.verify.__main__ import main as verify
from tests.gateway import kit
from tests.gateway.recovery.copies import moved
from tests.gateway.recovery.serve import serving_elsewhere
from tests.gateway.world import OTHER_BANK, SettableClock, World

DIES = """
import os, sys
from pathlib import Path
from gateway.config import load_settings
from gateway.opening import open_house
from gateway.recovery.replay import recover
recover(open_house(load_settings(Path(sys.argv[1])), behind=True), lambda _some: os._exit(9))
"""
"""A process that is gone as soon as the first entry is back."""


@dataclass
class Night:
    """A world that went on after a backup: what was granted before and what became of it."""

    world: World
    backup: Backup
    withdrawn: str
    used_up: str
    live: str
    later: str
    used_query: str
    new_person: Any


@pytest.fixture
def night(world: World, tmp_path: Path) -> Night:
    citizen = world.citizen(kit.NUMBER)
    world.import_records([kit.loan(), kit.job()])
    terms = {"categories": ("loan", "repayment")}
    withdrawn, live = (world.consent(citizen, **terms) for _ in range(2))
    used_up = world.consent(citizen, max_uses=1, **terms)
    backup = take_backup(world.house.settings, tmp_path / "backups", world.clock())

    used_query = str(uuid.uuid4())
    assert isinstance(world.query(used_up, query_id=used_query), Answer)
    world.withdraw(citizen, withdrawn)
    suspend(world.house, "institution", OTHER_BANK, "misuse")
    world.import_records([kit.loan(reference="T-2")])
    later = world.consent(citizen, **terms)
    new_person = world.citizen(kit.OTHER_NUMBER)
    publish(world.house)
    return Night(world, backup, withdrawn, used_up, live, later, used_query, new_person)


@pytest.fixture
def restored(night: Night, tmp_path: Path) -> Iterator[Settings]:
    with moved(night.world.house, tmp_path / "restored") as settings:
        restore_backup(settings, night.backup.path)
        yield settings


def _recovered(settings: Settings, clock: SettableClock) -> Any:
    house = open_house(settings, clock, behind=True)
    try:
        done = recover(house)
        publish(house)
    finally:
        house.engine.dispose()
        house.custody.close()
    return done


def test_a_restored_backup_is_refused_as_long_as_it_is_behind(night: Night, restored: Settings) -> None:
    found = standing_of(restored)
    assert found.standing is Standing.RECOVERABLE
    assert found.database == night.backup.manifest.size < found.outside
    with pytest.raises(HeadBehind):
        open_house(restored, night.world.clock)


def test_what_ended_stays_ended_and_what_began_is_void(night: Night, restored: Settings) -> None:
    world = night.world
    size = kit.size(world.house)
    done = _recovered(restored, world.clock)
    assert (done.since, done.size) == (night.backup.manifest.size, size)
    assert done.void == {
        "chunks of records": 1,
        "requests for consent": 1,
        "consents": 1,
        "enrolments": 1,
    }

    house = open_house(restored, world.clock)
    with serving_elsewhere(world, house):
        assert _reason(world.query(night.withdrawn)) == "withdrawn"
        assert _reason(world.query(night.used_up)) == "exhausted"
        assert _reason(world.query(night.used_up, query_id=night.used_query)) == "query-id-reused"
        assert _reason(world.query(night.later)) == "no-consent"
        assert _reason(world.query(night.live, world.bank(world.other_key))) == "institution-suspended"
        answered = world.query(night.live)
        assert isinstance(answered, Answer)
        assert len(answered.answer["records"]["loan"]) == 1  # the second came with the lost part
        reinstate(house, "institution", OTHER_BANK, "cleared")
        # Whoever came with the lost part comes again, certified anew, and everything works as before.
        assert _reason(_enrol_again(night, night.new_person.certificate)) == "bad-certificate"
        assert isinstance(_enrol_again(night), int)
        assert isinstance(world.query(world.consent(night.new_person)), Answer)


def test_an_auditor_follows_the_log_across_the_recovery(
    night: Night, restored: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = night.world
    before = (world.house.settings.log_dir / "checkpoint").read_bytes()
    done = _recovered(restored, world.clock)
    house = open_house(restored, world.clock)
    with serving_elsewhere(world, house) as publishing:
        assert isinstance(world.query(night.live), Answer)
        assert isinstance(_enrol_again(night), int)
        assert isinstance(world.query(world.consent(night.new_person)), Answer)
        published = publishing.publish_now()
        assert published is not None
        export_ledger(house, published, tmp_path / "export")
        vkey = world.pins()["vkey"]
    (tmp_path / "kept").write_bytes(before)
    key = tmp_path / "regulator.jwk"
    key.write_text(json.dumps(world.regulator_private))
    key.chmod(0o600)
    arguments = [str(tmp_path / "export"), "--vkey", vkey, "--kept", str(tmp_path / "kept")]
    opened = [*arguments, "--regulator-key", str(key)]
    assert verify(opened) == 1
    assert "recovery-unknown" in capsys.readouterr().out
    assert verify([*opened, "--recovered", str(done.index)]) == 0, capsys.readouterr()
    assert "a database was put back" in capsys.readouterr().out


def test_a_kill_in_the_middle_changes_nothing(night: Night, restored: Settings) -> None:
    """The whole recovery is one transaction: a process that dies before its end has done nothing."""
    before = standing_of(restored)
    died = subprocess.run([sys.executable, "-c", DIES, str(restored.home)], check=False, capture_output=True)
    assert died.returncode == 9, died.stderr.decode()
    assert standing_of(restored) == before
    assert _recovered(restored, night.world.clock).size == before.tiles


def test_tiles_of_another_log_are_no_way_back(night: Night, restored: Settings) -> None:
    shutil.rmtree(restored.log_dir / "tile")
    assert standing_of(restored).standing is Standing.BEYOND
    with pytest.raises(NotReady, match="reopen"):
        _recovered(restored, night.world.clock)


def test_nothing_is_recovered_where_nothing_is_missing(night: Night, restored: Settings) -> None:
    _recovered(restored, night.world.clock)
    assert standing_of(restored).standing is Standing.WHOLE
    with pytest.raises(NotReady, match="nothing is missing"):
        _recovered(restored, night.world.clock)


def test_events_go_on_beyond_what_was_told(night: Night, restored: Settings) -> None:
    world = night.world
    _recovered(restored, world.clock)
    house = open_house(restored, world.clock)
    try:
        rows = kit.insider(house, "SELECT seq, kind FROM events ORDER BY seq DESC")
        assert rows[0][1] == "recovered"
        assert rows[0][0] > LEAP
    finally:
        house.engine.dispose()
        house.custody.close()


def _enrol_again(night: Night, certificate: bytes | None = None) -> Any:
    """The one whose enrolment was lost: by the old certificate, or by one that the registrar makes anew."""
    world, person = night.world, night.new_person
    made = certificate or world.registrar.certify(
        world.house.origin, kit.OTHER_NUMBER, person.key, world.clock()
    )
    return person.client.enrol(made, kit.OTHER_NUMBER)


def _reason(reply: object) -> str:
    assert isinstance(reply, Refused), reply
    return reply.problem.name
