"""Enrolment certificates: a registrar (身份核验机构), never the gateway, says whose key is whose.

Invariant: a verified certificate was signed by two distinct officers with two distinct keys over one
payload, each officer certified by the pinned registrar's key for the time of enrolment, for this
gateway; so whoever holds every secret of the gateway still cannot enrol anybody. The citizen number
stands in it as a salted hash only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from consent import wire
from consent.errors import BadCertificate, MalformedDocument
from keys.blind import canonical_citizen_number
from keys.canonical import b64u, sha256_hex, tagged_hash, unb64u
from keys.errors import KeysError
from keys.jws import peek_kid, sign_jws, verify_jws
from keys.signing import PrivateKey, PublicKey, parse_public_jwk

ENROLMENT_TYPE = "chengxin/enrolment/v1"
ENROLMENT_TYP = "enrolment+jwt"
OFFICER_TYPE = "chengxin/officer/v1"
OFFICER_TYP = "officer+jwt"
SALT_BYTES = 16

Token = Annotated[str, Meta(max_length=8_192)]


class OfficerCertificate(wire.Document, frozen=True, kw_only=True, tag_field="type", tag=OFFICER_TYPE):
    """The registrar's word: this key is this officer's from `not_before` to `not_after` (ms, exclusive)."""

    TIMES: ClassVar[tuple[str, ...]] = ("not_before", "not_after")

    registrar: wire.PartyId
    officer: wire.PartyId
    jwk: dict[str, str]
    not_before: wire.Instant
    not_after: wire.Instant

    def __post_init__(self) -> None:
        _check_jwk(self.jwk)
        if self.not_after <= self.not_before:
            raise ValueError("not_after is not after not_before")


class EnrolmentDocument(wire.Document, frozen=True, kw_only=True, tag_field="type", tag=ENROLMENT_TYPE):
    """What two officers sign.

    `person` is hex SHA-256(salt || citizen number), `salt` 16 bytes in base64url, `key` the thumbprint of
    `jwk`, `at` (ms) the time of proofing, and `effective` (ms) when the key may first act.
    """

    TIMES: ClassVar[tuple[str, ...]] = ("at", "effective")

    gateway: wire.Origin
    person: wire.Hex32
    salt: str
    key: str
    jwk: dict[str, str]
    assurance: Literal["in-person", "eid", "guardian"]
    registrar: wire.PartyId
    officers: tuple[wire.PartyId, wire.PartyId]
    at: wire.Instant
    effective: wire.Instant

    def __post_init__(self) -> None:
        wire.check_base64url(self.salt, SALT_BYTES)
        if _check_jwk(self.jwk).kid != self.key:
            raise ValueError("key is not the thumbprint of jwk")
        wire.check_sorted(self.officers)
        if self.effective < self.at:
            raise ValueError("effective before it was made")


class Certificate(wire.Document, frozen=True, kw_only=True):
    """The document, both officers' signatures and certificates, each in the order of its `officers`."""

    document: dict[str, Any]
    signatures: tuple[Token, Token]
    officers: tuple[Token, Token]

    def __post_init__(self) -> None:
        try:
            wire.from_members(self.document, EnrolmentDocument)
        except MalformedDocument as refused:
            raise ValueError(str(refused)) from None

    @property
    def enrolment(self) -> EnrolmentDocument:
        """The document as a value."""
        return wire.from_members(self.document, EnrolmentDocument)


@dataclass(frozen=True, slots=True)
class VerifiedEnrolment:
    """What a certificate proves. `salt` is raw; `at` and `effective` are ms; `officers` ascending."""

    person: str
    salt: bytes = field(repr=False)  # the number can be tried against the hash once both are known
    thumbprint: str
    key: PublicKey
    registrar: str
    officers: tuple[str, str]
    assurance: str
    at: int
    effective: int

    def is_of(self, citizen_number: str) -> bool:
        """Whether it was made for the person of this citizen number. Raises keys.errors.BadIdentifier."""
        return person_hash(self.salt, citizen_number) == self.person


def person_hash(salt: bytes, citizen_number: str) -> str:
    """Hex SHA-256(salt (16 bytes) || canonical citizen number (公民身份号码)). Raises BadIdentifier."""
    if len(salt) != SALT_BYTES:
        raise ValueError("a salt is 16 bytes")
    return sha256_hex(salt + canonical_citizen_number(citizen_number).encode("ascii"))


def sign_officer(certificate: OfficerCertificate, registrar: PrivateKey) -> str:
    """The officer's certificate as JWS by the registrar's key. Raises MalformedDocument."""
    return sign_jws(wire.format_struct(certificate), registrar, OFFICER_TYP)


def verify_officer(token: str, registrar: PublicKey) -> OfficerCertificate:
    """The certificate that this registrar signed. Raises BadCertificate."""
    try:
        return wire.parse_struct(verify_jws(token, registrar, OFFICER_TYP), OfficerCertificate)
    except (KeysError, MalformedDocument) as refused:
        raise BadCertificate("the registrar did not certify this officer") from refused


def draft_enrolment(
    *,
    gateway: str,
    citizen_number: str,
    citizen_key: PublicKey,
    assurance: Literal["in-person", "eid", "guardian"],
    registrar: str,
    officers: tuple[str, str],
    at: int,
    salt: bytes,
    effective: int | None = None,
) -> EnrolmentDocument:
    """The document that two officers will sign; `officers` in any order, `effective` is `at` when not given.

    Raises keys.errors.BadIdentifier for an impossible number, MalformedDocument for anything else.
    """
    first, second = sorted(officers)
    try:
        document = EnrolmentDocument(
            gateway=gateway,
            person=person_hash(salt, citizen_number),
            salt=b64u(salt),
            key=citizen_key.kid,
            jwk=citizen_key.jwk,
            assurance=assurance,
            registrar=registrar,
            officers=(first, second),
            at=at,
            effective=at if effective is None else effective,
        )
    except ValueError as refused:
        raise MalformedDocument(str(refused)) from None
    wire.to_members(document)
    return document


