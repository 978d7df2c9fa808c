"""A citizen grants: the signed document becomes a grant, and with a certificate the key is enrolled first.

Invariant: a grant exists only for a document that its recipient asked for, signed by a key that the
registrar certified for that very person. Whether a request was granted is what the ledger says (a leaf
about its consent), not a column of the request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from consent.asks import Refuse
from consent.decision import decide_grant
from consent.document import Consent, consent_hash, format_consent, narrowed, parse_consent
from consent.enrolment import Certificate, parse_certificate
from consent.errors import MalformedDocument
from consent.proof import Proof, format_proof, parse_proof, proof_kind, proof_sha256
from gateway import rows
from gateway.consents import bodies, proofs
from gateway.consents.held import held_grant
from gateway.consents.stored import lost_consent, open_request, request_row
from gateway.errors import EvidenceBroken, Rejected
from gateway.institutions.published import certified_under, certifying_key
from gateway.institutions.standing import require_standing
from gateway.people.citizens import (
    Enrolled,
    acts,
    enrol,
    key_by_thumbprint,
    open_certificate,
    open_commitment_salt,
    open_key,
)
from gateway.people.subjects import find_by_number
from gateway.tables import grants
from gateway.transaction import Transaction
from keys.canonical import b64u, canonical, parse_canonical
from keys.errors import KeysError
from keys.instant import format_instant
from ledger.log import Entry

if TYPE_CHECKING:
    import sqlalchemy as sa

    from gateway.house import House


@dataclass(frozen=True, slots=True)
class Granted:
    """A recorded grant."""

    consent: Consent
    entry: Entry


@dataclass(frozen=True, slots=True)
class Signed:
    """A grant as it was sent: the document, parsed and as bytes, its proof, a certificate if one came."""

    consent: Consent
    document: bytes
    proof: proofs.Sent
    certificate: Certificate | None


def parse_grant(body: bodies.Grant) -> Signed:
    """The signed consent of a body; `Rejected` when document or certificate is not of its form."""
    try:
        document = canonical(body.document)
        consent = parse_consent(document)
    except (KeysError, MalformedDocument) as error:
        raise Rejected("malformed-body", f"document: {error}") from error
    certificate = None if body.certificate is None else certificate_of(body.certificate)
    return Signed(consent, document, body.proof, certificate)


def certificate_of(members: dict[str, Any]) -> Certificate:
    """The certificate of a body; `Rejected` when it is not of its form."""
    try:
        return parse_certificate(canonical(members))
    except (KeysError, MalformedDocument) as error:
        raise Rejected("bad-certificate", f"certificate: {error}") from error


def grant(house: House, signed: Signed) -> Granted:
    """Record one grant; sending the same grant again gives the same receipt.

    What nobody asked for is turned away from a snapshot: a stranger with an invented id holds up nobody. Ids
    are random, and known only to who was told them, so that this tells a stranger nothing.
    """
    with house.read() as conn:
        _asked_for(house, conn, signed.consent.consent_id)
    return house.transact(lambda tx: _grant(tx, signed))


def _grant(tx: Transaction, signed: Signed) -> Granted:
    house, consent = tx.house, signed.consent
    request = _asked_for(house, tx.conn, consent.consent_id)
    template, number = open_request(house, request)
    if tx.latest(rows.about(grants, consent.consent_id)) is not None:
        return _again(tx, signed)
    if request["state"] != "requested":
        raise Rejected("already-answered")
    if tx.latest(lost_consent(consent_hash(signed.document).hex())) is not None:
        raise Rejected("request-lapsed", "this consent was lost with a database that was put back: ask anew")
    if tx.at >= request["lapses_at"] or tx.at >= consent.not_after:
        raise Rejected("request-lapsed")
    try:
        narrowed(template, consent, tx.policy.needed(consent.purpose, consent.answer))
    except MalformedDocument as error:
        raise Rejected("consent-mismatch", str(error)) from error
    ruling = decide_grant(consent, tx.policy, tx.at)
    if isinstance(ruling, Refuse):
        raise Rejected(ruling.reason.value)
    require_standing(tx, consent.recipient, "query")
    enrolled = _enrolled(tx, signed, number)
    proof = proofs.kept(house, signed.proof, open_key(enrolled.subject.link, enrolled.row))
    _verify(tx, signed.document, proof, enrolled)
    if not acts(enrolled.row, tx.at):
        raise Rejected("key-not-live")
    proofs.spend(tx, proof, signed.document)
    return _record(tx, signed, proof, enrolled)


def _asked_for(house: House, conn: sa.Connection, consent: str) -> dict[str, Any]:
    request = request_row(house, conn, "consent", consent)
    if request is None:
        raise Rejected("consent-mismatch", "no such consent was asked for")
    return request


def _enrolled(tx: Transaction, signed: Signed, number: str) -> Enrolled:
    """The person's key: enrolled now with the certificate that came along, or held already.

    Whoever signs with a key that is not this person's, as the bank that asked could, gets one answer by one
    path, whether the person is enrolled, merely known, or nobody.
    """
    if signed.certificate is not None:
        return enrol(tx, signed.certificate, number)
    subject = find_by_number(tx.house, tx.conn, number)
    row = key_by_thumbprint(tx.house, tx.conn, signed.consent.subject)
    if row is None or not subject.known or row["subject"] != subject.subject:
        raise Rejected(
            "bad-certificate", "no key is enrolled for this person: send the enrolment certificate"
        )
    return Enrolled(subject, row, None)


def _verify(tx: Transaction, document: bytes, proof: Proof, enrolled: Enrolled) -> None:
    """The citizen's proof under the stored certificate, exactly as every later query will check it."""
    house = tx.house
    certificate = open_certificate(enrolled.subject.link, enrolled.row)
    registrar = certifying_key(house, tx.conn, enrolled.row["registrar"], certified_under(certificate))
    try:
        house.evidence.verify(document, format_proof(proof), certificate, registrar)
    except EvidenceBroken as error:
        raise Rejected(
            "bad-proof", "the proof is not by this person's certified key over this document"
        ) from error


