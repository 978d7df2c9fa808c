"""What opened details of a citizen's acts must prove: a consent withdrawn or resumed, a key revoked.

Invariant: an act is by a key of this very person that was live and in effect at its leaf, or by two officers
of the registrar that the leaf is by, about the person of this tag, within a day of their order; and it says
what the leaf says, no more and no less. Officers are verified only against pinned registrars; where a
person's keys were sealed before this regulator was registered, their signatures are passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from keys.instant import HOUR, parse_instant
from keys.signing import PublicKey, parse_public_jwk
from ledger.bodies import ConsentResumed, ConsentWithdrawn, SubjectEnrolled, SubjectKeyRevoked, SubjectRead
from ledger.entries import Leaf
from ledger.verify import documents as d
from ledger.verify import orders as o
from ledger.verify import signers, webauthn
from ledger.verify.consents import subject_of
from ledger.verify.details import Acted, Enrolled, Read, Resumed, Revoked, Withdrawn
from ledger.verify.rules import Rule
from ledger.verify.state import World

Shown: TypeAlias = (
    tuple[ConsentWithdrawn, Withdrawn] | tuple[SubjectKeyRevoked, Revoked] | tuple[SubjectRead, Read]
)
"""A body that may be a counter's, and its opened details."""
Check: TypeAlias = Callable[[Mapping[str, Any], Any, PublicKey], None]

_ORDERS: Final[dict[type[Acted], type[o.Order]]] = {
    Withdrawn: o.WithdrawalOrder,
    Revoked: o.RevocationOrder,
    Read: o.ListOrder,
}


def _certificate_waits(leaf: Leaf, shown: tuple[SubjectEnrolled, Enrolled], world: World) -> str | None:
    """The registrar's own officers know of the wait: a certificate of a further key says it too."""
    enrolment, _key = d.read_enrolment(shown[1].certificate)
    wait = world.policy.enrolment.second_key_hours * HOUR if subject_of(leaf, world).keys else 0
    waits = parse_instant(enrolment.effective) - parse_instant(enrolment.at) >= wait
    return None if waits else "the certificate of a further key lets it act sooner than the policy allows"


def _act_form(_: Leaf, shown: Shown, __: World) -> str | None:
    body, held = shown
    if (held.order is None) == (body.by == "citizen"):
        return None
    return "the details are of the citizen where the leaf says a counter, or the other way round"


def _order_document(leaf: Leaf, shown: Shown, world: World) -> str | None:
    body, held = shown
    if held.order is None:
        return None
    order = o.read_order(held.order, _ORDERS[type(held)])
    if order.gateway != world.origin:
        return "the order was made for another gateway"
    if leaf.by is None or order.registrar != leaf.by.registrar:
        return "the order is another registrar's than the leaf says"
    if not 0 <= leaf.instant - parse_instant(order.at) < o.ORDER_MS:
        return "the order was carried out before it was made, or more than a day later"
    if isinstance(order, o.WithdrawalOrder) and isinstance(body, ConsentWithdrawn):
        same = order.consent_id == (world.granted(body.grant).consent_id or order.consent_id)
        return None if same else "the order is about another consent"
    if (
        isinstance(order, o.RevocationOrder)
        and isinstance(held, Revoked)
        and isinstance(body, SubjectKeyRevoked)
    ):
        same = order.cause == body.cause and order.key in (None, held.key)
        return None if same else "the order is about another key, or has another cause"
    return None


def _order_person(leaf: Leaf, shown: Shown, world: World) -> str | None:
    held = shown[1]
    if held.order is None or held.citizen_number is None:
        return None
    order = o.read_order(held.order, _ORDERS[type(held)])
    number = d.citizen_number(held.citizen_number)
    persons = subject_of(leaf, world).persons
    if o.is_person_of(order, held.citizen_number) and all(d.is_person(one, number) for one in persons):
        return None
    return "the order is about another person than the leaf"


def _order_officers(leaf: Leaf, shown: Shown, world: World) -> str | None:
    held = shown[1]
    if held.order is None or world.pins is None or leaf.by is None or leaf.by.registrar is None:
        return None
    if leaf.by.registrar not in world.pins:
        return "the counter's registrar is not one of the pinned"
    key = signers.in_force(world, "registrar", leaf.by.registrar)
    if key is None:
        return "the counter's registrar had no key in force"
    o.check_order(held.order, leaf.by.registrar, (parse_public_jwk(dict(key[1].public)),))
    return None


