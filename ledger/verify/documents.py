"""The auditor's own readers of what citizens and registrars signed: consent, withdrawal, enrolment
certificate.

Invariant: nothing here is shared with the code that made the documents, so a fault there cannot hide itself
here; only the JWS reader is common. A document counts only if a signature covers exactly its RFC 8785 bytes.

PIPL is 个人信息保护法, the Personal Information Protection Law.

Every reader takes a value that was parsed from canonical JSON and raises `keys.errors.Malformed` for a wrong
shape and `keys.errors.BadSignature` for a signature that does not hold. Messages carry no value of a
document.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

from keys.blind import canonical_citizen_number
from keys.canonical import canonical, parse_canonical, sha256, sha256_hex, tagged_hash, unb64u
from keys.errors import BadSignature, KeysError, Malformed
from keys.instant import parse_instant
from keys.jws import verify_jws
from keys.signing import PublicKey, parse_public_jwk, thumbprint_bytes
from ledger.members import (
    Answer,
    Categories,
    Count,
    Hex32,
    Instant,
    Origin,
    PartyId,
    Positive,
    Purpose,
    Random16,
    Thumbprint,
    Uscc,
    Uuid,
)

SALT_SIZE = 16


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A closed document: an unknown or missing member is refused."""


class Notice(Document, frozen=True):
    """The text that the citizen saw: its language, template and SHA-256."""

    language: str
    template: str
    sha256: Hex32


class ConsentTemplate(Document, frozen=True):
    """What an institution asks a citizen to sign: a consent whose `subject` is left to the wallet."""

    type: Literal["chengxin/consent/v1"]
    consent_id: Uuid
    gateway: Origin
    recipient: Uscc
    purpose: Purpose
    categories: Categories
    answer: Answer
    not_before: Instant
    not_after: Instant
    max_uses: Positive
    retention_days: Count
    notice: Notice
    case_ref_sha256: Hex32
    nonce: Random16


class Consent(ConsentTemplate, frozen=True, kw_only=True):
    """A citizen's consent (个人同意, PIPL art. 14); `subject` is the signing key's thumbprint."""

    subject: Thumbprint


class Withdrawal(Document, frozen=True):
    """A citizen's withdrawal (撤回同意, PIPL art. 15)."""

    type: Literal["chengxin/withdrawal/v1"]
    consent_id: Uuid
    gateway: Origin
    subject: Thumbprint
    nonce: Random16
    reason: str | None = None


class Enrolment(Document, frozen=True):
    """What two officers of a registrar certify: this key is this person's."""

    type: Literal["chengxin/enrolment/v1"]
    gateway: Origin
    person: Hex32
    salt: Random16
    key: Thumbprint
    jwk: dict[str, str]
    assurance: Literal["in-person", "eid", "guardian"]
    registrar: PartyId
    officers: tuple[PartyId, PartyId]
    at: Instant
    effective: Instant


class Officer(Document, frozen=True):
    """A registrar's word that a key is one officer's, for a time."""

    type: Literal["chengxin/officer/v1"]
    registrar: PartyId
    officer: PartyId
    jwk: dict[str, str]
    not_before: Instant
    not_after: Instant


class Certificate(Document, frozen=True):
    """An enrolment document with its two signatures and the two officers' certificates, in the officers'
    order.
    """

    document: dict[str, Any]
    signatures: tuple[str, str]
    officers: tuple[str, str]


class Signed(NamedTuple):
    """What two officers of a registrar signed: at `at` (ms), under `typ`, these bytes."""

    registrar: str
    officers: tuple[str, str]
    at: int
    typ: str
    payload: bytes


_T = TypeVar("_T", bound=Document)


def read(value: object, shape: type[_T]) -> _T:
    """Value of a closed shape, strictly typed. Raises Malformed."""
    try:
        return msgspec.convert(value, shape, strict=True)
    except msgspec.ValidationError:
        raise Malformed("a signed document has a wrong or unknown member") from None


def read_enrolment(certificate: object) -> tuple[Enrolment, PublicKey]:
    """The document inside a certificate and the citizen's key it names, signatures unchecked.

    Raises Malformed when the key and its thumbprint differ.
    """
    enrolment = read(read(certificate, Certificate).document, Enrolment)
    key = parse_public_jwk(enrolment.jwk)
    if key.kid != enrolment.key:
        raise Malformed("the certificate names another thumbprint than its key's")
    if enrolment.effective < enrolment.at:
        raise Malformed("the certificate's key acts before the certificate was made")
    return enrolment, key


def check_certificate(certificate: object, registrar: str, pinned: Iterable[PublicKey]) -> None:
    """Two officers of `registrar`, each certified by a pinned key of it, signed this one document.

    The officers are distinct, in the order of their ids, their keys nobody else's, and certified at the
    document's `at`.
    """
    held = read(certificate, Certificate)
    enrolment = read(held.document, Enrolment)
    if enrolment.registrar != registrar:
        raise BadSignature("the certificate is another registrar's")
    signed = Signed(
        registrar,
        enrolment.officers,
        parse_instant(enrolment.at),
        "enrolment+jwt",
        canonical(held.document),
    )
    check_officers(signed, held.signatures, held.officers, tuple(pinned), enrolment.key)


