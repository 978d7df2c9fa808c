"""What only a regulator may read: details under a sealing key, and that key under HPKE to each regulator.

Invariant: a sealing key (32 bytes, made per worker and day) lives in memory and in `hpke_seal` to each
regulator's X25519 key; details open only with it and only for the log and leaf they were sealed for.

HPKE is RFC 9180 base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, single shot, empty AAD.

    hpke_seal    = enc (32) || ciphertext || tag (16)
    seal_details = nonce (12) || ciphertext || tag (16), AAD = origin || leaf salt (16)

The salt is of fixed length at the end, so the AAD can be read in one way only.
"""

from __future__ import annotations

from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from keys.canonical import b64u, unb64u
from keys.errors import DecryptionFailed, Malformed
from keys.fields import KEY_BYTES, NONCE_BYTES, TAG_BYTES
from keys.signing import Jwk, Random

SEALING_INFO = b"chengxin/sealing/v1"
SALT_BYTES = 16

_POINT_BYTES = 32
_FIELD_PRIME = 2**255 - 19
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def hpke_seal(recipient_public: bytes, info: bytes, plaintext: bytes) -> bytes:
    """Encrypt to a raw X25519 public key (32 bytes): enc || ciphertext.

    The ephemeral key is the library's.
    """
    return _SUITE.encrypt(plaintext, _x25519_public(recipient_public), info)


def hpke_open(private: bytes, info: bytes, sealed: bytes) -> bytes:
    """Decrypt with a raw X25519 private key (32 bytes). Raises DecryptionFailed."""
    if len(sealed) < _POINT_BYTES + TAG_BYTES:
        raise Malformed("not an HPKE message")
    try:
        return _SUITE.decrypt(sealed, _x25519_private(private), info)
    except (InvalidTag, ValueError) as error:
        raise DecryptionFailed("the HPKE message does not open with this key") from error


def seal_details(key: bytes, details: bytes, origin: str, salt: bytes, random: Random) -> bytes:
    """Encrypt details under a sealing key (32 bytes), bound to the log's origin and the leaf's salt."""
    nonce = random(NONCE_BYTES)
    return nonce + _aes(key).encrypt(nonce, details, _bound(origin, salt))


def open_details(key: bytes, blob: bytes, origin: str, salt: bytes) -> bytes:
    """The details sealed for that origin and salt. Raises Malformed or DecryptionFailed."""
    if len(blob) < NONCE_BYTES + TAG_BYTES:
        raise Malformed("sealed details are too short")
    try:
        return _aes(key).decrypt(blob[:NONCE_BYTES], blob[NONCE_BYTES:], _bound(origin, salt))
    except InvalidTag as error:
        raise DecryptionFailed("the details do not open here") from error


def generate_x25519(random: Random) -> tuple[Jwk, Jwk]:
    """A new key pair as (private JWK, public JWK)."""
    private = random(KEY_BYTES)
    public = x25519_jwk(_x25519_private(private).public_key().public_bytes_raw())
    return {**public, "d": b64u(private)}, public


def x25519_jwk(public: bytes) -> Jwk:
    """The public JWK (RFC 8037) of a raw X25519 key; its kid is `signing.thumbprint` of it."""
    _x25519_public(public)
    return {"kty": "OKP", "crv": "X25519", "x": b64u(public)}


def parse_x25519_jwk(jwk: Mapping[str, object]) -> bytes:
    """The 32 raw bytes of a public JWK with exactly kty, crv and x. Raises Malformed for an unusable key."""
    public = unb64u(_text(jwk, "x"), _POINT_BYTES)
    if dict(jwk) != x25519_jwk(public):
        raise Malformed("an X25519 key has exactly kty OKP, crv X25519 and x")
    return public


def parse_private_x25519_jwk(jwk: Mapping[str, object]) -> bytes:
    """The 32 raw bytes of a private JWK: the public members and `d`, which must belong together."""
    private = unb64u(_text(jwk, "d"), KEY_BYTES)
    public = _x25519_private(private).public_key().public_bytes_raw()
    if dict(jwk) != {**x25519_jwk(public), "d": b64u(private)}:
        raise Malformed("the private part of the key does not belong to its public part")
    return private


def _text(jwk: Mapping[str, object], name: str) -> str:
    value = jwk.get(name)
    if not isinstance(value, str):
        raise Malformed("a key lacks a required member")
    return value


def _x25519_public(public: bytes) -> X25519PublicKey:
    """A key with one spelling (below 2^255 - 19) whose shared secrets are not zero."""
    if len(public) != _POINT_BYTES or int.from_bytes(public, "little") >= _FIELD_PRIME:
        raise Malformed("an X25519 public key is 32 bytes, reduced")
    key = X25519PublicKey.from_public_bytes(public)
    try:
        X25519PrivateKey.from_private_bytes(b"\x01" * _POINT_BYTES).exchange(key)
    except ValueError as error:  # a point of small order: every secret shared with it is zero
        raise Malformed("not a usable X25519 public key") from error
    return key


def _x25519_private(private: bytes) -> X25519PrivateKey:
    if len(private) != _POINT_BYTES:
        raise Malformed("an X25519 private key is 32 bytes")
    return X25519PrivateKey.from_private_bytes(private)


def _aes(key: bytes) -> AESGCM:
    if len(key) != KEY_BYTES:
        raise Malformed("a sealing key is 32 bytes")
    return AESGCM(key)


def _bound(origin: str, salt: bytes) -> bytes:
    if len(salt) != SALT_BYTES:
        raise Malformed("a leaf salt is 16 bytes")
    return origin.encode("utf-8") + salt
