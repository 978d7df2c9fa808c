"""What opened details of enrolments, requests for consent, consents and withdrawals must prove.

Invariant: a leaf says nothing that the document behind it does not say, and the document says nothing that
the leaf leaves out; the signature on the document is by the key that the registrar certified for this person.
Certificates are verified only against pinned registrars; without pins everything else still is.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from keys.canonical import unb64u
from ledger.bodies import ConsentAsked, ConsentGranted, ConsentWithdrawn, SubjectEnrolled
from ledger.entries import Leaf
from ledger.verify import documents as d
from ledger.verify import webauthn
from ledger.verify.consents import subject_of
from ledger.verify.details import Enrolled, Granted, Requested, Withdrawn
from ledger.verify.rules import Rule
from ledger.verify.state import World

Certified: TypeAlias = tuple[SubjectEnrolled, Enrolled] | tuple[ConsentGranted, Granted]
"""A body and its opened details, as every rule here takes them."""

_ASKED: Final = ("recipient", "purpose", "categories")
"""Members that a request for consent and its leaf share."""
_SAID: Final = (*_ASKED, "answer", "not_before", "not_after", "max_uses", "retention_days")
"""Members that a consent and its leaf share."""


def _certificate_hash(_: Leaf, shown: tuple[SubjectEnrolled, Enrolled], __: World) -> str | None:
    body, held = shown
    if d.certificate_hash(held.certificate) == body.certificate_sha256:
        return None
    return "the certificate is not the one that the leaf names"


def _certificate_same(leaf: Leaf, shown: tuple[ConsentGranted, Granted], world: World) -> str | None:
    if d.certificate_hash(shown[1].certificate) == subject_of(leaf, world).certificate:
        return None
    return "the certificate is not the one that the person was enrolled with"


def _certificate_document(leaf: Leaf, shown: tuple[SubjectEnrolled, Enrolled], world: World) -> str | None:
    body, held = shown
    enrolment, _key = d.read_enrolment(held.certificate)
    if enrolment.gateway != world.origin:
        return "the certificate was made for another gateway"
    if (enrolment.registrar, enrolment.assurance) != (body.registrar, body.assurance):
        return "the certificate says another registrar or assurance than the leaf"
    return "the certificate was made after it was used" if leaf.at < enrolment.at else None


def _certificate(leaf: Leaf, shown: Certified, world: World) -> str | None:
    """Not again for a grant whose enrolment was opened: it is the same certificate."""
    if world.pins is None or subject_of(leaf, world).key is not None:
        return None
    certificate = shown[1].certificate
    enrolment, _key = d.read_enrolment(certificate)
    pinned = world.pins.get(enrolment.registrar)
    if pinned is None:
        return "the certificate's registrar is not one of the pinned"
    d.check_certificate(certificate, enrolment.registrar, pinned)
    return None


def _commitment(_: Leaf, shown: Certified, __: World) -> str | None:
    body, held = shown
    _enrolment, key = d.read_enrolment(held.certificate)
    if d.key_commitment(held.commitment_salt, key.kid) == body.commitment:
        return None
    return "the commitment is to another key than the certified one"


def _citizen_key_once(leaf: Leaf, shown: Certified, world: World) -> str | None:
    """A certificate has many spellings (a second signature, another `at`); the key it certifies has one."""
    if subject_of(leaf, world).key is not None:
        return None
    _enrolment, key = d.read_enrolment(shown[1].certificate)
    return "the key was enrolled for another person before" if key.kid in world.citizen_keys else None


def _requested_document(_: Leaf, shown: tuple[ConsentAsked, Requested], world: World) -> str | None:
    body, held = shown
    template = d.read(held.document, d.ConsentTemplate)
    if template.gateway != world.origin:
        return "the document asked for was made for another gateway"
    return _other_member(template, body, _ASKED)


def _consent_document(_: Leaf, shown: tuple[ConsentGranted, Granted], world: World) -> str | None:
    body, held = shown
    consent = d.read(held.document, d.Consent)
    if consent.gateway != world.origin:
        return "the consent was made for another gateway"
    return _other_member(consent, body, _SAID)


def _consent_hash(_: Leaf, shown: tuple[ConsentGranted, Granted], __: World) -> str | None:
    body, held = shown
    same = d.consent_hash(held.document) == body.consent_hash
    return None if same else "the consent is not the one that the leaf names"


def _consent_key(leaf: Leaf, shown: tuple[ConsentGranted, Granted], _: World) -> str | None:
    """The key may sign from the certificate's `effective` on."""
    held = shown[1]
    enrolment, key = d.read_enrolment(held.certificate)
    if held.document["subject"] != key.kid:
        return "the consent names another key than the person's"
    return "the key was not yet effective" if leaf.at < enrolment.effective else None


