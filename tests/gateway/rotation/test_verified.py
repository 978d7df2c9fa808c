"""What rotations say in the ledger is what an auditor accepts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.export import export_ledger
from gateway.rotation.data import rotate_data
from gateway.rotation.destroy import destroy_epoch
from gateway.rotation.epoch import rotate_epoch
from gateway.rotation.index import rotate_index
from keys.notes import format_vkey
from ledger.verify.__main__ import main as verify
from tests.gateway.rotation.kit import epochs_of, loans, nothing, people
from tests.gateway.test_leaf_types import pins
from tests.gateway.world import World


def test_a_second_rotation_follows_the_first_and_the_export_verifies(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    some = people(world, 2)
    rotate_epoch(world.house, nothing)
    destroy_epoch(world.house, 1)
    loans(world, some[0])
    rotate_index(world.house, nothing)
    rotate_data(world.house, nothing)
    loans(world, some[1])
    assert rotate_epoch(world.house, nothing).epoch == 3
    destroy_epoch(world.house, 2)
    assert epochs_of(world.house) == {3}
    published = world.publishing.publish_now()
    assert published is not None
    exported = export_ledger(world.house, published, tmp_path / "export")
    assert exported.intact
    vkey = format_vkey(world.bank().pins.vkey)
    capsys.readouterr()
    kept = ["--kept", str(world.house.settings.checkpoint_copy)]
    status = verify(
        [str(tmp_path / "export"), "--vkey", vkey, "--json", *kept, *pins(world, tmp_path / "pins")]
    )
    said = json.loads(capsys.readouterr().out)
    assert (status, said["ok"]) == (0, True), said
