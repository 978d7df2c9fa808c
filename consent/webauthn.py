"""Passkey proofs: an assertion (W3C Web Authentication, level 3, section 7.2) over what a citizen signs.

Invariant: a verified assertion was made for this one document and nothing else. Its challenge is recomputed
from the document and the gateway's nonce, never taken from whoever sends it, under a tag that says what is
being agreed to: no sign-in, and no proof of another kind, can ever serve. The kept set holds all that is
needed to verify it again, years later, by somebody who trusts neither this code nor its settings of then.

Left alone on purpose:

* `signCount`: synced passkeys always say 0, and a proof must verify at every query, long after later ones.
* BE and BS, whether a key is or may be backed up: the registrar certified the key, whatever keeps it.
* Unknown members of clientDataJSON: the standard has browsers add some, so that nobody matches templates.

Extension data is refused since no extension is asked for, and attested key data since it belongs to a
registration only; so authenticator data has one length. A low `s` is not asked of ECDSA signatures: nothing
takes their bytes for the identity of what was signed.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from typing import Annotated, Any, Final

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from msgspec import Meta

from consent import wire
from consent.document import CONSENT_TYPE, WITHDRAWAL_TYPE, parse_consent, parse_withdrawal
from consent.errors import BadProof, MalformedDocument
from consent.revocation import RESUMPTION_TYPE, REVOCATION_TYPE, parse_resumption, parse_revocation
from keys.canonical import (
    canonical,
    parse_canonical,
    parse_json_strict,
    sha256,
    sha256_hex,
    tagged_hash,
    unb64u,
)
from keys.errors import KeysError
from keys.signing import ES256, PublicKey, parse_public_jwk

ASSERTION_TYPE: Final = "webauthn"
KEPT_TYPE: Final = "chengxin/webauthn-proof/v1"
CONSENT_TAG: Final = "chengxin/consent/v1/webauthn"
WITHDRAWAL_TAG: Final = "chengxin/withdrawal/v1/webauthn"
REVOCATION_TAG: Final = "chengxin/key-revocation/v1/webauthn"
RESUMPTION_TAG: Final = "chengxin/resumption/v1/webauthn"

NONCE_BYTES: Final = 32
AUTHENTICATOR_BYTES: Final = 37  # rpIdHash (32), flags (1), signCount (4): section 6.1
MAX_CLIENT_DATA_BYTES: Final = 4_096
_SCALAR_BYTES: Final = 32

_UP, _UV, _BE, _BS = 0x01, 0x04, 0x08, 0x10
_REQUIRED: Final = _UP | _UV
_IGNORED: Final = _BE | _BS

_MAX_DOMAIN: Final = 253
_LABELS: Final = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"
_DOMAIN: Final = re.compile(_LABELS)
_ADDRESS: Final = re.compile(r"[0-9.]+")
_PAGE: Final = re.compile(
    rf"(?:https://(?P<host>{_LABELS})|http://(?P<local>localhost))(?::[1-9][0-9]{{0,4}})?"
)
_Bytes = Annotated[str, Meta(min_length=1, max_length=6_000)]


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Whose passkeys these are: the RP ID, and the web origins (ascending) at which they are used."""

    rp_id: str
    origins: tuple[str, ...]


class Assertion(wire.Document, frozen=True, kw_only=True, tag_field="type", tag=ASSERTION_TYPE):
    """What a browser sends as proof; the last three as in `AuthenticatorAssertionResponse`, base64url.

    `server_nonce` is the gateway's (32 bytes), handed out for exactly this document.
    """

    server_nonce: str
    authenticator_data: _Bytes
    client_data_json: _Bytes
    signature: _Bytes

    def __post_init__(self) -> None:
        _check_assertion(self)


