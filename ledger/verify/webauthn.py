"""The auditor's own reader of passkey proofs: the kept set of one assertion (W3C Web Authentication, 7.2).

Invariant: an assertion counts only for the one document whose hash is in its challenge, made by the certified
key, with its holder present and verified, on a page of the relying party that the kept set names. Nothing is
shared with the code that took the proof.

Whether that relying party is the gateway's own is not known here: what a browser showed, it showed at one of
the origins named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from keys.canonical import canonical, parse_json_strict, sha256, sha256_hex, tagged_hash, unb64u
from keys.errors import BadSignature, Malformed
from keys.signing import PublicKey
from ledger.members import check_sorted
from ledger.verify.documents import Document, consent_hash, read, withdrawal_hash
from ledger.verify.orders import resumption_hash, revocation_hash

CONSENT_TAG: Final = "chengxin/consent/v1/webauthn"
WITHDRAWAL_TAG: Final = "chengxin/withdrawal/v1/webauthn"
REVOCATION_TAG: Final = "chengxin/key-revocation/v1/webauthn"
RESUMPTION_TAG: Final = "chengxin/resumption/v1/webauthn"

_NONCE: Final = 32
_AUTHENTICATOR: Final = 37
"""Bytes: hash of the RP ID, flags, counter. Attested data and extensions, which would follow, are refused."""
_LONGEST: Final = 4096
_PRESENT_VERIFIED: Final = 0x01 | 0x04
_BACKUP: Final = 0x08 | 0x10
"""Flags that say whether a key is or may be copied: of no account here."""
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=8192)]


class Kept(Document, frozen=True):
    """What was kept to verify an assertion again; binary is unpadded base64url."""

    type: Literal["chengxin/webauthn-proof/v1"]
    server_nonce: _Text
    rp_id: Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9.-]{1,253}\Z")]
    origins: Annotated[tuple[_Text, ...], msgspec.Meta(min_length=1)]
    authenticator_data: _Text
    client_data_json: _Text
    signature: _Text
    jwk: dict[str, str]

    def __post_init__(self) -> None:
        """Origins in their one order, none of them another party's."""
        check_sorted(self.origins)
        if not all(_is_at(origin, self.rp_id) for origin in self.origins):
            raise ValueError("an origin is not the relying party's")


def check_consent(document: Mapping[str, Any], proof: object, key: PublicKey) -> None:
    """The citizen's key made this assertion for exactly this consent. Raises KeysError."""
    _check(CONSENT_TAG, consent_hash(document), proof, key)


def check_withdrawal(document: Mapping[str, Any], proof: object, key: PublicKey) -> None:
    """The citizen's key made this assertion for exactly this withdrawal. Raises KeysError."""
    _check(WITHDRAWAL_TAG, withdrawal_hash(document), proof, key)


def check_revocation(document: Mapping[str, Any], proof: object, key: PublicKey) -> None:
    """The citizen's key made this assertion for exactly this revocation. Raises KeysError."""
    _check(REVOCATION_TAG, revocation_hash(document), proof, key)


def check_resumption(document: Mapping[str, Any], proof: object, key: PublicKey) -> None:
    """The citizen's key made this assertion for exactly this resumption. Raises KeysError."""
    _check(RESUMPTION_TAG, resumption_hash(document), proof, key)


def proof_hash(document: Mapping[str, Any], proof: Mapping[str, Any]) -> str:
    """Hex SHA-256 of JCS(kept set, with the `document` that it was made for). Raises Malformed."""
    return sha256_hex(canonical({**proof, "document": dict(document)}))


def _check(tag: str, signed: str, proof: object, key: PublicKey) -> None:
    kept = read(proof, Kept)
    if kept.jwk != key.jwk:
        raise BadSignature("the assertion was kept under another key than the certified one")
    challenge = tagged_hash(tag, unb64u(kept.server_nonce, _NONCE) + bytes.fromhex(signed))
    client_data, authenticator = unb64u(kept.client_data_json), unb64u(kept.authenticator_data)
    _check_client_data(client_data, challenge, kept)
    _check_authenticator(authenticator, kept.rp_id)
    key.verify(authenticator + sha256(client_data), _raw(unb64u(kept.signature), key))


def _check_client_data(data: bytes, challenge: bytes, kept: Kept) -> None:
    """Section 5.8.1. Browsers may add members; none may stand twice, or who reads would choose."""
    if len(data) > _LONGEST:
        raise Malformed("the client data is longer than any browser's")
    said = parse_json_strict(data)
    if not isinstance(said, dict) or said.get("type") != "webauthn.get":
        raise Malformed("the client data is not that of an assertion")
    if unb64u(said.get("challenge")) != challenge:
        raise BadSignature("the assertion was made for another document")
    if said.get("origin") not in kept.origins:
        raise BadSignature("the assertion was made on another page than one of the relying party's")
    if said.get("crossOrigin", False) is not False or "topOrigin" in said:
        raise BadSignature("the assertion was made inside another page")


def _is_at(origin: str, rp_id: str) -> bool:
    """A secure page of the RP ID's host or of one below it (section 5.1.4.1)."""
    scheme, _, rest = origin.partition("://")
    host = rest.partition(":")[0]
    if scheme != "https" and (scheme, host) != ("http", "localhost"):
        return False
    return host == rp_id or host.endswith(f".{rp_id}")


def _check_authenticator(data: bytes, rp_id: str) -> None:
    """Section 6.1."""
    if len(data) != _AUTHENTICATOR or data[:32] != sha256(rp_id.encode("ascii")):
        raise BadSignature("the authenticator's data is not that of an assertion for the relying party")
    if data[32] & ~_BACKUP != _PRESENT_VERIFIED:
        raise BadSignature("the key's holder was not present and verified")


def _raw(signature: bytes, key: PublicKey) -> bytes:
    """64 bytes; ES256 comes in DER, of which one form is allowed (RFC 3279, section 2.2.3)."""
    if key.alg != "ES256":
        return signature
    try:
        r, s = decode_dss_signature(signature)
        raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        canonical_form = encode_dss_signature(r, s)
    except (ValueError, OverflowError):
        raise BadSignature("the signature is not one of P-256 in DER") from None
    if canonical_form != signature:
        raise BadSignature("the signature is not in its one DER form")
    return raw