def _record(tx: Transaction, signed: Signed, proof: Proof, enrolled: Enrolled) -> Granted:
    consent, subject = signed.consent, enrolled.subject
    entry = tx.append(
        "consent.granted",
        leaf_body(consent, signed.document, proof, enrolled.row["about"]),
        tag=subject.tag,
        details={
            "document": parse_canonical(signed.document),
            "proof": proofs.details(proof),
            "commitment_salt": b64u(open_commitment_salt(subject.link, enrolled.row)),
            "certificate": parse_canonical(open_certificate(subject.link, enrolled.row)),
        },
        about=rows.about(grants, consent.consent_id),
    )
    name = consent.consent_id.encode()
    row = {
        "consent": consent.consent_id,
        "shard": tx.house.shard,
        "tag": subject.tag,
        "recipient": consent.recipient,
        "document": subject.link.seal("grants", "document", name, signed.document),
        "proof": subject.link.seal("grants", "proof", name, format_proof(proof).encode()),
        "grant_index": entry.index,
        "state": "granted",
        "uses": 0,
    }
    tx.conn.execute(grants.insert(), tx.protect(grants, row, entry))
    return Granted(consent, entry)


def leaf_body(consent: Consent, document: bytes, proof: Proof, commitment: str) -> dict[str, Any]:
    """What `consent.granted` says of a consent; `commitment` (hex) is that of the key it is signed with."""
    return {
        "consent_hash": consent_hash(document).hex(),
        "recipient": consent.recipient,
        "purpose": consent.purpose,
        "categories": list(consent.categories),
        "answer": consent.answer,
        "not_before": format_instant(consent.not_before),
        "not_after": format_instant(consent.not_after),
        "max_uses": consent.max_uses,
        "retention_days": consent.retention_days,
        "commitment": commitment,
        "proof_sha256": proof_sha256(proof, document),
        "kind": proof_kind(proof),
    }


def _again(tx: Transaction, signed: Signed) -> Granted:
    """The same grant, sent again by a phone that lost the reply: its entry. Anything else is refused."""
    row, subject = held_grant(tx, signed.consent.consent_id)
    name = signed.consent.consent_id.encode()
    document = subject.link.open("grants", "document", name, row["document"])
    proof = parse_proof(subject.link.open("grants", "proof", name, row["proof"]).decode())
    if document != format_consent(signed.consent) or not proofs.is_same(proof, signed.proof):
        raise Rejected("already-answered")
    return Granted(signed.consent, tx.entry(row["grant_index"]))
