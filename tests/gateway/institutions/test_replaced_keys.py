"""Keys of registrars and regulators that are rotated or revoked: what they end, and what stays."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.client.bank import Answer, Refused
from gateway.errors import NotReady, Rejected
from gateway.export import export_ledger
from gateway.institutions.replaced import (
    publish_institution_key,
    revoke_institution_key,
    rotate_registrar_key,
)
from gateway.publishing import vkey_of
from keys.rotation import rotate
from keys.sealing import generate_x25519
from keys.signing import PrivateKey, parse_public_jwk
from ledger.errors import Finding
from ledger.verify import Trust, audit
from tests.gateway import kit
from tests.gateway.test_house import registered
from tests.gateway.test_policies import another
from tests.gateway.world import REGISTRAR, REGULATOR, World, fresh_key

NUMBER, LATER = kit.NUMBER, kit.OTHER_NUMBER


def rotation(world: World, old: PrivateKey, new: PrivateKey, **changes: Any) -> Any:
    said = {"log": world.house.origin, "use": "registrar", "holder": REGISTRAR} | changes
    return rotate(said["log"], said["use"], said["holder"], old, new)


def refused(world: World) -> str:
    """Why somebody with a certificate by the registrar as the world knows it is not enrolled."""
    somebody = world.citizen(LATER, enrol=False)
    answer = somebody.client.enrol(somebody.certificate, LATER)
    assert isinstance(answer, Refused)
    return answer.problem.name


def verified(world: World, folder: Path, *pinned: PrivateKey) -> None:
    published = world.publishing.publish_now()
    assert published is not None
    assert export_ledger(world.house, published, folder).intact
    pins = {REGISTRAR: tuple(parse_public_jwk(key.jwk) for key in pinned)}
    audit(folder, Trust(vkey_of(world.house), pins, world.regulator_private))


def test_officers_of_the_old_key_enrol_nobody_after_a_rotation_and_their_people_stay(
    world: World, tmp_path: Path
) -> None:
    early = world.citizen(NUMBER)
    consent = world.consent(early, max_uses=5)
    old, new = world.registrar, fresh_key()
    rotate_registrar_key(world.house, REGISTRAR, rotation(world, old.key, new))
    assert isinstance(world.query(consent), Answer)
    assert isinstance(world.query(world.consent(early)), Answer)  # who brings the old certificate along again
    assert refused(world) == "bad-certificate"
    world.registrar = replace(old, key=new)
    assert isinstance(world.query(world.consent(world.citizen(LATER))), Answer)
    for name, pinned in (("old", (old.key,)), ("new", (new,)), ("both", (old.key, new))):
        verified(world, tmp_path / name, *pinned)
    with pytest.raises(Finding) as found:
        verified(world, tmp_path / "stranger", fresh_key())
    assert found.value.rule == "key-pinned"


def test_a_rotation_is_taken_from_nobody_else(world: World) -> None:
    mine, thief, next_one = world.registrar.key, fresh_key(), fresh_key()
    for wrong in (
        rotation(world, thief, next_one),
        rotation(world, mine, next_one, log="other.example.cn/log0"),
        rotation(world, mine, next_one, holder=REGULATOR),
        rotation(world, mine, next_one, use="receipt"),
    ):
        with pytest.raises(Rejected):
            rotate_registrar_key(world.house, REGISTRAR, wrong)
    before = kit.size(world.house)
    good = rotation(world, mine, next_one)
    assert rotate_registrar_key(world.house, REGISTRAR, good).index == before
    with pytest.raises(Rejected):
        rotate_registrar_key(world.house, REGISTRAR, good)  # replayed


def test_a_compromised_registrar_key_needs_a_new_pin(world: World, tmp_path: Path) -> None:
    consent = world.consent(world.citizen(NUMBER), max_uses=5)
    old, new = world.registrar, fresh_key()
    revoke_institution_key(world.house, REGISTRAR, "registrar", "compromised")
    assert refused(world) == "bad-certificate"
    assert isinstance(world.query(consent), Answer)
    with pytest.raises(Rejected):
        rotate_registrar_key(world.house, REGISTRAR, rotation(world, old.key, new))
    with pytest.raises(Rejected):
        publish_institution_key(world.house, REGISTRAR, old.key.jwk)
    publish_institution_key(world.house, REGISTRAR, new.jwk)
    world.registrar = replace(old, key=new)
    world.citizen(LATER)
    with pytest.raises(Finding) as found:
        verified(world, tmp_path / "old", old.key)
    assert found.value.rule == "key-pinned"
    verified(world, tmp_path / "both", old.key, new)


def test_nothing_is_sealed_to_a_revoked_regulator(world: World) -> None:
    """In this process, and in one that has a sealing key of the day."""
    consent = world.consent(world.citizen(NUMBER), max_uses=5)
    with another(world) as other:
        kit.ask_house(world, consent, other)
        revoke_institution_key(world.house, REGULATOR, "regulator", "lost")
        for house in (other, world.house, other):
            with pytest.raises(NotReady):
                kit.ask_house(world, consent, house)
            house.transact(registered, seals=False)
        _private, public = generate_x25519(os.urandom)
        publish_institution_key(world.house, REGULATOR, public)
        for house in (other, world.house):
            assert not isinstance(kit.ask_house(world, consent, house), Refused)
    for key in kit.of_type(world.house, "key.sealing")[-2:]:
        assert len(key.body.sealed) == 1
    assert kit.leaves(world.house)[-1].sealed is not None


def test_only_an_institution_of_the_sector_has_such_a_key(world: World) -> None:
    for institution, use in ((REGULATOR, "registrar"), (REGISTRAR, "regulator"), (REGISTRAR, "receipt")):
        with pytest.raises(Rejected):
            revoke_institution_key(world.house, institution, use, "lost")
