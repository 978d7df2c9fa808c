"""Rules of enrolment, requests for consent, consents and withdrawals.

Invariant: a consent (个人同意) stands only for a person with a certified key, under that key, once, within
the limits of the policy in force; a withdrawal (撤回) ends exactly one consent of that person.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from keys.instant import DAY, parse_instant
from ledger.bodies import (
    Body,
    ConsentAsked,
    ConsentCarried,
    ConsentGranted,
    ConsentResumed,
    ConsentSuspended,
    ConsentWithdrawn,
    QueryDisclosed,
    QueryPredicate,
    SubjectEnrolled,
)
from ledger.entries import Leaf
from ledger.verify.granted import Granted
from ledger.verify.packed import raw_uuid
from ledger.verify.persons import Subject, Subjects
from ledger.verify.rules import Rule
from ledger.verify.signers import in_force
from ledger.verify.state import Terms, World

Purposeful: TypeAlias = ConsentAsked | ConsentGranted | QueryDisclosed | QueryPredicate | Terms
UnderGrant: TypeAlias = ConsentResumed | ConsentSuspended | ConsentWithdrawn | QueryDisclosed | QueryPredicate

_NOBODY: Final = " " * 22
"""In the place of a tag."""


def subject_of(leaf: Leaf, world: World) -> Subject:
    """The record of the person that the leaf is about; a leaf of these types always has one."""
    return Subjects(world.grants).seat(_NOBODY) if leaf.subject is None else world.subjects[leaf.subject.tag]


def _registrar_acts(leaf: Leaf, body: SubjectEnrolled, _: World) -> str | None:
    if leaf.by is not None and leaf.by.registrar == body.registrar:
        return None
    return "the enrolment is by another registrar than the one it names"


def _registrar_published(_: Leaf, body: SubjectEnrolled, world: World) -> str | None:
    if in_force(world, "registrar", body.registrar) is not None:
        return None
    return "the registrar's key was not published before, or was revoked"


def _registrar_standing(leaf: Leaf, body: SubjectEnrolled, world: World) -> str | None:
    registrar = world.institutions.get(body.registrar)
    if registrar is None or (registrar.stands(leaf.at) and "registrar" in registrar.roles):
        return None
    return "the registrar was suspended at that time, or is registered as something else"


def _registrar_pinned(_: Leaf, body: SubjectEnrolled, world: World) -> str | None:
    return (
        None
        if world.pins is None or body.registrar in world.pins
        else "the registrar is not one of the pinned"
    )


def _certificate_once(_: Leaf, body: SubjectEnrolled, world: World) -> str | None:
    return (
        "the certificate enrolled somebody before"
        if bytes.fromhex(body.certificate_sha256) in world.certificates
        else None
    )


def _subject_enrolled(leaf: Leaf, _: Body, world: World) -> str | None:
    return None if subject_of(leaf, world).keys else "the person was not enrolled"


def _request_recipient(leaf: Leaf, body: ConsentAsked, _: World) -> str | None:
    if leaf.by is not None and leaf.by.institution == body.recipient:
        return None
    return "the consent was requested for another recipient than the one who asked"


def _request_once(_: Leaf, body: ConsentAsked, world: World) -> str | None:
    return (
        "the request was made before" if world.requested(body.recipient, body.request) is not None else None
    )


def _request_open(leaf: Leaf, body: ConsentAsked, world: World) -> str | None:
    slot, requests = world.requested(body.recipient, body.request), world.requests
    if slot is not None and requests.open[slot] and requests.subject[slot] == subject_of(leaf, world).slot:
        return None
    return "no such request to this person is open"


def _request_same(_: Leaf, body: ConsentAsked, world: World) -> str | None:
    slot, requests = world.requested(body.recipient, body.request), world.requests
    if slot is not None and requests.asked.values[requests.scope[slot]] == (body.purpose, body.categories):
        return None
    return "the request was another when it was made"


def _purpose_usable(_: Leaf, body: Purposeful, world: World) -> str | None:
    return (
        None
        if body.purpose in world.policy.usable
        else "the policy in force does not know or allow the purpose"
    )


def _categories_permitted(_: Leaf, body: Purposeful, world: World) -> str | None:
    permitted = world.policy.usable[body.purpose].permitted & world.policy.categories
    return (
        None
        if permitted.issuperset(body.categories)
        else "a category is not permitted for the purpose, or is off"
    )


def _categories_necessary(_: Leaf, body: ConsentAsked | ConsentGranted, world: World) -> str | None:
    if world.policy.usable[body.purpose].necessary.issubset(body.categories):
        return None
    return "a category that the purpose needs is missing"


def _key_commitment(leaf: Leaf, body: ConsentGranted, world: World) -> str | None:
    if body.commitment in subject_of(leaf, world).keys:
        return None
    return "the consent is under another key than the person's"


def _consent_once(_: Leaf, body: ConsentGranted, world: World) -> str | None:
    return (
        "the same consent was granted before" if bytes.fromhex(body.consent_hash) in world.consents else None
    )


def _recipient_known(_: Leaf, body: ConsentGranted, world: World) -> str | None:
    return None if body.recipient in world.institutions else "the recipient was never registered"


def _validity(_: Leaf, body: ConsentGranted, world: World) -> str | None:
    days = world.policy.usable[body.purpose].max_days
    length = parse_instant(body.not_after) - parse_instant(body.not_before)
    return (
        None
        if 0 < length <= days * DAY
        else "the consent is valid for longer than the policy allows, or never"
    )


def _uses(_: Leaf, body: ConsentGranted, world: World) -> str | None:
    allowed = world.policy.usable[body.purpose].max_uses
    return None if body.max_uses <= allowed else "the consent has more uses than the policy allows"


def _retention(_: Leaf, body: ConsentGranted, world: World) -> str | None:
    allowed = world.policy.usable[body.purpose].max_retention_days
    return (
        None
        if body.retention_days <= allowed
        else "the consent is retained for longer than the policy allows"
    )


def _grant_exists(_: Leaf, body: UnderGrant, world: World) -> str | None:
    return None if body.grant in world.grants else "no earlier leaf is the consent that this one names"


def _grant_subject(leaf: Leaf, body: UnderGrant, world: World) -> str | None:
    if world.granted(body.grant).subject == subject_of(leaf, world):
        return None
    return "the consent is another person's"


def _grant_live(_: Leaf, body: UnderGrant, world: World) -> str | None:
    return "the consent was withdrawn before" if world.granted(body.grant).withdrawn else None


REGISTRAR_ACTS = Rule("registrar-acts", _registrar_acts)
REGISTRAR_PUBLISHED = Rule("registrar-published", _registrar_published)
REGISTRAR_STANDING = Rule("registrar-standing", _registrar_standing)
REGISTRAR_PINNED = Rule("registrar-pinned", _registrar_pinned)
CERTIFICATE_ONCE = Rule("certificate-once", _certificate_once)
SUBJECT_ENROLLED = Rule("subject-enrolled", _subject_enrolled)
REQUEST_RECIPIENT = Rule("request-recipient", _request_recipient)
REQUEST_ONCE = Rule("request-once", _request_once)
REQUEST_OPEN = Rule("request-open", _request_open)
REQUEST_SAME = Rule("request-same", _request_same)
PURPOSE_USABLE = Rule("purpose-usable", _purpose_usable)
CATEGORIES_PERMITTED = Rule("categories-permitted", _categories_permitted)
CATEGORIES_NECESSARY = Rule("categories-necessary", _categories_necessary)
KEY_COMMITMENT = Rule("key-commitment", _key_commitment)
CONSENT_ONCE = Rule("consent-once", _consent_once)
RECIPIENT_KNOWN = Rule("recipient-known", _recipient_known)
VALIDITY = Rule("validity", _validity)
USES_ALLOWED = Rule("uses-allowed", _uses)
RETENTION_ALLOWED = Rule("retention-allowed", _retention)
GRANT_EXISTS = Rule("grant-exists", _grant_exists)
GRANT_SUBJECT = Rule("grant-subject", _grant_subject)
GRANT_LIVE = Rule("grant-live", _grant_live)


def apply_requested(leaf: Leaf, body: ConsentAsked, world: World) -> None:
    """`consent.requested`."""
    requests = world.requests
    scope = requests.asked.number((body.purpose, body.categories))
    key = requests.key(body.recipient, raw_uuid(body.request))
    requests.add(key, leaf.index, subject_of(leaf, world).slot, scope)


def apply_closed_request(_: Leaf, body: ConsentAsked, world: World) -> None:
    """`consent.declined`, `consent.lapsed`."""
    slot = world.requested(body.recipient, body.request)
    if slot is not None:
        world.requests.open[slot] = 0


def apply_granted(leaf: Leaf, body: ConsentGranted | ConsentCarried, world: World) -> None:
    """`consent.granted`."""
    world.consents.add(bytes.fromhex(body.consent_hash))
    subject = subject_of(leaf, world)
    subject.keys[body.commitment].grants.append(leaf.index)
    terms = Granted(body.recipient, body.purpose, frozenset(body.categories), body.answer)
    bounds = (body.not_before + body.not_after).encode()
    world.grants.add(leaf.index, subject.slot, world.grants.terms.number(terms), bounds, body.max_uses)


def apply_withdrawn(_: Leaf, body: ConsentWithdrawn, world: World) -> None:
    """`consent.withdrawn`."""
    world.granted(body.grant).withdraw()
