"""Compact JWS (RFC 7515) in one profile: header exactly `alg`, `kid`, `typ`.

Invariant: what `verify_jws` returns was signed by the given key for the given purpose. The key fixes
the algorithm, `typ` the purpose, and the header can say nothing more: an unknown member is a refusal,
so `jwk`, `jku`, `x5c`, `crit` and `b64` have no effect because they cannot occur. We write the header
as JCS; others may write the same three members in any legal JSON. `EdDSA` is read as `Ed25519` (RFC
9864 renamed it) and never written.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from keys.canonical import b64u, canonical, parse_json_strict, unb64u
from keys.errors import BadSignature, Malformed
from keys.signing import ED25519, ES256, SIGNATURE_BYTES, PrivateKey, PublicKey, thumbprint_bytes

MAX_TOKEN_BYTES = 262_144
_ALGORITHMS = {ED25519: ED25519, ES256: ES256, "EdDSA": ED25519}


class JwsHeader(NamedTuple):
    """The three members; `alg` is already `Ed25519` where the wire said `EdDSA`."""

    alg: str
    kid: str
    typ: str


class UnverifiedJws(NamedTuple):
    """What a token claims. Nothing here was checked against a key."""

    header: JwsHeader
    payload: bytes


def sign_jws(payload: bytes, key: PrivateKey, typ: str) -> str:
    """Compact JWS over `payload`, for `typ` such as `consent+jwt`."""
    signing_input = f"{_header(key.alg, key.kid, typ)}.{b64u(payload)}"
    return f"{signing_input}.{b64u(key.sign(signing_input.encode('ascii')))}"


@lru_cache(maxsize=256)
def _header(alg: str, kid: str, typ: str) -> str:
    """The first part of what a key signs for a purpose: the same each time."""
    return b64u(canonical({"alg": alg, "kid": kid, "typ": typ}))


def verify_jws(token: str, key: PublicKey, typ: str) -> bytes:
    """The payload of `token`, signed by `key` under `typ`.

    Raises Malformed for a token not of the profile, BadSignature for another
    algorithm, key, type or signature.
    """
    claimed, signing_input, signature = _split(token)
    if claimed.header.alg != key.alg:
        raise BadSignature("the algorithm is not the key's")
    if claimed.header.kid != key.kid:
        raise BadSignature("the token names another key")
    if claimed.header.typ != typ:
        raise BadSignature("the token was signed for another purpose")
    key.verify(signing_input, signature)
    return claimed.payload


def peek_kid(token: str) -> str:
    """The key that a token names, unverified: for choosing among known keys. Raises Malformed."""
    return _split(token)[0].header.kid


def _split(token: str) -> tuple[UnverifiedJws, bytes, bytes]:
    """Claimed content, signing input and signature of a well-formed token."""
    if not token.isascii() or len(token) > MAX_TOKEN_BYTES:
        raise Malformed("not a compact JWS")
    parts = token.split(".")
    if len(parts) != 3:
        raise Malformed("a compact JWS has three parts")
    header = _parse_header(unb64u(parts[0]))
    payload = unb64u(parts[1])
    signature = unb64u(parts[2], SIGNATURE_BYTES)
    return UnverifiedJws(header, payload), f"{parts[0]}.{parts[1]}".encode("ascii"), signature


def _parse_header(data: bytes) -> JwsHeader:
    members = parse_json_strict(data)
    if not isinstance(members, dict) or members.keys() != {"alg", "kid", "typ"}:
        raise Malformed("a JWS header holds exactly alg, kid and typ")
    alg, kid, typ = members["alg"], members["kid"], members["typ"]
    if not (isinstance(alg, str) and isinstance(kid, str) and isinstance(typ, str)):
        raise Malformed("members of a JWS header are text")
    if alg not in _ALGORITHMS:
        raise Malformed("the algorithm is Ed25519 or ES256")
    thumbprint_bytes(kid)
    return JwsHeader(_ALGORITHMS[alg], kid, typ)
