"""A restored database is no way around what was decided: found by an adversarial reading, each mended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.client.bank import Answer
from gateway.config import Settings
from gateway.erasure.forget import forget_erased
from gateway.erasure.order import erase_all
from gateway.errors import NotReady
from gateway.export import export_ledger
from gateway.institutions.register import suspend
from gateway.opening import open_house
from gateway.publishing import publish
from gateway.recovery.backup import take_backup
from gateway.recovery.replay import recover
from gateway.recovery.restore import restore_backup
from gateway.rotation.own import rotate_own
from gateway.signers import log_keys
from keys.canonical import canonical, parse_canonical
from ledger.entries import format_leaf, parse_leaf
from ledger.merkle import leaf_hash
from ledger.publish import read_published
from ledger.tiles import TileDirectory
from ledger.verify.__main__ import main as verify
from tests.gateway import kit
from tests.gateway.people.life import name_of, revoke
from tests.gateway.recovery.copies import moved
from tests.gateway.recovery.serve import serving_elsewhere
from tests.gateway.world import OTHER_BANK, World


@contextmanager
def put_back(world: World, backup: Any, home: Path) -> Iterator[Settings]:
    """Last night's backup in a second place, its log and checkpoint those of this morning."""
    publish(world.house)
    with moved(world.house, home) as settings:
        restore_backup(settings, backup.path)
        yield settings


@contextmanager
def recovered(world: World, settings: Settings) -> Iterator[Any]:
    """The same, brought back and served where the world's clients look."""
    house = open_house(settings, world.clock, behind=True)
    try:
        done = recover(house)
        forget_erased(house)
    finally:
        house.engine.dispose()
        house.custody.close()
    with serving_elsewhere(world, open_house(settings, world.clock)):
        yield done


def test_a_consent_that_was_withdrawn_since_does_not_come_back(world: World, tmp_path: Path) -> None:
    citizen = world.citizen(kit.NUMBER)
    asked = world.ask(citizen)
    backup = take_backup(world.house.settings, tmp_path / "backups", world.clock())
    signed = world.wallet.sign_consent(asked.template, citizen.key)
    citizen.client.grant(signed)
    world.withdraw(citizen, asked.consent_id)
    with put_back(world, backup, tmp_path / "second") as settings, recovered(world, settings):
        assert name_of(citizen.client.grant(signed)) == "request-lapsed"
        assert name_of(world.query(asked.consent_id)) == "no-consent"


def test_who_was_erased_stays_erased(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    citizen = world.citizen(kit.NUMBER)
    world.import_records([kit.loan()])
    consent = world.consent(citizen)
    world.ask(citizen)
    backup = take_backup(world.house.settings, tmp_path / "backups", world.clock())
    ground = world.house.policy.retention.erasure_grounds[0]
    erase_all(world.house, kit.NUMBER, ground)
    forget_erased(world.house)
    with put_back(world, backup, tmp_path / "second") as settings, recovered(world, settings) as done:
        assert name_of(world.query(consent)) == "no-consent"
        for table in ("subjects", "subject_index", "citizen_keys", "records", "grants"):
            found = kit.insider(world.house, f"SELECT count(*) FROM {table}")
            assert found[0][0] == (0 if table in ("subject_index", "records") else 1), table  # the decoy's
        world.citizen(kit.NUMBER)
        publish(world.house)
        with world.house.read() as conn:
            published = read_published(conn, world.house.shard, log_keys(world.house, conn))
        assert published is not None
        export_ledger(world.house, published, tmp_path / "export")
        arguments = [str(tmp_path / "export"), "--vkey", world.pins()["vkey"]]
        assert verify([*arguments, "--recovered", str(done.index)]) == 0, capsys.readouterr()


def test_entries_that_nobody_signed_loosen_nothing(world: World, tmp_path: Path) -> None:
    backup = take_backup(world.house.settings, tmp_path / "backups", world.clock())
    suspend(world.house, "institution", OTHER_BANK, "misuse")
    with put_back(world, backup, tmp_path / "second") as settings:
        tiles = TileDirectory(settings.log_dir)
        size = tiles.size()
        last = tiles.leaf(size - 1, size)
        forged = parse_canonical(last) | {
            "index": size,
            "prev": leaf_hash(last).hex(),
            "type": "institution.reinstated",
            "body": {"institution": OTHER_BANK, "reason": "cleared"},
        }
        forged.pop("sealed", None)
        leaf = canonical(forged)
        assert format_leaf(parse_leaf(leaf)) == leaf
        tiles.extend(size, [leaf])
        house = open_house(settings, world.clock, behind=True)
        try:
            with pytest.raises(NotReady, match="no signed checkpoint"):
                recover(house)
        finally:
            house.engine.dispose()
            house.custody.close()


def test_a_key_can_be_revoked_whose_grants_were_lost_in_part(world: World, tmp_path: Path) -> None:
    citizen = world.citizen(kit.NUMBER)
    kept = world.consent(citizen)
    backup = take_backup(world.house.settings, tmp_path / "backups", world.clock())
    world.consent(citizen)
    with put_back(world, backup, tmp_path / "second") as settings, recovered(world, settings):
        assert isinstance(world.query(kept), Answer)
        assert revoke(world, citizen, citizen, "compromised")[0].suspended == 1
        assert name_of(world.query(kept)) == "consent-suspended"


def test_receipts_go_on_after_a_rotation_that_came_back(world: World, tmp_path: Path) -> None:
    citizen = world.citizen(kit.NUMBER)
    consent = world.consent(citizen)
    backup = take_backup(world.house.settings, tmp_path / "backups", world.clock())
    for use in ("receipt", "checkpoint"):
        rotate_own(world.house, use)
    with put_back(world, backup, tmp_path / "second") as settings, recovered(world, settings):
        assert isinstance(world.query(consent), Answer)
