"""A citizen withdraws (撤回): as easy as granting (CIR art. 18; PIPL art. 15), and final.

Invariant: once `withdraw` has returned its index, no later entry discloses under that consent, because
every decision reads the grant under the same lock that this write held.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from consent.document import Withdrawal, parse_withdrawal
from consent.errors import BadProof, ForbiddenTransition, MalformedDocument
from consent.lifecycle import Event, apply
from consent.proof import verify_withdrawal
from gateway import rows
from gateway.consents import bodies, proofs
from gateway.consents.held import granted, held_grant
from gateway.errors import EvidenceBroken, Rejected
from gateway.people.citizens import key_of, open_key
from gateway.people.subjects import Subject
from gateway.tables import grants
from gateway.transaction import Transaction
from keys.canonical import canonical, parse_canonical
from keys.errors import KeysError
from keys.signing import PublicKey
from ledger.log import Entry

if TYPE_CHECKING:
    from gateway.house import House


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A recorded withdrawal."""

    withdrawal: Withdrawal
    entry: Entry


def withdraw(house: House, body: bodies.Withdraw) -> Withdrawn:
    """Record one withdrawal; sending it again gives the receipt of the first.

    What was never granted is turned away from a snapshot: a stranger with an invented id holds up nobody.
    """
    try:
        document = canonical(body.document)
        withdrawal = parse_withdrawal(document)
    except (KeysError, MalformedDocument) as error:
        raise Rejected("malformed-body", f"document: {error}") from error
    if withdrawal.gateway != house.origin:
        raise Rejected("consent-mismatch", "the withdrawal is for another gateway")
    with house.read() as conn:
        granted(house, conn, withdrawal.consent_id)
    return house.transact(lambda tx: _withdraw(tx, withdrawal, document, body.proof))


def _withdraw(tx: Transaction, withdrawal: Withdrawal, document: bytes, sent: proofs.Sent) -> Withdrawn:
    row, subject = held_grant(tx, withdrawal.consent_id)
    key = _key(tx, subject)
    proof = proofs.kept(tx.house, sent, key)
    if not hmac.compare_digest(key.kid, withdrawal.subject):
        raise Rejected("bad-proof", "the withdrawal is not by this person's live key")
    try:
        verify_withdrawal(document, proof, key)
    except (BadProof, KeysError) as error:
        raise Rejected("bad-proof", "the withdrawal's signature does not verify") from error
    if row["state"] == "withdrawn":
        return Withdrawn(withdrawal, tx.entry(row["changed_index"]))
    try:
        state = apply(row["state"], Event.WITHDRAW).value
    except ForbiddenTransition as error:
        raise Rejected("already-answered", str(error)) from error
    proofs.spend(tx, proof, document)
    entry = tx.append(
        "consent.withdrawn",
        {"grant": row["grant_index"], "by": "citizen"},
        tag=subject.tag,
        details={"document": parse_canonical(document), "proof": proofs.details(proof)},
        about=rows.about(grants, withdrawal.consent_id),
    )
    _store(tx, row, state, entry)
    return Withdrawn(withdrawal, entry)


def _store(tx: Transaction, row: dict[str, Any], state: str, entry: Entry) -> None:
    changed = tx.protect(grants, rows.columns_of(grants, row) | {"state": state}, entry)
    tx.conn.execute(sa.update(grants).where(grants.c.consent == row["consent"]).values(**changed))


def _key(tx: Transaction, subject: Subject) -> PublicKey:
    row = key_of(tx.house, tx.conn, subject)
    if row is None:
        raise EvidenceBroken("a grant without an enrolled key")
    return open_key(subject.link, row)