def check_officers(
    signed: Signed,
    signatures: tuple[str, str],
    certificates: tuple[str, str],
    pinned: tuple[PublicKey, ...],
    *others: str,
) -> None:
    """Two officers of one registrar, each certified by a pinned key of it, signed this one payload.

    The officers are distinct, in the order of their ids, certified at `signed.at`, their keys nobody else's:
    not the registrar's, nor any of `others` (thumbprints).
    """
    officers = [_officer(token, pinned) for token in certificates]
    if any(officer.registrar != signed.registrar for officer in officers):
        raise BadSignature("an officer is another registrar's")
    first, second = (officer.officer for officer in officers)
    if (first, second) != signed.officers or first >= second:
        raise BadSignature("other officers signed than those who are named")
    keys = [parse_public_jwk(officer.jwk) for officer in officers]
    taken = {*others, *(key.kid for key in pinned)}
    if keys[0].kid == keys[1].kid or not taken.isdisjoint(key.kid for key in keys):
        raise BadSignature("two of registrar, officers and citizen share a key")
    for officer, key, token in zip(officers, keys, signatures, strict=True):
        if not parse_instant(officer.not_before) <= signed.at < parse_instant(officer.not_after):
            raise BadSignature("an officer was not certified at that time")
        check_signed(token, key, signed.typ, signed.payload)


def check_consent_proof(document: Mapping[str, Any], proof: str, key: PublicKey) -> None:
    """The citizen's key signed exactly this consent."""
    check_signed(proof, key, "consent+jwt", canonical(document))


def check_withdrawal_proof(document: Mapping[str, Any], proof: str, key: PublicKey) -> None:
    """The citizen's key signed exactly this withdrawal."""
    check_signed(proof, key, "withdrawal+jwt", canonical(document))


def consent_hash(document: Mapping[str, Any]) -> str:
    """Hex SHA-256("chengxin/consent/v1" || 0x00 || JCS(document))."""
    return tagged_hash("chengxin/consent/v1", canonical(document)).hex()


def certificate_hash(certificate: Mapping[str, Any]) -> str:
    """Hex SHA-256("chengxin/enrolment/v1" || 0x00 || JCS(certificate)): document, signatures and officers
    together.
    """
    return tagged_hash("chengxin/enrolment/v1", canonical(certificate)).hex()


def withdrawal_hash(document: Mapping[str, Any]) -> str:
    """Hex SHA-256("chengxin/withdrawal/v1" || 0x00 || JCS(document))."""
    return tagged_hash("chengxin/withdrawal/v1", canonical(document)).hex()


def proof_hash(proof: str) -> str:
    """Hex SHA-256 of a compact JWS, which is ASCII."""
    try:
        return sha256_hex(proof.encode("ascii"))
    except UnicodeEncodeError:
        raise Malformed("a proof is not ASCII") from None


def key_commitment(salt: str, kid: str) -> str:
    """Hex SHA-256(salt || raw thumbprint) over a base64url salt of 16 bytes and an RFC 7638 thumbprint."""
    return sha256(unb64u(salt, SALT_SIZE) + thumbprint_bytes(kid)).hex()


def citizen_number(text: str) -> bytes:
    """A citizen number (公民身份号码) in its one form. Raises BadIdentifier for what is none."""
    return canonical_citizen_number(text).encode("ascii")


def is_person(person: tuple[bytes, bytes], number: bytes) -> bool:
    """Whether a certificate's (salt, SHA-256(salt || number)) is of this number in its one form."""
    return sha256(person[0] + number) == person[1]


def revision_commitment(salt: str, revisions: list[str]) -> str:
    """Hex SHA-256(salt || revision hashes), the hashes raw, hex-sorted and distinct. Raises Malformed."""
    if revisions != sorted(set(revisions)):
        raise Malformed("the revisions are not sorted and distinct")
    try:
        raw = [bytes.fromhex(revision) for revision in revisions]
    except ValueError:
        raise Malformed("a revision is not a hash") from None
    if any(len(revision) != 32 for revision in raw):
        raise Malformed("a revision is not a hash")
    return sha256(unb64u(salt, SALT_SIZE) + b"".join(raw)).hex()


def document_hash(salt: str, number: str) -> str:
    """Hex SHA-256(salt || number), the number of the document that orders a statutory query, in UTF-8."""
    return sha256_hex(unb64u(salt, SALT_SIZE) + number.encode("utf-8"))


def request_hash(salt: str, request: Mapping[str, Any]) -> str:
    """Hex SHA-256(salt || JCS(request body))."""
    return sha256(unb64u(salt, SALT_SIZE) + canonical(request)).hex()


def _officer(token: str, pinned: tuple[PublicKey, ...]) -> Officer:
    for key in pinned:
        try:
            payload = verify_jws(token, key, "officer+jwt")
        except KeysError:
            continue
        return read(_canonical_object(payload), Officer)
    raise BadSignature("an officer's certificate is not by the pinned registrar")


def check_signed(token: str, key: PublicKey, typ: str, signed: bytes) -> None:
    """The compact JWS is by this key and covers exactly these bytes. Raises KeysError."""
    if verify_jws(token, key, typ) != signed:
        raise BadSignature("a signature covers another document")


def _canonical_object(payload: bytes) -> dict[str, Any]:
    value = parse_canonical(payload)
    if not isinstance(value, dict):
        raise Malformed("a signed document is not an object")
    return value
