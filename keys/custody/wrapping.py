"""What `wrap` returns, whichever provider holds the aead key in memory.

Invariant: a wrapped secret opens only with the key and the `aad` it was wrapped with. The blob is
0x01 || 0x01 || nonce (12) || AES-256-GCM ciphertext, its AAD 0x01 || 0x01 || aad; with random nonces one key
must wrap fewer than 2^32 times (NIST SP 800-38D, 8.3).
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys.errors import DecryptionFailed, Malformed
from keys.signing import Random

_NONCE_BYTES = 12
_TAG_BYTES = 16
_HEADER = b"\x01\x01"  # format version, suite AES-256-GCM


def wrap_secret(key: bytes, plaintext: bytes, aad: bytes, random: Random) -> bytes:
    """Encrypt under a 32-byte key."""
    nonce = random(_NONCE_BYTES)
    return _HEADER + nonce + AESGCM(key).encrypt(nonce, plaintext, _HEADER + aad)


def unwrap_secret(key: bytes, blob: bytes, aad: bytes) -> bytes:
    """What `wrap_secret` was given. Raises Malformed or DecryptionFailed."""
    start = len(_HEADER) + _NONCE_BYTES
    if len(blob) < start + _TAG_BYTES or blob[: len(_HEADER)] != _HEADER:
        raise Malformed("not a wrapped secret")
    try:
        return AESGCM(key).decrypt(blob[len(_HEADER) : start], blob[start:], _HEADER + aad)
    except InvalidTag as error:
        raise DecryptionFailed("the secret does not unwrap here") from error
