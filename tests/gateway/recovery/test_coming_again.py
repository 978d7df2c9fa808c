"""An institution that came with the lost part comes again, with the key that the ledger still shows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.demo.people import synthetic_uscc
from gateway.errors import Rejected
from gateway.institutions.published import publish_key
from gateway.institutions.register import NewInstitution, add_institution
from gateway.opening import open_house
from gateway.publishing import publish
from gateway.recovery.backup import take_backup
from gateway.recovery.replay import recover
from gateway.recovery.restore import restore_backup
from keys.sealing import generate_x25519
from keys.signing import parse_public_jwk, thumbprint
from tests.gateway import kit
from tests.gateway.recovery.copies import moved
from tests.gateway.world import World, fresh_key

SECTORS = ("regulator", "registrar", "finance")
NEW = {sector: synthetic_uscc(serial) for serial, sector in enumerate(SECTORS, 40)}


def test_institutions_come_again_with_the_same_keys(world: World, tmp_path: Path) -> None:
    _, sealing = generate_x25519(os.urandom)
    _, encryption = generate_x25519(os.urandom)
    registrar = parse_public_jwk(fresh_key().jwk)
    coming = (
        NewInstitution(NEW["regulator"], "Regulator", "regulator", ("audit",), regulator_key=sealing),
        NewInstitution(NEW["registrar"], "Registrar", "registrar", ("registrar",), registrar_key=registrar),
        NewInstitution(NEW["finance"], "Bank", "finance", ("query",), encryption_key=encryption),
    )
    taken = take_backup(world.house.settings, tmp_path / "backups", world.clock())
    for new in coming:
        add_institution(world.house, new)
    world.publishing.stop()
    publish(world.house)
    with moved(world.house, tmp_path / "restored") as settings:
        restore_backup(settings, taken.path)
        house = open_house(settings, world.clock, behind=True)
        try:
            assert recover(house).void == {"institutions": 3}
            published = len(kit.of_type(house, "key.published"))
            for new in coming:
                add_institution(house, new)
            assert len(kit.of_type(house, "key.published")) == published
            other = generate_x25519(os.urandom)[1]
            with pytest.raises(Rejected):  # still one key of each use in force
                house.transact(
                    lambda tx: publish_key(tx, "regulator", other, thumbprint(other), NEW["regulator"]),
                    seals=False,
                )
        finally:
            house.engine.dispose()
            house.custody.close()