def _consent_proof(_: Leaf, shown: tuple[ConsentGranted, Granted], __: World) -> str | None:
    held = shown[1]
    _enrolment, key = d.read_enrolment(held.certificate)
    if isinstance(held.proof, str):
        d.check_consent_proof(held.document, held.proof, key)
    else:
        webauthn.check_consent(held.document, held.proof, key)
    return None


def _proof_kind(_: Leaf, shown: tuple[ConsentGranted, Granted], __: World) -> str | None:
    body, held = shown
    kind = "jws" if isinstance(held.proof, str) else "webauthn"
    return None if body.kind == kind else "the proof is of another kind than the leaf says"


def _proof_hash(_: Leaf, shown: tuple[ConsentGranted, Granted], __: World) -> str | None:
    body, held = shown
    if isinstance(held.proof, str):
        found = d.proof_hash(held.proof)
    else:
        found = webauthn.proof_hash(held.document, held.proof)
    return None if found == body.proof_sha256 else "the proof is not the one that the leaf names"


def _withdrawal_document(_: Leaf, shown: tuple[ConsentWithdrawn, Withdrawn], world: World) -> str | None:
    body, held = shown
    withdrawal, grant = d.read(held.document, d.Withdrawal), world.grants[body.grant]
    if withdrawal.gateway != world.origin:
        return "the withdrawal was made for another gateway"
    if grant.consent_id and withdrawal.consent_id != grant.consent_id:
        return "the withdrawal is of another consent"
    return None


def _withdrawal_proof(leaf: Leaf, shown: tuple[ConsentWithdrawn, Withdrawn], world: World) -> str | None:
    """Passed over where the person's key is unknown, because it was sealed before this regulator was
    registered.
    """
    held, key = shown[1], subject_of(leaf, world).key
    if key is None:
        return None
    if held.document["subject"] != key.kid:
        return "the withdrawal names another key than the person's"
    if isinstance(held.proof, str):
        d.check_withdrawal_proof(held.document, held.proof, key)
    else:
        webauthn.check_withdrawal(held.document, held.proof, key)
    return None


def _other_member(document: d.ConsentTemplate, body: object, members: tuple[str, ...]) -> str | None:
    for member in members:
        if getattr(document, member) != getattr(body, member):
            return f"the document and the leaf differ in {member}"
    return None


CERTIFICATE_HASH = Rule("certificate-hash", _certificate_hash)
CERTIFICATE_SAME = Rule("certificate-same", _certificate_same)
CERTIFICATE_DOCUMENT = Rule("certificate-document", _certificate_document)
CERTIFICATE = Rule("certificate", _certificate)
COMMITMENT = Rule("commitment", _commitment)
CITIZEN_KEY_ONCE = Rule("citizen-key-once", _citizen_key_once)
REQUESTED_DOCUMENT = Rule("requested-document", _requested_document)
CONSENT_DOCUMENT = Rule("consent-document", _consent_document)
CONSENT_HASH = Rule("consent-hash", _consent_hash)
CONSENT_KEY = Rule("consent-key", _consent_key)
CONSENT_PROOF = Rule("consent-proof", _consent_proof)
PROOF_KIND = Rule("proof-kind", _proof_kind)
PROOF_HASH = Rule("proof-hash", _proof_hash)
WITHDRAWAL_DOCUMENT = Rule("withdrawal-document", _withdrawal_document)
WITHDRAWAL_PROOF = Rule("withdrawal-proof", _withdrawal_proof)


def know_key(leaf: Leaf, shown: Certified, world: World) -> None:
    """Remember the person's key, and who the certificate says they are."""
    subject = subject_of(leaf, world)
    enrolment, subject.key = d.read_enrolment(shown[1].certificate)
    subject.person = (unb64u(enrolment.salt), bytes.fromhex(enrolment.person))
    world.citizen_keys.add(subject.key.kid)


def know_consent(leaf: Leaf, shown: tuple[ConsentGranted, Granted], world: World) -> None:
    """Remember the same, and the consent's id."""
    know_key(leaf, shown, world)
    world.grants[leaf.index].consent_id = shown[1].document["consent_id"]
