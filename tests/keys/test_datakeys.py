from __future__ import annotations

import hmac
import os

import pytest

from keys.custody import Custody
from keys.datakeys import DataKeyPlace, new_data_key, unwrap_data_key
from keys.errors import DecryptionFailed, KeysError, Malformed, UnknownKeyName
from keys.fields import length_prefixed

PLACE = DataKeyPlace(b"\x01" * 16, "loan", 1, 1)


def test_round_trip(custody: Custody) -> None:
    key, wrapped = new_data_key(custody, PLACE, os.urandom)
    assert len(key) == 32
    assert key not in wrapped
    assert unwrap_data_key(custody, wrapped, PLACE) == key


def test_a_data_key_is_random_not_derived(custody: Custody) -> None:
    assert new_data_key(custody, PLACE, os.urandom)[0] != new_data_key(custody, PLACE, os.urandom)[0]
    assert new_data_key(custody, PLACE, lambda count: b"\x05" * count)[0] == b"\x05" * 32


def test_a_wrapped_key_begins_with_its_check_value(custody: Custody) -> None:
    key, wrapped = new_data_key(custody, PLACE, os.urandom)
    assert wrapped[:10] == b"\x01\x01" + hmac.digest(key, b"chengxin/key-check/v1", "sha256")[:8]


@pytest.mark.parametrize(
    "place",
    [
        PLACE._replace(subject=b"\x02" * 16),
        PLACE._replace(klass="link"),
        PLACE._replace(version=2),
        PLACE._replace(epoch=2),
        PLACE._replace(subject=b"\x01" * 15 + b"\x01l", klass="oan"),
    ],
    ids=["subject", "class", "version", "epoch", "shifted"],
)
def test_wrapped_key_moved_to_another_place_fails(custody: Custody, place: DataKeyPlace) -> None:
    _, wrapped = new_data_key(custody, PLACE, os.urandom)
    with pytest.raises(DecryptionFailed):
        unwrap_data_key(custody, wrapped, place)


def test_every_flipped_bit_is_noticed(custody: Custody) -> None:
    _, wrapped = new_data_key(custody, PLACE, os.urandom)
    for bit in range(len(wrapped) * 8):
        altered = (int.from_bytes(wrapped, "big") ^ (1 << bit)).to_bytes(len(wrapped), "big")
        with pytest.raises(KeysError):
            unwrap_data_key(custody, altered, PLACE)


def test_a_provider_that_returns_another_key_is_caught(custody: Custody) -> None:
    """A custody that authenticates, but hands out a key that is not the one the check value names."""
    _, wrapped = new_data_key(custody, PLACE, os.urandom)
    head = wrapped[:10]
    bound = head + length_prefixed(PLACE.subject, b"loan", (1).to_bytes(4, "big"), (1).to_bytes(4, "big"))
    for other in (os.urandom(32), os.urandom(16)):
        with pytest.raises(DecryptionFailed):
            unwrap_data_key(custody, head + custody.wrap("epoch-1", other, bound), PLACE)


def test_a_destroyed_epoch_key_leaves_its_data_keys_unreadable(custody: Custody) -> None:
    _, wrapped = new_data_key(custody, PLACE, os.urandom)
    custody.destroy("epoch-1")
    with pytest.raises(UnknownKeyName):
        unwrap_data_key(custody, wrapped, PLACE)
    custody.generate("epoch-1", "aead")
    with pytest.raises(DecryptionFailed):
        unwrap_data_key(custody, wrapped, PLACE)


def test_an_epoch_without_a_key_is_unknown(custody: Custody) -> None:
    with pytest.raises(UnknownKeyName):
        new_data_key(custody, PLACE._replace(epoch=9), os.urandom)


@pytest.mark.parametrize("wrapped", [b"", b"\x01\x01" + bytes(8), b"\x02\x01" + bytes(60), bytes(70)])
def test_what_is_no_wrapped_key_is_malformed(custody: Custody, wrapped: bytes) -> None:
    with pytest.raises(Malformed):
        unwrap_data_key(custody, wrapped, PLACE)


@pytest.mark.parametrize("place", [PLACE._replace(version=0), PLACE._replace(version=2**32)])
def test_numbers_out_of_range_are_refused(custody: Custody, place: DataKeyPlace) -> None:
    with pytest.raises(Malformed):
        new_data_key(custody, place, os.urandom)
