"""A certificate comes only once nothing can be read any more, and holds against an export, offline."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from consent.erased import ERASURE_TYP
from gateway.client.certificate import verify_certificate
from gateway.client.errors import EvidenceFailed
from gateway.copies import announce_copy, attest_destroyed
from gateway.erasure.certificate import certify, listed
from gateway.erasure.refused import ErasureRefused
from gateway.house import House
from gateway.ids import new_uuid
from keys.canonical import parse_canonical, unb64u
from keys.jws import sign_jws
from tests.gateway.erasure.kit import end_epoch, exported, leave
from tests.gateway.rotation.kit import people
from tests.gateway.world import World, fresh_key


def certified(house: House, erasure: str) -> str:
    with house.read() as conn:
        return certify(house, conn, erasure)


def test_a_certificate_waits_for_the_end_of_the_epoch_and_then_verifies(world: World, tmp_path: Path) -> None:
    house, (gone, _) = world.house, people(world, 2)
    copy = new_uuid(os.urandom)
    announce_copy(house, copy, "safe", (1,), 3, 2)
    erased = leave(world, gone.citizen.number)
    with pytest.raises(ErasureRefused, match=r"rotate epoch.*copy-destroyed.*destroy-epoch 1"):
        certified(house, erased.erasure)
    attest_destroyed(house, copy)
    end_epoch(world)
    token = certified(house, erased.erasure)
    with house.read() as conn:
        assert [one.certain for one in listed(house, conn)] == [True]
    with pytest.raises(ErasureRefused, match="no erasure"):
        certified(house, copy)
    vkey, export = world.bank().pins.vkey, exported(world, tmp_path)
    found = verify_certificate(token, export, vkey)
    assert (found.erasure, found.count, found.copies) == (erased.erasure, 1, (copy,))
    said = parse_canonical(unb64u(token.split(".")[1]))
    assert gone.citizen.number not in str(said)
    receipt = house.receipts.signers[-1][1]
    lies = {
        "count": 2,
        "copies": [],
        "index": 3,
        "authority": "order",
        "log": "other.example.cn/log0",
        "destroyed": {"index": erased.index + 1, "leaf": "0" * 64},
    }
    from keys.canonical import canonical

    for name, lie in lies.items():
        forged = sign_jws(canonical(said | {name: lie}), receipt, ERASURE_TYP)
        with pytest.raises(EvidenceFailed):
            verify_certificate(forged, export, vkey)
    for key, typ in ((fresh_key(), ERASURE_TYP), (receipt, "receipt+jwt")):
        with pytest.raises(EvidenceFailed):
            verify_certificate(sign_jws(canonical(said), key, typ), export, vkey)
