"""Proofs: a citizen's signature over the canonical bytes of a document, compact JWS or passkey assertion.

Invariant: a verified proof covers exactly the document's one byte form, was made by the key that the document
names as its `subject`, and was made for this kind of document (`typ` of a JWS, tag of an assertion's
challenge). The rules of the two forms are those of `keys.jws` and `consent.webauthn`. Whether that key is
live is not said here: the enrolment certificate and the ledger say it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from consent.document import (
    Consent,
    Withdrawal,
    format_consent,
    format_withdrawal,
    parse_consent,
    parse_withdrawal,
)
from consent.errors import BadProof, MalformedDocument
from consent.revocation import (
    KeyRevocation,
    Resumption,
    format_resumption,
    format_revocation,
    parse_resumption,
    parse_revocation,
)
from consent.webauthn import (
    KeptProof,
    consent_challenge,
    format_kept,
    kept_sha256,
    parse_kept,
    resumption_challenge,
    revocation_challenge,
    verify_assertion,
    withdrawal_challenge,
)
from keys.canonical import sha256_hex, unb64u
from keys.errors import KeysError
from keys.jws import sign_jws, verify_jws
from keys.signing import PrivateKey, PublicKey

CONSENT_TYP = "consent+jwt"
WITHDRAWAL_TYP = "withdrawal+jwt"
REVOCATION_TYP = "key-revocation+jwt"
RESUMPTION_TYP = "resumption+jwt"

Proof: TypeAlias = str | KeptProof
"""A compact JWS, or the kept set of an assertion."""


def sign_consent(consent: Consent, key: PrivateKey) -> str:
    """The compact JWS of a consent. Raises BadProof unless `key` is its subject's."""
    return _sign(format_consent(consent), consent.subject, key, CONSENT_TYP)


def verify_consent(document: bytes, proof: Proof, key: PublicKey) -> None:
    """Check that `key` is the subject's and signed these bytes. Raises MalformedDocument, BadProof."""
    subject = parse_consent(document).subject
    if isinstance(proof, KeptProof):
        _verify_kept(document, subject, proof, key, consent_challenge)
    else:
        _verify(document, subject, proof, key, CONSENT_TYP)


def sign_withdrawal(withdrawal: Withdrawal, key: PrivateKey) -> str:
    """The compact JWS of a withdrawal. Raises BadProof unless `key` is the one it names."""
    return _sign(format_withdrawal(withdrawal), withdrawal.subject, key, WITHDRAWAL_TYP)


def verify_withdrawal(document: bytes, proof: Proof, key: PublicKey) -> None:
    """Check that the key it names signed these bytes. Raises MalformedDocument, BadProof.

    The caller sees to it that this is a live key of the consent's person.
    """
    subject = parse_withdrawal(document).subject
    if isinstance(proof, KeptProof):
        _verify_kept(document, subject, proof, key, withdrawal_challenge)
    else:
        _verify(document, subject, proof, key, WITHDRAWAL_TYP)


def sign_revocation(revocation: KeyRevocation, key: PrivateKey) -> str:
    """The compact JWS of a key's revocation. Raises BadProof unless `key` is the `subject` it names."""
    return _sign(format_revocation(revocation), revocation.subject, key, REVOCATION_TYP)


def verify_revocation(document: bytes, proof: Proof, key: PublicKey) -> None:
    """Check that the `subject` it names signed these bytes. Raises MalformedDocument, BadProof.

    The caller sees to it that both keys are of one person, and that `subject` is live.
    """
    subject = parse_revocation(document).subject
    if isinstance(proof, KeptProof):
        _verify_kept(document, subject, proof, key, revocation_challenge)
    else:
        _verify(document, subject, proof, key, REVOCATION_TYP)


def sign_resumption(resumption: Resumption, key: PrivateKey) -> str:
    """The compact JWS of a resumption. Raises BadProof unless `key` is the one it names."""
    return _sign(format_resumption(resumption), resumption.subject, key, RESUMPTION_TYP)


def verify_resumption(document: bytes, proof: Proof, key: PublicKey) -> None:
    """Check that the key it names signed these bytes. Raises MalformedDocument, BadProof.

    The caller sees to it that this is a live key of the consent's person.
    """
    subject = parse_resumption(document).subject
    if isinstance(proof, KeptProof):
        _verify_kept(document, subject, proof, key, resumption_challenge)
    else:
        _verify(document, subject, proof, key, RESUMPTION_TYP)


def proof_kind(proof: Proof) -> Literal["jws", "webauthn"]:
    """The `kind` of a grant's leaf."""
    return "webauthn" if isinstance(proof, KeptProof) else "jws"


def proof_sha256(proof: Proof, document: bytes | None = None) -> str:
    """Hex `proof_sha256` of a grant's leaf: of the ASCII JWS, or of JCS of the kept set with its `document`.

    Raises BadProof, MalformedDocument.
    """
    if isinstance(proof, KeptProof):
        if document is None:
            raise MalformedDocument("a kept set is hashed with its document")
        return kept_sha256(proof, document)
    if not proof.isascii():
        raise BadProof("a compact JWS is ASCII")
    return sha256_hex(proof.encode("ascii"))


def parse_proof(stored: str) -> Proof:
    """A proof as it is stored: a JWS, which never begins with a brace, or JCS of a kept set.

    Raises MalformedDocument.
    """
    if not stored.startswith("{"):
        return stored
    try:
        return parse_kept(stored.encode())
    except UnicodeEncodeError:
        raise MalformedDocument("a proof is UTF-8") from None


def format_proof(proof: Proof) -> str:
    """The text to store. Raises MalformedDocument."""
    return format_kept(proof).decode() if isinstance(proof, KeptProof) else proof


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


def _verify_kept(
    document: bytes,
    subject: str,
    kept: KeptProof,
    key: PublicKey,
    challenge: Callable[[bytes, bytes], bytes],
) -> None:
    if key.kid != subject:
        raise BadProof("the document names another key")
    verify_assertion(challenge(unb64u(kept.server_nonce), document), kept, key)
