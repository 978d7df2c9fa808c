"""Keys that custody holds in memory, each made ready for its one use: an HSM's are not among them.

Invariant: a key serves one kind of use, and what was computed of it goes with it. A wrapped secret opens only
with the key and the `aad` it was wrapped with.

    wrapped = 0x01 || 0x01 || nonce (12) || AES-256-GCM ciphertext, its AAD 0x01 || 0x01 || aad

With random nonces one key must wrap fewer than 2^32 times (NIST SP 800-38D, 8.3).
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from keys.errors import DecryptionFailed, Malformed
from keys.signing import Random

_NONCE_BYTES = 12
_TAG_BYTES = 16
_HEADER = b"\x01\x01"  # format version, suite AES-256-GCM
_HEAD = slice(len(_HEADER))
_NONCE = slice(_HEAD.stop, _HEAD.stop + _NONCE_BYTES)
_SEALED = slice(_NONCE.stop, None)
_SHORTEST = _NONCE.stop + _TAG_BYTES


class WrappingKey:
    """An aead key of 32 bytes."""

    __slots__ = ("_aes",)

    def __init__(self, key: bytes) -> None:
        self._aes = AESGCM(key)

    def wrap(self, plaintext: bytes, aad: bytes, random: Random) -> bytes:
        """Encrypt, bound to `aad`."""
        nonce = random(_NONCE_BYTES)
        return _HEADER + nonce + self._aes.encrypt(nonce, plaintext, _HEADER + aad)

    def unwrap(self, blob: bytes, aad: bytes) -> bytes:
        """What `wrap` was given. Raises Malformed or DecryptionFailed."""
        if blob[_HEAD] != _HEADER:
            raise Malformed("not a wrapped secret")
        try:
            return self._aes.decrypt(blob[_NONCE], blob[_SEALED], _HEADER + aad)
        except (InvalidTag, ValueError) as error:  # ValueError: the blob ends within its nonce
            if len(blob) < _SHORTEST:
                raise Malformed("not a wrapped secret") from error
            raise DecryptionFailed("the secret does not unwrap here") from error


class MacKey:
    """A mac key of 32 bytes: the rounds that depend on it alone are done once."""

    __slots__ = ("_keyed",)

    def __init__(self, key: bytes) -> None:
        self._keyed = HMAC(key, SHA256())

    def mac(self, message: bytes) -> bytes:
        """HMAC-SHA-256, 32 bytes."""
        begun = self._keyed.copy()
        begun.update(message)
        return begun.finalize()
