"""Proofs: compact JWS over the canonical bytes of what a citizen signs.

Invariant: a verified proof covers exactly the document's one byte form, was made by the key that the document
names as its `subject`, and was made for this kind of document (`typ`). Header, algorithm and serialisation
rules are those of `keys.jws`. Whether that key is live is not said here: the enrolment certificate and the
ledger say it.
"""

from __future__ import annotations

from consent.document import (
    Consent,
    Withdrawal,
    format_consent,
    format_withdrawal,
    parse_consent,
    parse_withdrawal,
)
from consent.errors import BadProof
from keys.canonical import sha256_hex
from keys.errors import KeysError
from keys.jws import sign_jws, verify_jws
from keys.signing import PrivateKey, PublicKey

CONSENT_TYP = "consent+jwt"
WITHDRAWAL_TYP = "withdrawal+jwt"


def sign_consent(consent: Consent, key: PrivateKey) -> str:
    """The compact JWS of a consent. Raises BadProof unless `key` is its subject's."""
    return _sign(format_consent(consent), consent.subject, key, CONSENT_TYP)


def verify_consent(document: bytes, token: str, key: PublicKey) -> None:
    """Check that `key` is the subject's and signed these bytes. Raises MalformedDocument, BadProof."""
    _verify(document, parse_consent(document).subject, token, key, CONSENT_TYP)


def sign_withdrawal(withdrawal: Withdrawal, key: PrivateKey) -> str:
    """The compact JWS of a withdrawal. Raises BadProof unless `key` is the one it names."""
    return _sign(format_withdrawal(withdrawal), withdrawal.subject, key, WITHDRAWAL_TYP)


def verify_withdrawal(document: bytes, token: str, key: PublicKey) -> None:
    """Check that the key it names signed these bytes. Raises MalformedDocument, BadProof.

    The caller sees to it that this is a live key of the consent's person.
    """
    _verify(document, parse_withdrawal(document).subject, token, key, WITHDRAWAL_TYP)


def proof_sha256(token: str) -> str:
    """Hex SHA-256 of the ASCII compact JWS: the `proof_sha256` of a grant's leaf. Raises BadProof."""
    if not token.isascii():
        raise BadProof("a compact JWS is ASCII")
    return sha256_hex(token.encode("ascii"))


def _sign(document: bytes, subject: str, key: PrivateKey, typ: str) -> str:
    if key.kid != subject:
        raise BadProof("the document names another key")
    return sign_jws(document, key, typ)


def _verify(document: bytes, subject: str, token: str, key: PublicKey, typ: str) -> None:
    if key.kid != subject:
        raise BadProof("the document names another key")
    try:
        payload = verify_jws(token, key, typ)
    except KeysError as refused:
        raise BadProof("the signature does not hold") from refused
    if payload != document:
        raise BadProof("the signature covers another document")