def _revocation_document(_: Leaf, shown: tuple[SubjectKeyRevoked, Revoked], world: World) -> str | None:
    body, held = shown
    if held.document is None:
        return None
    revocation = d.read(held.document, o.Revocation)
    if revocation.gateway != world.origin:
        return "the revocation was made for another gateway"
    same = (revocation.key, revocation.cause) == (held.key, body.cause)
    return None if same else "the revocation is of another key, or has another cause"


def _revoked_commitment(_: Leaf, shown: tuple[SubjectKeyRevoked, Revoked], __: World) -> str | None:
    body, held = shown
    if d.key_commitment(held.commitment_salt, held.key) == body.commitment:
        return None
    return "the commitment is to another key than the one that was revoked"


def _revocation_proof(leaf: Leaf, shown: tuple[SubjectKeyRevoked, Revoked], world: World) -> str | None:
    held = shown[1]
    return _signed(
        leaf, held.document, held.proof, world, o.check_revocation_proof, webauthn.check_revocation
    )


def _resumption_document(_: Leaf, shown: tuple[ConsentResumed, Resumed], world: World) -> str | None:
    body, held = shown
    resumption, grant = d.read(held.document, o.Resumption), world.granted(body.grant)
    if resumption.gateway != world.origin:
        return "the resumption was made for another gateway"
    if grant.consent_id and resumption.consent_id != grant.consent_id:
        return "the resumption is of another consent"
    if resumption.suspension != grant.suspended:
        return "the resumption is of another suspension"
    return None


def _resumption_proof(leaf: Leaf, shown: tuple[ConsentResumed, Resumed], world: World) -> str | None:
    held = shown[1]
    return _signed(
        leaf, held.document, held.proof, world, o.check_resumption_proof, webauthn.check_resumption
    )


def _withdrawal_document(_: Leaf, shown: tuple[ConsentWithdrawn, Withdrawn], world: World) -> str | None:
    body, held = shown
    if held.document is None:
        return None
    withdrawal, grant = d.read(held.document, d.Withdrawal), world.granted(body.grant)
    if withdrawal.gateway != world.origin:
        return "the withdrawal was made for another gateway"
    if grant.consent_id and withdrawal.consent_id != grant.consent_id:
        return "the withdrawal is of another consent"
    return None


def _withdrawal_proof(leaf: Leaf, shown: tuple[ConsentWithdrawn, Withdrawn], world: World) -> str | None:
    held = shown[1]
    return _signed(
        leaf, held.document, held.proof, world, d.check_withdrawal_proof, webauthn.check_withdrawal
    )


def _signed(
    leaf: Leaf,
    document: Mapping[str, Any] | None,
    proof: str | Mapping[str, Any] | None,
    world: World,
    by_jws: Check,
    by_passkey: Check,
) -> str | None:
    """What is wrong with a citizen's signature: the key is not the person's, does not act, or did not sign.

    Passed over where a key of the person is unknown, because it was sealed before this regulator was
    registered.
    """
    if document is None:
        return None
    keys = subject_of(leaf, world).keys.values()
    named = document["subject"]
    found = next((key for key in keys if key.public is not None and key.public.kid == named), None)
    if found is None or found.public is None:
        known = all(key.public is not None for key in keys)
        return "the document names another key than any of the person's" if known else None
    if not found.acts(leaf.at):
        return "the document is signed by a key that was revoked, or was not yet in effect"
    (by_jws if isinstance(proof, str) else by_passkey)(document, proof, found.public)
    return None


CERTIFICATE_WAITS = Rule("certificate-waits", _certificate_waits)
ACT_FORM = Rule("act-form", _act_form)
ORDER_DOCUMENT = Rule("order-document", _order_document)
ORDER_PERSON = Rule("order-person", _order_person)
ORDER_OFFICERS = Rule("order-officers", _order_officers)
REVOCATION_DOCUMENT = Rule("revocation-document", _revocation_document)
REVOKED_COMMITMENT = Rule("revoked-commitment", _revoked_commitment)
REVOCATION_PROOF = Rule("revocation-proof", _revocation_proof)
RESUMPTION_DOCUMENT = Rule("resumption-document", _resumption_document)
RESUMPTION_PROOF = Rule("resumption-proof", _resumption_proof)
WITHDRAWAL_DOCUMENT = Rule("withdrawal-document", _withdrawal_document)
WITHDRAWAL_PROOF = Rule("withdrawal-proof", _withdrawal_proof)

ORDER: Final = (ACT_FORM, ORDER_DOCUMENT, ORDER_PERSON, ORDER_OFFICERS)
"""Of whatever a counter may do for a citizen."""
