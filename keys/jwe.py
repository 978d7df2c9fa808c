"""Answers under an institution's own key: compact JWE (RFC 7516) in one profile, ECDH-ES, A256GCM, X25519.

Invariant: the header says exactly `alg`, `enc`, `epk`, `kid`, and each of them has one permitted value or
form (RFC 7518 section 4.6, RFC 8037 section 3.2); another algorithm, curve or member is refused before any
key is used, so that `zip`, `crit`, `apu` and the like have no effect because they cannot occur.
What is inside is JCS; the receipt beside the token covers exactly those bytes.

The ephemeral key and the content encryption key are the library's own: they must not be drawn from anywhere
else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from joserfc.errors import JoseError
from joserfc.jwe import JWERegistry, decrypt_compact, encrypt_compact
from joserfc.jwk import OKPKey

from keys.canonical import b64u, parse_json_strict, unb64u
from keys.errors import DecryptionFailed, Malformed
from keys.sealing import parse_private_x25519_jwk, parse_x25519_jwk
from keys.signing import thumbprint

ALG: Final = "ECDH-ES"
ENC: Final = "A256GCM"
MAX_TOKEN_BYTES: Final = 64 * 1024 * 1024


class _Profile(JWERegistry):
    """The two algorithms; answers may be larger than the library's own limit of 64 KiB."""

    max_ciphertext_length = MAX_TOKEN_BYTES


_PROFILE: Final = _Profile(algorithms=[ALG, ENC])


def seal_answer(jcs: bytes, key: Mapping[str, str]) -> str:
    """The answer's canonical bytes, for the holder of `key` (public X25519 JWK) alone: a compact JWE.

    Raises Malformed for a key that is none.
    """
    parse_x25519_jwk(key)
    header = {"alg": ALG, "enc": ENC, "kid": thumbprint(key)}
    return encrypt_compact(header, jcs, OKPKey.import_key(dict(key)), registry=_PROFILE)


def open_answer(token: str, key: Mapping[str, str]) -> bytes:
    """The canonical bytes that `seal_answer` sealed to the public half of `key` (private X25519 JWK).

    Raises Malformed for a token not of the profile, DecryptionFailed when it is for another key or was
    changed.
    """
    private = parse_private_x25519_jwk(key)
    header = _header_of(token)
    public = {name: value for name, value in key.items() if name != "d"}
    if header["kid"] != thumbprint(public):
        raise DecryptionFailed("the answer is encrypted to another key")
    try:
        opened = decrypt_compact(token, OKPKey.import_key({**public, "d": b64u(private)}), registry=_PROFILE)
    except (JoseError, ValueError) as error:
        raise DecryptionFailed("the answer does not open with this key") from error
    if opened.plaintext is None:
        raise DecryptionFailed("the answer does not open with this key")
    return opened.plaintext


def _header_of(token: str) -> dict[str, object]:
    """The header of a token that is of the profile in every part that can be seen without a key."""
    if not token.isascii() or len(token) > MAX_TOKEN_BYTES:
        raise Malformed("not a compact JWE")
    parts = token.split(".")
    if len(parts) != 5 or parts[1]:  # direct agreement: there is no encrypted key
        raise Malformed("a compact JWE by direct agreement has five parts, the second empty")
    header = parse_json_strict(unb64u(parts[0]))
    if not isinstance(header, dict) or header.keys() != {"alg", "enc", "epk", "kid"}:
        raise Malformed("the header of an answer holds exactly alg, enc, epk and kid")
    if (header["alg"], header["enc"]) != (ALG, ENC):
        raise Malformed("an answer is encrypted by ECDH-ES and A256GCM")
    if not isinstance(header["epk"], dict) or not isinstance(header["kid"], str):
        raise Malformed("the header of an answer is of another form")
    parse_x25519_jwk(header["epk"])
    unb64u(parts[2], 12)
    unb64u(parts[3])
    unb64u(parts[4], 16)
    return header
