"""Data keys: one random key per subject and class, wrapped under the epoch key that custody holds.

Invariant: a data key is random, never derived, so that destroying the epoch key (or the wrapped key) destroys
what it protects. It unwraps only for the subject, class, version and epoch it was made for, and a key-check
value proves that the key that came out is the one that went in, whatever the custody provider returned.

    wrapped = head || custody blob
    head = format version 0x01 || suite 0x01 || key-check value (8)
    key-check value = HMAC-SHA-256(data key, "chengxin/key-check/v1")[:8]
    AAD given to custody = head || length-prefixed subject, class, version, epoch
"""

from __future__ import annotations

from functools import lru_cache
from hmac import compare_digest
from typing import NamedTuple

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from keys.custody import Custody
from keys.errors import DecryptionFailed, Malformed
from keys.fields import KEY_BYTES, length_prefixed, uint32
from keys.signing import Random

_HEADER = b"\x01\x01"
_CHECK_BYTES = 8
_CHECK_LABEL = b"chengxin/key-check/v1"
_HEAD_BYTES = len(_HEADER) + _CHECK_BYTES
_SHA256 = SHA256()
_MAX_U32 = 2**32 - 1


class DataKeyPlace(NamedTuple):
    """Whose key (`subject`, raw id), of which retention class (`klass`), its own version, and its epoch."""

    subject: bytes
    klass: str
    version: int
    epoch: int


@lru_cache(maxsize=64)
def epoch_key_name(epoch: int) -> str:
    """Custody's name for the key of an epoch: `epoch-1`."""
    return f"epoch-{epoch}"


def new_data_key(custody: Custody, place: DataKeyPlace, random: Random) -> tuple[bytes, bytes]:
    """A fresh 32-byte key for `place`, and the same key wrapped under its epoch's key for the database."""
    key = random(KEY_BYTES)
    head = _HEADER + _check_value(key)
    return key, head + custody.wrap(epoch_key_name(place.epoch), key, _bound(head, place))


def unwrap_data_key(custody: Custody, wrapped: bytes, place: DataKeyPlace) -> bytes:
    """The 32-byte key of `place`.

    Raises Malformed for bytes that are no wrapped key, DecryptionFailed for another place or altered bytes,
    and UnknownKeyName once the epoch key is destroyed.
    """
    head, blob = wrapped[:_HEAD_BYTES], wrapped[_HEAD_BYTES:]
    if head[: len(_HEADER)] != _HEADER or not blob:
        raise Malformed("not a wrapped data key")
    key = custody.unwrap(epoch_key_name(place.epoch), blob, _bound(head, place))
    if len(key) != KEY_BYTES or not compare_digest(_HEADER + _check_value(key), head):
        raise DecryptionFailed("the data key does not match its check value")
    return key


def rewrap_data_key(custody: Custody, wrapped: bytes, place: DataKeyPlace, epoch: int) -> bytes:
    """The same key wrapped under another epoch. Raises what `unwrap_data_key` raises."""
    key = unwrap_data_key(custody, wrapped, place)
    head = _HEADER + _check_value(key)
    return head + custody.wrap(epoch_key_name(epoch), key, _bound(head, place._replace(epoch=epoch)))


def _check_value(key: bytes) -> bytes:
    keyed = HMAC(key, _SHA256)
    keyed.update(_CHECK_LABEL)
    return keyed.finalize()[:_CHECK_BYTES]


def _bound(head: bytes, place: DataKeyPlace) -> bytes:
    subject, klass, version, epoch = place
    return head + uint32(len(subject)) + subject + _of_kind(klass, version, epoch)


@lru_cache(maxsize=1024)
def _of_kind(klass: str, version: int, epoch: int) -> bytes:
    """What keys are bound to beside their subjects: of many persons' keys the same."""
    if not (0 < version <= _MAX_U32 and 0 < epoch <= _MAX_U32):
        raise Malformed("versions and epochs count from 1 and fit 32 bits")
    return length_prefixed(klass.encode("utf-8"), version.to_bytes(4, "big"), epoch.to_bytes(4, "big"))
