"""Signing keys as JSON Web Keys: Ed25519 (RFC 8032, RFC 8037) and ES256 (ECDSA P-256 with SHA-256, RFC 7518).

Invariant: a `PublicKey` in hand is a valid point, knows its one algorithm, and carries the RFC 7638
thumbprint that names it; nothing a message says can change the algorithm. An Ed25519 key outside the
prime-order subgroup is refused, since under one of small order a signature verifies for messages nobody
signed. ECDSA signatures are malleable (r, s and r, n - s both hold): never take a signature's bytes for the
identity of what was signed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from nacl.bindings import crypto_core_ed25519_is_valid_point
from nacl.exceptions import CryptoError
from nacl.signing import SigningKey, VerifyKey

from keys.canonical import b64u, canonical, sha256, unb64u
from keys.errors import BadSignature, Malformed

Jwk: TypeAlias = dict[str, str]
Random: TypeAlias = Callable[[int], bytes]
Algorithm: TypeAlias = Literal["Ed25519", "ES256"]

ED25519: Final = "Ed25519"
ES256: Final = "ES256"

SIGNATURE_BYTES = 64
_SCALAR_BYTES = 32
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_VERIFY_ECDSA = ec.ECDSA(hashes.SHA256())
# RFC 6979 nonces: a weak random source leaks no key
_SIGN_ECDSA = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)


class PrivateKey(Protocol):
    """A key that signs. `sign` returns 64 bytes: R || S for Ed25519, r || s for ES256."""

    @property
    def alg(self) -> Algorithm: ...

    @property
    def jwk(self) -> Jwk: ...

    @property
    def kid(self) -> str: ...

    def sign(self, message: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A validated public key. Made by `parse_public_jwk`; equal when its thumbprint is equal."""

    alg: Algorithm
    kid: str
    point: bytes = field(compare=False)  # 32 bytes for Ed25519, x || y (64 bytes) for ES256
    _holds: Callable[[bytes, bytes], None] = field(repr=False, compare=False)

    @property
    def jwk(self) -> Jwk:
        """The public JWK: kty, crv, x and, for ES256, y."""
        return _jwk_of_point(self.alg, self.point)

    def verify(self, message: bytes, signature: bytes) -> None:
        """Return None if `signature` (64 bytes) over `message` is by this key, else raise BadSignature."""
        if len(signature) != SIGNATURE_BYTES:
            raise BadSignature("a signature is 64 bytes")
        try:
            self._holds(message, signature)
        except (CryptoError, InvalidSignature) as error:
            raise BadSignature("signature does not verify") from error


class Ed25519PrivateKey:
    """Ed25519 from its 32-byte seed (RFC 8032 section 5.1.5)."""

    __slots__ = ("_key", "jwk", "kid")
    alg: Final[Algorithm] = ED25519

    def __init__(self, seed: bytes) -> None:
        if len(seed) != _SCALAR_BYTES:
            raise Malformed("an Ed25519 seed is 32 bytes")
        self._key = SigningKey(seed)
        self.jwk = _jwk_of_point(ED25519, bytes(self._key.verify_key))
        self.kid = thumbprint(self.jwk)

    @property
    def seed(self) -> bytes:
        return bytes(self._key)

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message).signature

    def __repr__(self) -> str:
        return f"Ed25519PrivateKey({self.kid})"


class Es256PrivateKey:
    """ECDSA over P-256 from its 32-byte scalar; nonces are those of RFC 6979."""

    __slots__ = ("_key", "jwk", "kid", "secret")
    alg: Final[Algorithm] = ES256

    def __init__(self, secret: bytes) -> None:
        scalar = int.from_bytes(secret, "big")
        if len(secret) != _SCALAR_BYTES or not 0 < scalar < _P256_ORDER:
            raise Malformed("a P-256 secret is 32 bytes between zero and the group order")
        self.secret = secret
        self._key = ec.derive_private_key(scalar, ec.SECP256R1())
        numbers = self._key.public_key().public_numbers()
        point = numbers.x.to_bytes(_SCALAR_BYTES, "big") + numbers.y.to_bytes(_SCALAR_BYTES, "big")
        self.jwk = _jwk_of_point(ES256, point)
        self.kid = thumbprint(self.jwk)

    def sign(self, message: bytes) -> bytes:
        r, s = decode_dss_signature(self._key.sign(message, _SIGN_ECDSA))
        return r.to_bytes(_SCALAR_BYTES, "big") + s.to_bytes(_SCALAR_BYTES, "big")

    def __repr__(self) -> str:
        return f"Es256PrivateKey({self.kid})"