def parse_enrolment(data: bytes) -> EnrolmentDocument:
    """Raises MalformedDocument for anything that `format_enrolment` would not emit."""
    return wire.parse_struct(data, EnrolmentDocument)


def format_enrolment(document: EnrolmentDocument) -> bytes:
    """JCS bytes: the payload that both officers sign. Raises MalformedDocument."""
    return wire.format_struct(document)


def officer_sign(document: EnrolmentDocument, officer: PrivateKey) -> str:
    """One officer's signature over the document. Raises MalformedDocument."""
    return sign_jws(format_enrolment(document), officer, ENROLMENT_TYP)


def make_certificate(
    document: EnrolmentDocument, signatures: tuple[str, str], officers: tuple[str, str]
) -> Certificate:
    """Join what was signed; signatures and officer certificates stand in the order of `document.officers`."""
    return Certificate(document=wire.to_members(document), signatures=signatures, officers=officers)


def parse_certificate(data: bytes) -> Certificate:
    """Raises MalformedDocument for anything that `format_certificate` would not emit. Nothing is verified."""
    return wire.parse_struct(data, Certificate)


def format_certificate(certificate: Certificate) -> bytes:
    """JCS bytes of the object of three members. Raises MalformedDocument."""
    return wire.format_struct(certificate)


def certificate_hash(certificate: Certificate | bytes) -> bytes:
    """SHA-256("chengxin/enrolment/v1" || 0x00 || JCS(certificate)), 32 bytes. Raises MalformedDocument."""
    data = certificate if isinstance(certificate, bytes) else format_certificate(certificate)
    parse_certificate(data)
    return tagged_hash(ENROLMENT_TYPE, data)


def registrar_kid(certificate: Certificate) -> str:
    """Thumbprint of the registrar's key that the officers' certificates name, unverified.

    Raises BadCertificate.
    """
    try:
        return peek_kid(certificate.officers[0])
    except KeysError as error:
        raise BadCertificate("an officer's certificate is none") from error


def verify_certificate(
    certificate: Certificate,
    registrar: PublicKey,
    gateway: str,
    at: int,
    *,
    registrar_id: str | None = None,
) -> VerifiedEnrolment:
    """What the certificate proves under the pinned `registrar` key, at `gateway`, at `at` (ms).

    `registrar_id` is the id under which that key was pinned; give it wherever ids are
    known. Raises BadCertificate.
    """
    document = certificate.enrolment
    if document.gateway != gateway:
        raise BadCertificate("made for another gateway")
    if registrar_id is not None and document.registrar != registrar_id:
        raise BadCertificate("made by another registrar")
    if document.at > at:
        raise BadCertificate("made after it was used")
    verify_officers(
        Signable(
            document.registrar, document.officers, document.at, ENROLMENT_TYP, format_enrolment(document)
        ),
        certificate.signatures,
        certificate.officers,
        registrar,
        document.key,
    )
    return VerifiedEnrolment(
        person=document.person,
        salt=unb64u(document.salt, SALT_BYTES),
        thumbprint=document.key,
        key=parse_public_jwk(document.jwk),
        registrar=document.registrar,
        officers=document.officers,
        assurance=document.assurance,
        at=document.at,
        effective=document.effective,
    )


@dataclass(frozen=True, slots=True)
class Signable:
    """What two officers of `registrar` sign at `at` (ms): the payload, and the `typ` of its signatures."""

    registrar: str
    officers: tuple[str, str]
    at: int
    typ: str
    payload: bytes


def verify_officers(
    signed: Signable,
    signatures: tuple[str, str],
    certificates: tuple[str, str],
    registrar: PublicKey,
    *others: str,
) -> None:
    """Check that both officers signed, each certified by `registrar` for the time, no key twice.

    `others` are thumbprints that may be no officer's: the citizen's own. Raises BadCertificate.
    """
    keys = {registrar.kid, *others}
    for officer, signature, token in zip(signed.officers, signatures, certificates, strict=True):
        key = _officer_key(verify_officer(token, registrar), officer, signed)
        if key.kid in keys:
            raise BadCertificate("two of registrar, officers and citizen share a key")
        keys.add(key.kid)
        _check_signature(signature, key, signed)


def _officer_key(certified: OfficerCertificate, officer: str, signed: Signable) -> PublicKey:
    if certified.officer != officer:
        raise BadCertificate("the certificate is another officer's, or out of order")
    if certified.registrar != signed.registrar:
        raise BadCertificate("the officer serves another registrar")
    if not certified.not_before <= signed.at < certified.not_after:
        raise BadCertificate("the officer was not certified at the time")
    return parse_public_jwk(certified.jwk)


def _check_signature(token: str, officer: PublicKey, signed: Signable) -> None:
    try:
        payload = verify_jws(token, officer, signed.typ)
    except KeysError as refused:
        raise BadCertificate("an officer's signature does not hold") from refused
    if payload != signed.payload:
        raise BadCertificate("an officer signed another document")


def _check_jwk(jwk: dict[str, str]) -> PublicKey:
    try:
        return parse_public_jwk(jwk)
    except KeysError:
        raise ValueError("not a usable public key") from None