class KeptProof(wire.Document, frozen=True, kw_only=True, tag_field="type", tag=KEPT_TYPE):
    """An assertion with what it was verified against: RP ID, origins (ascending), public key."""

    server_nonce: str
    rp_id: str
    origins: Annotated[tuple[str, ...], Meta(min_length=1, max_length=16)]
    authenticator_data: _Bytes
    client_data_json: _Bytes
    signature: _Bytes
    jwk: dict[str, str]

    def __post_init__(self) -> None:
        _check_assertion(self)
        check_relying_party(self.rp_id, self.origins)
        try:
            parse_public_jwk(self.jwk)
        except KeysError:
            raise ValueError("jwk is no usable public key") from None

    def is_of(self, sent: Assertion) -> bool:
        """Whether this was kept of `sent`."""
        return _assertion_of(self) == sent


def check_relying_party(rp_id: str, origins: tuple[str, ...]) -> None:
    """ValueError unless `rp_id` is a domain and `origins`, ascending, are pages at it or below it.

    A page is https, or http at localhost (section 5.1.4.1 and the secure contexts that it asks for).
    """
    if len(rp_id) > _MAX_DOMAIN or _DOMAIN.fullmatch(rp_id) is None or _ADDRESS.fullmatch(rp_id) is not None:
        raise ValueError("an RP ID is a lower-case domain")
    wire.check_sorted(origins)
    for origin in origins:
        parts = _PAGE.fullmatch(origin)
        if parts is None:
            raise ValueError("an origin is https://host[:port], or http://localhost[:port]")
        host = parts["host"] or parts["local"]
        if host != rp_id and not host.endswith("." + rp_id):
            raise ValueError("an origin is not at the RP ID or below it")


def parse_assertion(members: Any) -> Assertion:
    """The assertion of a JSON object. Raises MalformedDocument."""
    return wire.from_members(members, Assertion)


def format_assertion(assertion: Assertion) -> dict[str, Any]:
    """Its JSON object. Raises MalformedDocument."""
    return wire.to_members(assertion)


def parse_kept(data: bytes) -> KeptProof:
    """The kept set of its JCS bytes. Raises MalformedDocument for what `format_kept` would not emit."""
    return wire.parse_struct(data, KeptProof)


def format_kept(kept: KeptProof) -> bytes:
    """JCS bytes: what stands where a JWS would. Raises MalformedDocument."""
    return wire.format_struct(kept)


def keep(assertion: Assertion, party: RelyingParty, key: PublicKey) -> KeptProof:
    """The set to keep of an assertion that is to be verified against `party` and `key`. Checks nothing."""
    return KeptProof(
        server_nonce=assertion.server_nonce,
        rp_id=party.rp_id,
        origins=party.origins,
        authenticator_data=assertion.authenticator_data,
        client_data_json=assertion.client_data_json,
        signature=assertion.signature,
        jwk=key.jwk,
    )


def kept_sha256(kept: KeptProof, document: bytes) -> str:
    """Hex SHA-256 of JCS(kept set with its `document`): the `proof_sha256` of a grant's leaf.

    `document` is the JCS of what was signed. Raises MalformedDocument.
    """
    try:
        return sha256_hex(canonical({**wire.to_members(kept), "document": parse_canonical(document)}))
    except KeysError as refused:
        raise MalformedDocument("not canonical JSON") from refused


def consent_challenge(nonce: bytes, document: bytes) -> bytes:
    """32 bytes: SHA-256(CONSENT_TAG || 0x00 || nonce || consent_hash). `document` is JCS(consent).

    Raises MalformedDocument, which is all that stands between a wallet and signing something else.
    """
    parse_consent(document)
    return _challenge(CONSENT_TAG, nonce, tagged_hash(CONSENT_TYPE, document))


def withdrawal_challenge(nonce: bytes, document: bytes) -> bytes:
    """The same of a withdrawal, under tags of its own. Raises MalformedDocument."""
    parse_withdrawal(document)
    return _challenge(WITHDRAWAL_TAG, nonce, tagged_hash(WITHDRAWAL_TYPE, document))


def revocation_challenge(nonce: bytes, document: bytes) -> bytes:
    """The same of a key's revocation. Raises MalformedDocument."""
    parse_revocation(document)
    return _challenge(REVOCATION_TAG, nonce, tagged_hash(REVOCATION_TYPE, document))


def resumption_challenge(nonce: bytes, document: bytes) -> bytes:
    """The same of a resumption. Raises MalformedDocument."""
    parse_resumption(document)
    return _challenge(RESUMPTION_TAG, nonce, tagged_hash(RESUMPTION_TYPE, document))


