"""Field encryption: opening and sealing one field, beside what others use for it.

Everybody seals and opens the same 300 bytes, about one record, under a key that is at hand. Tink's AEAD and
raw AES-GCM take associated data and are given the gateway's; Fernet and SQLAlchemy-Utils have none, so that a
ciphertext of theirs opens in another row as well.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import tink
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy_utils.types.encrypted.encrypted_type import AesEngine
from tink import aead

from gateway.keyring import DataKey

FIELD: Final = b"r" * 300
ROW: Final = bytes(16)
RAW, OURS = "AES-256-GCM, raw (cryptography)", "gateway (a data key)"

_EACH: Final = 2_000


@dataclass(frozen=True, slots=True)
class Scheme:
    """One way to do it: what is timed, bytes to bytes."""

    name: str
    seal: Callable[[bytes], Any]
    open: Callable[[Any], Any]


def schemes() -> tuple[Scheme, ...]:
    """All of them; each opens what it sealed, or this raises."""
    key, fernet = os.urandom(32), Fernet(Fernet.generate_key())
    aad, ours = b"records" + b"body" + bytes(32), DataKey(bytes(16), key, 1, os.urandom)
    made = (
        Scheme(RAW, *_raw(AESGCM(key), aad)),
        Scheme(
            OURS,
            lambda data: ours.seal("records", "body", ROW, data),
            lambda blob: ours.open("records", "body", ROW, blob),
        ),
        Scheme("Tink (AES-256-GCM)", *_tink(aad)),
        Scheme("Fernet", fernet.encrypt, fernet.decrypt),
        Scheme("SQLAlchemy-Utils (EncryptedType, AES)", *_sqlalchemy_utils(key)),
    )
    for scheme in made:
        assert scheme.open(scheme.seal(FIELD)) in (FIELD, FIELD.decode()), scheme.name
    return made


def measure(rounds: int) -> dict[str, tuple[list[float], list[float]]]:
    """CPU seconds of one sealing and of one opening for each scheme, a figure for each round, interleaved."""
    found: dict[str, tuple[list[float], list[float]]] = {}
    for _ in range(rounds):
        for scheme in schemes():
            blob = scheme.seal(FIELD)
            sealing, opening = found.setdefault(scheme.name, ([], []))
            sealing.append(_time(scheme.seal, FIELD))
            opening.append(_time(scheme.open, blob))
    return found


def _time(act: Callable[[Any], Any], value: Any) -> float:
    begun = time.process_time()
    for _ in range(_EACH):
        act(value)
    return (time.process_time() - begun) / _EACH


def _raw(key: AESGCM, aad: bytes) -> tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]:
    def seal(data: bytes) -> bytes:
        nonce = os.urandom(12)
        return nonce + key.encrypt(nonce, data, aad)

    return seal, lambda blob: key.decrypt(blob[:12], blob[12:], aad)


def _tink(aad: bytes) -> tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]:
    aead.register()
    primitive = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM).primitive(aead.Aead)
    return lambda data: primitive.encrypt(data, aad), lambda blob: primitive.decrypt(blob, aad)


def _sqlalchemy_utils(key: bytes) -> tuple[Callable[[bytes], str], Callable[[str], str]]:
    """What its `EncryptedType` does by default with each value of a column."""
    engine = AesEngine()
    engine._update_key(key)
    engine._set_padding_mechanism(None)
    return lambda data: str(engine.encrypt(data.decode())), lambda blob: str(engine.decrypt(blob))
