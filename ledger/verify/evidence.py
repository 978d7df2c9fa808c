"""What the opened details of a leaf must prove: certificates, citizens' signatures, requests and revisions.

Invariant: a leaf says nothing that the document behind it does not say, and the document says nothing that
the leaf leaves out; the signature on the document is by the key that the registrar certified for this person.

The rules of a row run in order and may rely on those before them. Certificates are verified only against
pinned registrars; without pins everything else still is.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

import msgspec

from ledger.bodies import (
    Body,
    ConsentAsked,
    ConsentGranted,
    ConsentWithdrawn,
    QueryDisclosed,
    QueryRefused,
    SubjectEnrolled,
)
from ledger.entries import Leaf
from ledger.errors import Finding
from ledger.verify import documents as d
from ledger.verify.consents import subject_of
from ledger.verify.details import (
    Details,
    Disclosed,
    Enrolled,
    Granted,
    Refused,
    Requested,
    Withdrawn,
)
from ledger.verify.rules import Apply, Rule, Rules, hold
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
    d.check_consent_proof(held.document, held.proof, key)
    return None


def _proof_hash(_: Leaf, shown: tuple[ConsentGranted, Granted], __: World) -> str | None:
    body, held = shown
    return (
        None
        if d.proof_hash(held.proof) == body.proof_sha256
        else "the proof is not the one that the leaf names"
    )


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
    d.check_withdrawal_proof(held.document, held.proof, key)
    return None


def _request_hash(_: Leaf, shown: tuple[QueryDisclosed, Disclosed], __: World) -> str | None:
    body, held = shown
    same = d.request_hash(held.request_salt, held.request) == body.request
    return None if same else "the request is not the one that the leaf names"


def _request_members(_: Leaf, shown: tuple[QueryDisclosed, Disclosed], world: World) -> str | None:
    body, held = shown
    request, grant = held.request, world.grants[body.grant]
    asked = request.get("categories")
    if (request.get("query_id"), request.get("purpose")) != (body.query, body.purpose):
        return "the request has another id or purpose than the leaf"
    if grant.consent_id and request.get("consent_id") != grant.consent_id:
        return "the request named another consent"
    if request.get("answer") != grant.answer:
        return "the request asked for another kind of answer"
    if not isinstance(asked, list) or any(category not in asked for category in body.categories):
        return "the answer covers a category that was not asked for"
    return None


def _request_person(leaf: Leaf, shown: tuple[QueryDisclosed, Disclosed], world: World) -> str | None:
    """Where the bank said whom it means, the certificate must have been made for that person: records of one
    person attached to the tag of another show here.
    """
    named, certified = shown[1].request.get("person_check"), subject_of(leaf, world).person
    if named is None or certified is None:
        return None
    number = named.get("citizen_number") if isinstance(named, dict) else None
    salt, person = certified
    if isinstance(number, str) and d.person_hash(salt, number) == person:
        return None
    return "the answer is about another person than the bank asked for"


def _revisions(_: Leaf, shown: tuple[QueryDisclosed, Disclosed], __: World) -> str | None:
    body, held = shown
    same = d.revision_commitment(held.revisions_salt, held.revisions) == body.commitment
    return None if same else "the records answered with are not those that the leaf commits to"


def _refused_request(_: Leaf, shown: tuple[QueryRefused, Refused], __: World) -> str | None:
    """A query or a request for consent; whatever it was, its id and purpose are the leaf's."""
    body, request = shown[0], shown[1].request
    for name, expected in (("query_id", body.query), ("request_id", body.query), ("purpose", body.purpose)):
        if request.get(name, expected) != expected:
            return "the request refused has another id or purpose than the leaf"
    return None


def _other_member(document: d.ConsentTemplate, body: object, members: tuple[str, ...]) -> str | None:
    for member in members:
        if getattr(document, member) != getattr(body, member):
            return f"the document and the leaf differ in {member}"
    return None


def _know_key(leaf: Leaf, shown: Certified, world: World) -> None:
    subject = subject_of(leaf, world)
    enrolment, subject.key = d.read_enrolment(shown[1].certificate)
    subject.person = (enrolment.salt, enrolment.person)
    world.citizen_keys.add(subject.key.kid)


def _know_consent(leaf: Leaf, shown: tuple[ConsentGranted, Granted], world: World) -> None:
    _know_key(leaf, shown, world)
    world.grants[leaf.index].consent_id = shown[1].document["consent_id"]


def _nothing(_: Leaf, __: tuple[Body, Details], ___: World) -> None:
    """Nothing that later leaves are compared with."""


class Row(NamedTuple):
    """The details of a type of leaf, what they must prove, and what is remembered of them."""

    shape: type[Details]
    rules: Rules
    apply: Apply


CERTIFICATE: Final = Rule("certificate", _certificate)
COMMITMENT: Final = Rule("commitment", _commitment)
CITIZEN_KEY_ONCE: Final = Rule("citizen-key-once", _citizen_key_once)

EVIDENCE: Final[Mapping[str, Row]] = MappingProxyType(
    {
        "subject.enrolled": Row(
            Enrolled,
            (
                Rule("certificate-hash", _certificate_hash),
                Rule("certificate-document", _certificate_document),
                CERTIFICATE,
                COMMITMENT,
                CITIZEN_KEY_ONCE,
            ),
            _know_key,
        ),
        "consent.requested": Row(Requested, (Rule("requested-document", _requested_document),), _nothing),
        "consent.granted": Row(
            Granted,
            (
                Rule("certificate-same", _certificate_same),
                CERTIFICATE,
                COMMITMENT,
                CITIZEN_KEY_ONCE,
                Rule("consent-document", _consent_document),
                Rule("consent-hash", _consent_hash),
                Rule("consent-key", _consent_key),
                Rule("consent-proof", _consent_proof),
                Rule("proof-hash", _proof_hash),
            ),
            _know_consent,
        ),
        "consent.withdrawn": Row(
            Withdrawn,
            (Rule("withdrawal-document", _withdrawal_document), Rule("withdrawal-proof", _withdrawal_proof)),
            _nothing,
        ),
        "query.disclosed": Row(
            Disclosed,
            (
                Rule("request-hash", _request_hash),
                Rule("request-members", _request_members),
                Rule("request-person", _request_person),
                Rule("revisions", _revisions),
            ),
            _nothing,
        ),
        "query.refused": Row(Refused, (Rule("refused-request", _refused_request),), _nothing),
    }
)
"""Type of leaf -> its row; the types whose details must be sealed."""


def read_details(index: int, leaf: Leaf, details: object) -> Details | None:
    """The opened details in the shape of the leaf's type; None for a type of which nothing is expected."""
    row = EVIDENCE.get(leaf.type)
    if row is None or details is None:
        return None
    try:
        return msgspec.convert(details, row.shape, strict=True)
    except msgspec.ValidationError:
        raise Finding(index, "details-shape", "the sealed details have a wrong or unknown member") from None


def check(index: int, leaf: Leaf, details: Details, world: World) -> None:
    """Raise a Finding for the first thing that the details do not prove."""
    hold(EVIDENCE[leaf.type].rules, index, leaf, (leaf.body, details), world)


def apply(leaf: Leaf, details: Details, world: World) -> None:
    """Remember what later leaves are compared with; after the leaf itself was applied."""
    EVIDENCE[leaf.type].apply(leaf, (leaf.body, details), world)
