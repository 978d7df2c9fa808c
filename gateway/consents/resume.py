"""A citizen confirms a suspended consent (恢复): from the entry on it is answered under as before.

Invariant: only a live key of the consent's person resumes it, and only the suspension that the signed
document names; what was signed for one suspension never ends a later one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from consent.document import parse_consent
from consent.errors import ForbiddenTransition, MalformedDocument
from consent.lifecycle import Event, apply, state_at
from consent.proof import verify_resumption
from consent.revocation import Resumption, parse_resumption
from gateway import rows
from gateway.consents import bodies, proofs
from gateway.consents.held import granted, held_grant, store_state
from gateway.errors import Rejected
from gateway.people.citizens import acts
from gateway.tables import grants
from gateway.transaction import Transaction
from keys.canonical import canonical, parse_canonical
from keys.errors import KeysError
from ledger.log import Entry

if TYPE_CHECKING:
    from gateway.house import House


@dataclass(frozen=True, slots=True)
class Resumed:
    """A recorded resumption."""

    resumption: Resumption
    entry: Entry


def resume(house: House, body: bodies.Resume) -> Resumed:
    """Record one resumption. What was never granted is turned away from a snapshot, as of a withdrawal."""
    try:
        document = canonical(body.document)
        resumption = parse_resumption(document)
    except (KeysError, MalformedDocument) as error:
        raise Rejected("malformed-body", f"document: {error}") from error
    if resumption.gateway != house.origin:
        raise Rejected("consent-mismatch", "the resumption is for another gateway")
    with house.read() as conn:
        granted(house, conn, resumption.consent_id)
    return house.transact(lambda tx: _resume(tx, resumption, document, body.proof))


def _resume(tx: Transaction, resumption: Resumption, document: bytes, sent: proofs.Sent) -> Resumed:
    row, subject = held_grant(tx, resumption.consent_id)
    key, proof = proofs.by_key_of(tx, subject, resumption.subject, document, sent, verify_resumption)
    if not acts(key, tx.at):
        raise Rejected("key-not-live")
    sealed = subject.link.open("grants", "document", row["consent"].encode(), row["document"])
    try:
        state = apply(state_at(row["state"], parse_consent(sealed), row["uses"], tx.at), Event.RESUME)
    except ForbiddenTransition as error:
        raise Rejected("already-answered", str(error)) from error
    if resumption.suspension != row["changed_index"]:
        raise Rejected("consent-mismatch", "the resumption is of another suspension")
    proofs.spend(tx, proof, document)
    entry = tx.append(
        "consent.resumed",
        {"grant": row["grant_index"], "by": "citizen"},
        tag=subject.tag,
        details={"document": parse_canonical(document), "proof": proofs.details(proof)},
        about=rows.about(grants, resumption.consent_id),
    )
    store_state(tx, row, state.value, entry)
    return Resumed(resumption, entry)