def generate_key(alg: str, random: Random) -> PrivateKey:
    """A new private key for `alg`, from 32 bytes of `random` (drawn again while out of range for P-256)."""
    if alg == ED25519:
        return Ed25519PrivateKey(random(_SCALAR_BYTES))
    if alg == ES256:
        while True:
            secret = random(_SCALAR_BYTES)
            if 0 < int.from_bytes(secret, "big") < _P256_ORDER:
                return Es256PrivateKey(secret)
    raise Malformed("keys are Ed25519 or ES256")


def private_jwk(key: PrivateKey) -> Jwk:
    """The private JWK of a key held here: its public members and `d`.

    Raises Malformed for a key held elsewhere.
    """
    if isinstance(key, Ed25519PrivateKey):
        return {**key.jwk, "d": b64u(key.seed)}
    if isinstance(key, Es256PrivateKey):
        return {**key.jwk, "d": b64u(key.secret)}
    raise Malformed("this key cannot be exported")


def load_private_jwk(jwk: Mapping[str, object]) -> PrivateKey:
    """The key of a private JWK with exactly its public members and `d`, which must belong together."""
    members = _text_members(jwk)
    secret = unb64u(members.pop("d", ""), _SCALAR_BYTES)
    alg = _algorithm(members)
    key: PrivateKey = Ed25519PrivateKey(secret) if alg == ED25519 else Es256PrivateKey(secret)
    if key.jwk != members:
        raise Malformed("the private part of the key does not belong to its public part")
    return key


def parse_public_jwk(jwk: Mapping[str, object]) -> PublicKey:
    """A key from exactly kty, crv, x (and y).

    Raises Malformed for other members or a point not fit for use.
    """
    members = _text_members(jwk)
    alg = _algorithm(members)
    if alg == ED25519:
        return ed25519_public_key(unb64u(members["x"], _SCALAR_BYTES))
    return _es256_public_key(unb64u(members["x"], _SCALAR_BYTES) + unb64u(members["y"], _SCALAR_BYTES))


def ed25519_public_key(point: bytes) -> PublicKey:
    """An Ed25519 key from its 32 raw bytes; raises Malformed unless canonical and of prime order."""
    if len(point) != _SCALAR_BYTES or not crypto_core_ed25519_is_valid_point(point):
        raise Malformed("not a usable Ed25519 public key")
    verify_key = VerifyKey(point)

    def holds(message: bytes, signature: bytes) -> None:
        verify_key.verify(message, signature)

    return PublicKey(ED25519, thumbprint(_jwk_of_point(ED25519, point)), point, holds)


def thumbprint(jwk: Mapping[str, str]) -> str:
    """RFC 7638 thumbprint of an OKP or EC key: base64url of SHA-256 over the JCS of its required members."""
    required = ("crv", "kty", "x", "y") if jwk.get("kty") == "EC" else ("crv", "kty", "x")
    try:
        return b64u(sha256(canonical({name: jwk[name] for name in required})))
    except KeyError as error:
        raise Malformed("a key lacks a required member") from error


def thumbprint_bytes(kid: str) -> bytes:
    """The 32 raw bytes of a thumbprint."""
    return unb64u(kid, 32)


def _es256_public_key(point: bytes) -> PublicKey:
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + point)
    except ValueError as error:
        raise Malformed("not a point of P-256") from error

    def holds(message: bytes, signature: bytes) -> None:
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        key.verify(encode_dss_signature(r, s), message, _VERIFY_ECDSA)

    return PublicKey(ES256, thumbprint(_jwk_of_point(ES256, point)), point, holds)


def _jwk_of_point(alg: Algorithm, point: bytes) -> Jwk:
    if alg == ED25519:
        return {"kty": "OKP", "crv": "Ed25519", "x": b64u(point)}
    return {"kty": "EC", "crv": "P-256", "x": b64u(point[:32]), "y": b64u(point[32:])}


def _algorithm(members: Jwk) -> Algorithm:
    """The algorithm of a public JWK, by its exact set of members."""
    if members.keys() == {"kty", "crv", "x"} and (members["kty"], members["crv"]) == ("OKP", "Ed25519"):
        return ED25519
    if members.keys() == {"kty", "crv", "x", "y"} and (members["kty"], members["crv"]) == ("EC", "P-256"):
        return ES256
    raise Malformed("a key is OKP Ed25519 or EC P-256, with no other members")


def _text_members(jwk: Mapping[str, object]) -> Jwk:
    members: Jwk = {}
    for name, value in jwk.items():
        if not isinstance(value, str):
            raise Malformed("members of a key are text")
        members[name] = value
    return members