def verify_assertion(challenge: bytes, kept: KeptProof, key: PublicKey) -> None:
    """Check that `key` signed `challenge` for this relying party, its holder verified. Raises BadProof.

    The steps of section 7.2 that a kept proof can fail; whose key it is the enrolment certificate says.
    """
    if kept.jwk != key.jwk:
        raise BadProof("the assertion was kept under another key")
    client_data = unb64u(kept.client_data_json)
    authenticator_data = unb64u(kept.authenticator_data)
    _check_client_data(client_data, challenge, kept.origins)
    _check_authenticator_data(authenticator_data, kept.rp_id)
    try:
        key.verify(authenticator_data + sha256(client_data), _raw_signature(unb64u(kept.signature), key))
    except KeysError as refused:
        raise BadProof("the assertion's signature does not hold") from refused


def _challenge(tag: str, nonce: bytes, document_hash: bytes) -> bytes:
    if len(nonce) != NONCE_BYTES:
        raise MalformedDocument("a server nonce is 32 bytes")
    return tagged_hash(tag, nonce + document_hash)


def _check_client_data(data: bytes, challenge: bytes, origins: tuple[str, ...]) -> None:
    """Section 5.8.1. Duplicate members are refused: which of two a reader takes is anybody's guess."""
    try:
        members = parse_json_strict(data)
    except KeysError as refused:
        raise BadProof("clientDataJSON is not strict JSON") from refused
    if not isinstance(members, dict) or members.get("type") != "webauthn.get":
        raise BadProof("clientDataJSON is not of an assertion")
    try:
        answered = unb64u(members.get("challenge"), len(challenge))
    except KeysError as refused:
        raise BadProof("clientDataJSON has no such challenge") from refused
    if not hmac.compare_digest(answered, challenge):
        raise BadProof("the challenge is of another document, nonce or purpose")
    if members.get("origin") not in origins:
        raise BadProof("the assertion was made at another origin")
    if members.get("crossOrigin", False) is not False or "topOrigin" in members:
        raise BadProof("the assertion was made inside somebody else's page")


def _check_authenticator_data(data: bytes, rp_id: str) -> None:
    """Section 6.1."""
    if len(data) != AUTHENTICATOR_BYTES:
        raise BadProof("authenticator data is 37 bytes: no extension was asked for")
    if not hmac.compare_digest(data[:32], sha256(rp_id.encode("ascii"))):
        raise BadProof("the assertion was made for another relying party")
    if data[32] & ~_IGNORED != _REQUIRED:
        raise BadProof("flags: user present and verified, and nothing unknown, attested or extended")


def _raw_signature(signature: bytes, key: PublicKey) -> bytes:
    """64 bytes: of ES256 out of its one DER form (RFC 3279, section 2.2.3), of Ed25519 as they are."""
    if key.alg != ES256:
        return signature
    try:
        r, s = decode_dss_signature(signature)
        raw = r.to_bytes(_SCALAR_BYTES, "big") + s.to_bytes(_SCALAR_BYTES, "big")
    except (ValueError, OverflowError) as refused:
        raise BadProof("the signature is not that of P-256 in DER") from refused
    if encode_dss_signature(r, s) != signature:
        raise BadProof("the signature is not in its one DER form")
    return raw


def _assertion_of(kept: KeptProof) -> Assertion:
    return Assertion(
        server_nonce=kept.server_nonce,
        authenticator_data=kept.authenticator_data,
        client_data_json=kept.client_data_json,
        signature=kept.signature,
    )


def _check_assertion(of: Assertion | KeptProof) -> None:
    """For `__post_init__`: sizes and base64url; what the bytes say is for `verify_assertion`."""
    wire.check_base64url(of.server_nonce, NONCE_BYTES)
    try:
        client_data = unb64u(of.client_data_json)
        unb64u(of.authenticator_data)
        unb64u(of.signature)
    except KeysError:
        raise ValueError("not base64url") from None
    if len(client_data) > MAX_CLIENT_DATA_BYTES:
        raise ValueError("clientDataJSON is too long")
