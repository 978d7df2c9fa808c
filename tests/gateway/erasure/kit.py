"""Tools of these tests: erasing, ending an epoch, and having an auditor look at it."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from gateway.erasure.forget import forget_erased
from gateway.erasure.order import Erased, erase_all, erase_classes
from gateway.export import export_ledger
from gateway.records.rows import Record
from gateway.rotation.destroy import destroy_epoch
from gateway.rotation.epoch import rotate_epoch
from keys.notes import format_vkey
from ledger.verify.__main__ import main as verify
from tests.gateway.rotation.kit import nothing
from tests.gateway.test_leaf_types import pins
from tests.gateway.world import SOURCE, World


def late(number: str, reference: str, day: date) -> Record:
    """An adverse record: a payment that was late."""
    fields = {"history": "delay_in_the_past"}
    return Record(
        2, number, "测试人", "repayment", SOURCE, f"{reference}/repayment", day, day, None, True, fields
    )


def leave(world: World, number: str) -> Erased:
    """Everything of a person erased, as the command does it."""
    erased = erase_all(world.house, number, "demanded")
    assert forget_erased(world.house) == 1
    return erased


def drop(world: World, number: str, *classes: str) -> Erased:
    """Some classes of a person erased, as the command does it."""
    erased = erase_classes(world.house, number, classes, "demanded")
    assert forget_erased(world.house) == 1
    return erased


def end_epoch(world: World, epoch: int = 1) -> None:
    """Rotate, and destroy the key of the epoch before."""
    rotate_epoch(world.house, nothing)
    destroy_epoch(world.house, epoch)


def exported(world: World, place: Path) -> Path:
    """An export of the log as it stands."""
    published = world.publishing.publish_now()
    assert published is not None
    assert export_ledger(world.house, published, place / "export").intact
    return place / "export"


def audited(world: World, place: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What an auditor with the regulator's key and the registrar's says of an export; it must be in order."""
    export = exported(world, place)
    capsys.readouterr()
    vkey = format_vkey(world.bank().pins.vkey)
    status = verify([str(export), "--vkey", vkey, "--json", *pins(world, place / "pins")])
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (status, said["ok"]) == (0, True), said
    return said
