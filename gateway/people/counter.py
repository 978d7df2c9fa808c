"""The counter (柜台): two officers of a registrar act for a citizen who came without key or phone.

Invariant: an order counts only by the signatures of two officers of a registrar in good standing that
certified a key of this very person, within a day of its `at`; the gateway can carry one out, never make one.
Every order that is carried out is an entry by the registrar, a mere list included, with the signed order
sealed to the regulator. To a registrar that never certified the person, nobody is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from consent.counter import (
    ORDER_MS,
    CounterListing,
    Order,
    SignedOrder,
    parse_signed_order,
    read_order,
    verify_order,
)
from consent.document import parse_consent
from consent.errors import ConsentError, MalformedDocument
from consent.lifecycle import State, state_at
from gateway import rows
from gateway.errors import EvidenceBroken, Rejected
from gateway.institutions.published import registrar_key
from gateway.institutions.standing import named, require_standing
from gateway.people.citizens import keys_of, open_key
from gateway.people.subjects import Subject, find_by_number
from gateway.tables import grants
from gateway.transaction import Nonce, Transaction
from keys.canonical import canonical, parse_canonical, sha256_hex
from keys.errors import KeysError
from keys.instant import format_instant
from keys.jws import peek_kid
from ledger.log import Entry

if TYPE_CHECKING:
    from gateway.house import House

O = TypeVar("O", bound=Order)  # noqa: E741  an order

LISTED = (State.GRANTED, State.EXHAUSTED, State.SUSPENDED)
"""What can still be withdrawn."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """An order that its officers' signatures hold for, and the number of the person it is about."""

    order: Order
    signed: SignedOrder
    citizen_number: str

    @property
    def by(self) -> dict[str, str]:
        """The `by` member of the leaves that it causes."""
        return {"registrar": self.order.registrar}

    @property
    def details(self) -> dict[str, Any]:
        """What is sealed with them."""
        return {
            "order": {
                "document": self.signed.document,
                "signatures": list(self.signed.signatures),
                "officers": list(self.signed.officers),
            },
            "citizen_number": self.citizen_number,
        }


@dataclass(frozen=True, slots=True)
class Listed:
    """What the counter was told, and the entry that says so."""

    members: dict[str, Any]
    entry: Entry


def verified(
    house: House,
    document: dict[str, Any],
    signatures: tuple[str, str],
    officers: tuple[str, str],
    citizen_number: str,
) -> Ordered:
    """An order whose signatures hold, checked before any lock. `citizen_number` is canonical.

    `Rejected`: `malformed-body`, or `counter-refused` when it is not by two officers of a registrar that is
    published here, for this gateway, of today, about this person.
    """
    try:
        read_order(document)
        sent = {"document": document, "signatures": list(signatures), "officers": list(officers)}
        signed = parse_signed_order(canonical(sent))
    except (KeysError, MalformedDocument) as error:
        raise Rejected("malformed-body", f"document: {error}") from error
    order = signed.order
    try:
        with house.read() as conn:
            registrar = registrar_key(house, conn, order.registrar)
        verify_order(signed, registrar, house.origin, house.clock())
    except ConsentError as error:
        raise Rejected("counter-refused", str(error)) from error
    except EvidenceBroken as error:
        raise Rejected("counter-refused", "the registrar is not known here") from error
    if not order.is_of(citizen_number):
        raise Rejected("counter-refused", "the order is about another person")
    return Ordered(order, signed, citizen_number)


def person_of(tx: Transaction, ordered: Ordered) -> tuple[Subject, list[dict[str, Any]]]:
    """The person whom an order is about and the rows of their keys, under the lock.

    `Rejected` when the registrar does not stand, or never certified a key of this person.
    """
    order = ordered.order
    require_standing(tx, order.registrar, "registrar")
    _require_in_force(tx, ordered)
    if not order.at <= tx.at < order.at + ORDER_MS:
        raise Rejected("counter-refused", "the order was made more than a day ago")
    subject = find_by_number(tx.house, tx.conn, ordered.citizen_number)
    keys = keys_of(tx.house, tx.conn, subject)
    if not any(key["registrar"] == order.registrar for key in keys):
        raise Rejected("counter-refused", "no key of this person was certified by this registrar")
    return subject, keys


def _require_in_force(tx: Transaction, ordered: Ordered) -> None:
    """`Rejected` when the registrar's key behind the officers was rotated or revoked since it was checked."""
    try:
        key = registrar_key(tx.house, tx.conn, ordered.order.registrar)
    except EvidenceBroken as error:
        raise Rejected("counter-refused", "the registrar has no key in force") from error
    if any(peek_kid(token) != key.kid for token in ordered.signed.officers):
        raise Rejected("counter-refused", "the officers were certified under a key that was replaced")


def list_consents(house: House, ordered: Ordered) -> Listed:
    """Keys and live consents of the person before the officers; an entry, and each order serves once."""
    order = expect(ordered, CounterListing)
    nonce = Nonce(
        f"counter:{order.registrar}", sha256_hex(canonical(ordered.signed.document)), order.at + ORDER_MS
    )

    def act(tx: Transaction) -> Listed:
        subject, keys = person_of(tx, ordered)
        entry = tx.append(
            "subject.read",
            {"what": "consents-at-counter"},
            tag=subject.tag,
            by=ordered.by,
            details=ordered.details,
        )
        consents = _consents(tx, subject)
        members = {
            "type": "chengxin/counter-consents/v1",
            "as_of": format_instant(tx.at),
            "index": entry.index,
            "keys": [describe_key(subject, key) for key in keys],
            "consents": consents,
        }
        return Listed(members, entry)

    return house.transact(act, nonce=nonce)


def describe_key(subject: Subject, row: dict[str, Any]) -> dict[str, Any]:
    """One of a person's keys in plain members, for that person or at the counter."""
    return {
        "key": open_key(subject.link, row).kid,
        "state": row["state"],
        "effective": format_instant(row["effective"]),
        "registrar": row["registrar"],
        "index": row["changed_index"],
    }


def _consents(tx: Transaction, subject: Subject) -> list[dict[str, Any]]:
    """What stands or could stand again: nothing of what was disclosed under it, nor of any record."""
    names, listed = named(tx.conn), []
    for row in rows.read_evident(tx.conn, grants, "tag", [subject.tag], tx.house.shard):
        rows.require_evident(tx.house.custody, grants, row)
        sealed = subject.link.open("grants", "document", row["consent"].encode(), row["document"])
        consent = parse_consent(sealed)
        state = state_at(row["state"], consent, row["uses"], tx.at)
        if state in LISTED:
            document = parse_canonical(sealed)
            listed.append(
                {
                    "consent_id": consent.consent_id,
                    "state": state.value,
                    "recipient_name": names.get(consent.recipient, ""),
                }
                | {name: document[name] for name in _TOLD}
            )
    return listed


_TOLD = ("recipient", "purpose", "categories", "not_before", "not_after")


def expect(ordered: Ordered, kind: type[O]) -> O:
    """The order as one of this kind. `Rejected` (`malformed-body`) when it is another."""
    if not isinstance(ordered.order, kind):
        raise Rejected("malformed-body", "document: an order of another kind")
    return ordered.order
