"""A citizen withdraws (撤回): as easy as granting (CIR art. 18; PIPL art. 15), and final.

By any live key of theirs, whichever granted; or at the counter, by two officers of their registrar.

Invariant: once `withdraw` has returned its index, no later entry discloses under that consent, because
every decision reads the grant under the same lock that this write held.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from consent.counter import CounterWithdrawal
from consent.document import Withdrawal, parse_withdrawal
from consent.errors import ForbiddenTransition, MalformedDocument
from consent.lifecycle import Event, apply
from consent.proof import verify_withdrawal
from gateway import rows
from gateway.consents import bodies, proofs
from gateway.consents.held import granted, held_grant, store_state
from gateway.errors import Rejected
from gateway.people.citizens import acts
from gateway.people.counter import Ordered, expect, person_of
from gateway.people.subjects import Subject
from gateway.tables import grants
from gateway.transaction import Transaction
from keys.canonical import canonical, parse_canonical
from keys.errors import KeysError
from ledger.log import Entry

if TYPE_CHECKING:
    from gateway.house import House


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A recorded withdrawal of one consent, by its id."""

    consent_id: str
    entry: Entry


def withdraw(house: House, body: bodies.Withdraw) -> Withdrawn:
    """Record the withdrawal that a citizen signed; sending it again gives the receipt of the first.

    What was never granted is turned away from a snapshot: a stranger with an invented id holds up nobody.
    """
    try:
        document = canonical(body.document)
        withdrawal = parse_withdrawal(document)
    except (KeysError, MalformedDocument) as error:
        raise Rejected("malformed-body", f"document: {error}") from error
    if withdrawal.gateway != house.origin:
        raise Rejected("consent-mismatch", "the withdrawal is for another gateway")
    if body.proof is None:
        raise Rejected("malformed-body", "a citizen's withdrawal comes with its proof")
    sent = body.proof
    with house.read() as conn:
        granted(house, conn, withdrawal.consent_id)
    return house.transact(lambda tx: _withdraw(tx, withdrawal, document, sent))


def withdraw_at_counter(house: House, ordered: Ordered) -> Withdrawn:
    """Record the withdrawal that two officers ordered for the consent's person; the same again as above."""
    order = expect(ordered, CounterWithdrawal)
    with house.read() as conn:
        granted(house, conn, order.consent_id)
    return house.transact(lambda tx: _withdraw_at_counter(tx, ordered, order.consent_id))


def _withdraw(tx: Transaction, withdrawal: Withdrawal, document: bytes, sent: proofs.Sent) -> Withdrawn:
    row, subject = held_grant(tx, withdrawal.consent_id)
    key, proof = proofs.by_key_of(tx, subject, withdrawal.subject, document, sent, verify_withdrawal)
    if row["state"] == "withdrawn":
        return Withdrawn(withdrawal.consent_id, tx.entry(row["changed_index"]))
    if not acts(key, tx.at):
        raise Rejected("key-not-live")
    proofs.spend(tx, proof, document)
    details = {"document": parse_canonical(document), "proof": proofs.details(proof)}
    return _record(tx, row, subject, details, None)


def _withdraw_at_counter(tx: Transaction, ordered: Ordered, consent: str) -> Withdrawn:
    person, _ = person_of(tx, ordered)
    row, subject = held_grant(tx, consent)
    if subject.subject != person.subject:
        raise Rejected("not-found", "the consent is another person's")
    if row["state"] == "withdrawn":
        return Withdrawn(consent, tx.entry(row["changed_index"]))
    return _record(tx, row, subject, ordered.details, ordered.by)


def _record(
    tx: Transaction,
    row: dict[str, Any],
    subject: Subject,
    details: dict[str, Any],
    registrar: dict[str, str] | None,
) -> Withdrawn:
    """The leaf and the row of a withdrawal, by the citizen, or by a counter of `registrar`."""
    try:
        state = apply(row["state"], Event.WITHDRAW).value
    except ForbiddenTransition as error:
        raise Rejected("already-answered", str(error)) from error
    entry = tx.append(
        "consent.withdrawn",
        {"grant": row["grant_index"], "by": "citizen" if registrar is None else "counter"},
        tag=subject.tag,
        by=registrar,
        details=details,
        about=rows.about(grants, row["consent"]),
    )
    store_state(tx, row, state, entry)
    return Withdrawn(row["consent"], entry)
