"""The bytes of a custody file: an authenticated header in clear, and one wrapped secret.

Invariant: a file opens only with the header it was written with, so a key cannot change its name or kind, nor
a root its Argon2id cost. Costs are bounded on read, so that a planted header can neither exhaust memory nor
make guessing cheap.

    file    = JCS {...header, "nonce": base64url (24 or 12 bytes), "wrapped": base64url (32 + 16 bytes)}
    wrapped = cipher(key, nonce, secret (32), AAD = JCS {...header, "nonce"})

The cipher is XChaCha20-Poly1305 under a key in memory (24 bytes of nonce), or AES-256-GCM under a key that
stays in an HSM (12 bytes).
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Protocol

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id

from keys.canonical import b64u, canonical, parse_canonical, unb64u
from keys.errors import CustodyError, DecryptionFailed, KeysError, Malformed
from keys.signing import Random

SECRET_BYTES = 32
SALT_BYTES = 16
MAX_FILE_BYTES = 4_096

_TAG_BYTES = 16


class Cipher(Protocol):
    """An authenticated cipher under one key, whose tag has 16 bytes."""

    @property
    def nonce_bytes(self) -> int:
        """Length of its nonce, which is random."""
        ...

    def encrypt(self, plaintext: bytes, aad: bytes, nonce: bytes) -> bytes:
        """Ciphertext and tag."""
        ...

    def decrypt(self, ciphertext: bytes, aad: bytes, nonce: bytes) -> bytes:
        """The plaintext. Raises DecryptionFailed."""
        ...


@dataclass(frozen=True, slots=True)
class XChaCha:
    """XChaCha20-Poly1305 under a 32-byte key in memory."""

    key: bytes = field(repr=False)
    nonce_bytes: ClassVar[int] = 24

    def encrypt(self, plaintext: bytes, aad: bytes, nonce: bytes) -> bytes:
        return crypto_aead_xchacha20poly1305_ietf_encrypt(plaintext, aad, nonce, self.key)

    def decrypt(self, ciphertext: bytes, aad: bytes, nonce: bytes) -> bytes:
        try:
            return crypto_aead_xchacha20poly1305_ietf_decrypt(ciphertext, aad, nonce, self.key)
        except CryptoError as error:
            raise DecryptionFailed("the custody file does not open") from error


@dataclass(frozen=True, slots=True)
class SealedFile:
    """A header, and a 32-byte secret wrapped under a key that the header does not hold."""

    header: dict[str, Any]
    nonce: bytes
    wrapped: bytes

    def open(self, cipher: Cipher) -> bytes:
        """The secret. Raises DecryptionFailed for another key or an altered header."""
        return cipher.decrypt(self.wrapped, canonical({**self.header, "nonce": b64u(self.nonce)}), self.nonce)


def seal_file(cipher: Cipher, secret: bytes, header: dict[str, Any], random: Random) -> SealedFile:
    """Wrap a 32-byte secret, bound to `header` (any canonical members)."""
    nonce = random(cipher.nonce_bytes)
    bound = canonical({**header, "nonce": b64u(nonce)})
    return SealedFile(header, nonce, cipher.encrypt(secret, bound, nonce))


def format_sealed_file(file: SealedFile) -> bytes:
    """The bytes on disk."""
    return canonical({**file.header, "nonce": b64u(file.nonce), "wrapped": b64u(file.wrapped)})


def parse_sealed_file(data: bytes, members: AbstractSet[str], nonce_bytes: int) -> SealedFile:
    """A custody file whose header has exactly `members`, of which `v` is 1. Raises CustodyError."""
    try:
        found = parse_canonical(data)
        if not isinstance(found, dict) or found.keys() != members | {"nonce", "wrapped"}:
            raise Malformed("a custody file of an unknown form")
        if found["v"] != 1 or found["v"] is True:
            raise Malformed("a custody file of an unknown version")
        wrapped = unb64u(found.pop("wrapped"), SECRET_BYTES + _TAG_BYTES)
        nonce = unb64u(found.pop("nonce"), nonce_bytes)
    except KeysError as error:
        raise CustodyError("a custody file is damaged") from error
    return SealedFile(found, nonce, wrapped)


@dataclass(frozen=True, slots=True)
class Cost:
    """Argon2id cost: number of passes, and memory in bytes."""

    passes: int
    memory: int


STANDARD: Final = Cost(passes=3, memory=268_435_456)  # libsodium's MODERATE
LEAST: Final = Cost(passes=1, memory=8_388_608)  # for tests
MOST: Final = Cost(passes=16, memory=1_073_741_824)


@dataclass(frozen=True, slots=True)
class Derivation:
    """How a passphrase becomes the key that opens the root: Argon2id 1.3, one lane, 32 bytes out."""

    salt: bytes
    cost: Cost

    def key(self, passphrase: bytes) -> bytes:
        """The unlocking key. Raises CustodyError when the machine lacks the memory."""
        try:
            return argon2id.kdf(SECRET_BYTES, passphrase, self.salt, self.cost.passes, self.cost.memory)
        except (CryptoError, RuntimeError) as error:
            raise CustodyError("not enough memory to open the custody") from error


def format_derivation(derivation: Derivation) -> dict[str, Any]:
    """The root file's header. Raises CustodyError for a cost out of bounds."""
    cost = derivation.cost
    if not (LEAST.passes <= cost.passes <= MOST.passes and LEAST.memory <= cost.memory <= MOST.memory):
        raise CustodyError("the Argon2id cost lies outside its bounds")
    return {
        "v": 1,
        "kdf": "argon2id",
        "cost": {"passes": int(cost.passes), "memory": int(cost.memory)},
        "salt": b64u(derivation.salt),
    }


def parse_derivation(header: dict[str, Any]) -> Derivation:
    """The derivation of a root file's header, its cost within bounds, else CustodyError."""
    try:
        cost = Cost(header["cost"]["passes"], header["cost"]["memory"])
        derivation = Derivation(unb64u(header["salt"], SALT_BYTES), cost)
        if canonical(format_derivation(derivation)) == canonical(header):  # as bytes: True is no 1 there
            return derivation
    except (KeyError, TypeError, Malformed) as error:
        raise CustodyError("a custody root of an unknown form") from error
    raise CustodyError("a custody root of an unknown form")
