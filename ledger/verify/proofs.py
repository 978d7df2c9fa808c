"""What opened details of enrolments, requests for consent and consents must prove.

Invariant: a leaf says nothing that the document behind it does not say, and the document says nothing that
the leaf leaves out; the signature on the document is by the key that the registrar certified for this person.
Certificates are verified only against pinned registrars; without pins everything else still is.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from keys.canonical import unb64u
from ledger.bodies import ConsentAsked, ConsentCarried, ConsentGranted, SubjectEnrolled
from ledger.entries import Leaf
from ledger.verify import documents as d
from ledger.verify import webauthn
from ledger.verify.consents import subject_of
from ledger.verify.details import Enrolled, Granted, Requested
from ledger.verify.rules import Rule
from ledger.verify.signers import certifying
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
    body, held = shown
    if d.certificate_hash(held.certificate) == subject_of(leaf, world).keys[body.commitment].certificate:
        return None
    return "the certificate is not the one that the key was enrolled with"


def _certificate_document(leaf: Leaf, shown: tuple[SubjectEnrolled, Enrolled], world: World) -> str | None:
    body, held = shown
    enrolment, _key = d.read_enrolment(held.certificate)
    if enrolment.gateway not in (world.origin, world.previous):
        return "the certificate was made for another gateway"
    if (enrolment.registrar, enrolment.assurance) != (body.registrar, body.assurance):
        return "the certificate says another registrar or assurance than the leaf"
    return "the certificate was made after it was used" if leaf.at < enrolment.at else None


def _certificate(leaf: Leaf, shown: Certified, world: World) -> str | None:
    """Not again for a grant whose enrolment was opened: it is the same certificate."""
    if world.pins is None or _opened(leaf, shown, world):
        return None
    certificate = shown[1].certificate
    enrolment, _key = d.read_enrolment(certificate)
    pinned = world.pins.get(enrolment.registrar)
    if pinned is None:
        return "the certificate's registrar is not one of the pinned"
    # Under the key of its own time, which is a pinned one, or one that rotations connect with it.
    key = certifying(world, enrolment.registrar, d.certificate_hash(certificate))
    if key is None:
        return "the certificate's registrar had no key in force"
    d.check_certificate(certificate, enrolment.registrar, (key,))
    return None


def _opened(leaf: Leaf, shown: Certified, world: World) -> bool:
    """Whether the key's certificate was opened with an earlier leaf."""
    key = subject_of(leaf, world).keys.get(shown[0].commitment)
    return key is not None and key.public is not None


def _commitment(_: Leaf, shown: Certified, __: World) -> str | None:
    body, held = shown
    _enrolment, key = d.read_enrolment(held.certificate)
    if d.key_commitment(held.commitment_salt, key.kid) == body.commitment:
        return None
    return "the commitment is to another key than the certified one"


def _citizen_key_once(leaf: Leaf, shown: Certified, world: World) -> str | None:
    """A certificate has many spellings (a second signature, another `at`); the key it certifies has one."""
    if _opened(leaf, shown, world):
        return None
    _enrolment, key = d.read_enrolment(shown[1].certificate)
    return (
        "the key was enrolled before, for another person or this one"
        if key.kid in world.citizen_keys
        else None
    )


def _requested_document(_: Leaf, shown: tuple[ConsentAsked, Requested], world: World) -> str | None:
    body, held = shown
    template = d.read(held.document, d.ConsentTemplate)
    if template.gateway != world.origin:
        return "the document asked for was made for another gateway"
    return _other_member(template, body, _ASKED)


def _consent_document(_: Leaf, shown: tuple[ConsentGranted, Granted], world: World) -> str | None:
    body, held = shown
    consent = d.read(held.document, d.Consent)
    if consent.gateway != (world.previous if isinstance(body, ConsentCarried) else world.origin):
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


def know_key(leaf: Leaf, shown: Certified, world: World) -> None:
    """Remember the key, from when its certificate lets it act, and who it says the person is."""
    key = subject_of(leaf, world).keys[shown[0].commitment]
    enrolment, key.public = d.read_enrolment(shown[1].certificate)
    key.since = max(key.since, enrolment.effective)
    key.person = (unb64u(enrolment.salt), bytes.fromhex(enrolment.person))
    world.citizen_keys[key.public.kid] = leaf.index


def know_consent(leaf: Leaf, shown: tuple[ConsentGranted, Granted], world: World) -> None:
    """Remember the same, and the consent's id."""
    know_key(leaf, shown, world)
    world.granted(leaf.index).consent_id = shown[1].document["consent_id"]
