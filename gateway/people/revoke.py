"""A citizen's key ends (密钥作废): lost, compromised, or refused before it took effect.

Invariant: from the entry on the key acts no more, because every act reads it under the lock that this write
held. What was granted under a key that is lost still stands; what was granted under one that is compromised
is suspended in the same transaction, each by an entry of its own, until its citizen confirms it by another.
A key is revoked once; only one that was lost may still be found compromised.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from consent.counter import CounterRevocation
from consent.document import parse_consent
from consent.errors import MalformedDocument
from consent.lifecycle import Event, State, apply, state_at
from consent.proof import verify_revocation
from consent.revocation import Cause, KeyRevocation, parse_revocation
from gateway import rows
from gateway.consents import bodies, proofs
from gateway.consents.held import store_state
from gateway.errors import EvidenceBroken, Rejected
from gateway.people.citizens import (
    LIVE,
    acts,
    key_by_thumbprint,
    key_named,
    open_commitment_salt,
    open_key,
)
from gateway.people.counter import Ordered, expect, person_of
from gateway.people.subjects import Subject, find_by_id
from gateway.tables import citizen_keys, grants
from gateway.transaction import Transaction
from keys.canonical import b64u, canonical, parse_canonical
from keys.errors import KeysError
from ledger.log import Entry
from ledger.tables import ledger_leaves

if TYPE_CHECKING:
    from gateway.house import House

GRANTING = ("consent.carried", "consent.granted")
"""Leaves that make a grant."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """One key that ended: its thumbprint, its entry, how many consents were suspended with it."""

    key: str
    entry: Entry
    suspended: int


@dataclass(frozen=True, slots=True)
class _Said:
    """Who ended a key, and what shows it."""

    cause: Cause
    by: dict[str, str] | None
    details: dict[str, Any]


def revoke(house: House, body: bodies.Revoke) -> Revoked:
    """Record the revocation that a citizen signed; sending it again gives the first entry.

    What names no key known here is turned away from a snapshot: a stranger holds up nobody.
    """
    try:
        document = canonical(body.document)
        said = parse_revocation(document)
    except (KeysError, MalformedDocument) as error:
        raise Rejected("malformed-body", f"document: {error}") from error
    if said.gateway != house.origin:
        raise Rejected("bad-proof", "the revocation is for another gateway")
    if body.proof is None:
        raise Rejected("malformed-body", "a citizen's revocation comes with its proof")
    sent = body.proof
    with house.read() as conn:
        _known(house, conn, said.key)
    return house.transact(lambda tx: _revoke(tx, said, document, sent))


def revoke_at_counter(house: House, ordered: Ordered) -> list[Revoked]:
    """Record the revocation that two officers ordered: of the key it names, or of every key of the person
    that was enrolled before the order; sending it again changes nothing.
    """
    order = expect(ordered, CounterRevocation)
    return house.transact(lambda tx: _revoke_at_counter(tx, ordered, order))


def _known(house: House, conn: sa.Connection, thumbprint: str) -> dict[str, Any]:
    row = key_by_thumbprint(house, conn, thumbprint)
    if row is None:
        raise Rejected("not-found", "no such key is enrolled")
    return row


def _revoke(tx: Transaction, said: KeyRevocation, document: bytes, sent: proofs.Sent) -> Revoked:
    row = _known(tx.house, tx.conn, said.key)
    subject = find_by_id(tx.house, tx.conn, row["subject"])
    signer, proof = proofs.by_key_of(tx, subject, said.subject, document, sent, verify_revocation)
    if row["state"] == said.cause:
        return Revoked(said.key, tx.entry(row["changed_index"]), 0)
    if not acts(signer, tx.at):
        raise Rejected("key-not-live")
    if said.cause == "refused" and acts(row, tx.at):
        raise Rejected("key-in-effect")
    _require_open(row, said.cause)
    proofs.spend(tx, proof, document)
    details = {"document": parse_canonical(document), "proof": proofs.details(proof)}
    return _end(tx, subject, row, _Said(said.cause, None, details))


def _revoke_at_counter(tx: Transaction, ordered: Ordered, order: CounterRevocation) -> list[Revoked]:
    subject, keys = person_of(tx, ordered)
    said = _Said(order.cause, ordered.by, ordered.details)
    if order.key is not None:
        row = key_named(tx.house, keys, order.key)
        if row is None:
            raise Rejected("not-found", "this person has no such key")
        if row["state"] == order.cause:
            return [Revoked(order.key, tx.entry(row["changed_index"]), 0)]
        _require_open(row, order.cause)
        return [_end(tx, subject, row, said)]
    ended = []
    for row in keys:
        last = tx.entry(row["changed_index"])  # of a live key, its enrolment
        if row["state"] == order.cause:
            ended.append(Revoked(open_key(subject.link, row).kid, last, 0))
        elif _is_open(row, order.cause) and (row["state"] != LIVE or last.at < order.at):
            ended.append(_end(tx, subject, row, said))
    if not ended:
        raise Rejected("not-found", "this person had no key when the order was made")
    return ended


def _is_open(row: Any, cause: Cause) -> bool:
    return row["state"] == LIVE or (row["state"], cause) == ("lost", "compromised")


def _require_open(row: Any, cause: Cause) -> None:
    if not _is_open(row, cause):
        raise Rejected("already-answered", "the key was revoked before")


def _end(tx: Transaction, subject: Subject, row: Any, said: _Said) -> Revoked:
    """The leaf of a key's end, its row, and for a compromised key the suspension of what it granted."""
    key = open_key(subject.link, row).kid
    salt = open_commitment_salt(subject.link, row)
    entry = tx.append(
        "subject.key_revoked",
        {
            "commitment": row["about"],
            "cause": said.cause,
            "by": "citizen" if said.by is None else "counter",
        },
        tag=subject.tag,
        by=said.by,
        details=said.details | {"key": key, "commitment_salt": b64u(salt)},
        about=rows.about(citizen_keys, row["about"]),
    )
    changed = tx.protect(citizen_keys, rows.columns_of(citizen_keys, row) | {"state": said.cause}, entry)
    tx.conn.execute(
        sa.update(citizen_keys).where(citizen_keys.c.kid_lookup == row["kid_lookup"]).values(**changed)
    )
    suspended = _suspend(tx, subject, key, entry) if said.cause == "compromised" else 0
    return Revoked(key, entry, suspended)


def _suspend(tx: Transaction, subject: Subject, key: str, revoked: Entry) -> int:
    """Suspend every consent that this key signed and that stands; how many. All of them, or nothing is done.

    `EvidenceBroken` when a grant's row is not what the ledger says: one taken away would escape.
    """
    held = rows.read_evident(tx.conn, grants, "tag", [subject.tag], tx.house.shard)
    if len(held) < _granted(tx, subject):
        raise EvidenceBroken("the ledger holds a grant whose row is gone")
    suspended = 0
    for row in held:
        rows.require_evident(tx.house.custody, grants, row)
        sealed = subject.link.open("grants", "document", row["consent"].encode(), row["document"])
        consent = parse_consent(sealed)
        state = state_at(row["state"], consent, row["uses"], tx.at)
        if consent.subject != key or state not in (State.GRANTED, State.EXHAUSTED):
            continue
        entry = tx.append(
            "consent.suspended",
            {"grant": row["grant_index"], "cause": "key-compromised", "key": revoked.index},
            tag=subject.tag,
            about=rows.about(grants, row["consent"]),
        )
        store_state(tx, row, apply(state, Event.SUSPEND).value, entry)
        suspended += 1
    return suspended


def _granted(tx: Transaction, subject: Subject) -> int:
    leaves = ledger_leaves.c
    found = tx.conn.execute(
        sa.select(sa.func.count()).where(
            leaves.shard == tx.house.shard,
            leaves.tag == subject.tag,
            leaves.type.in_(GRANTING),
            leaves.about.startswith(rows.about(grants, "")),  # no void one, which came back without its row
        )
    )
    return int(found.scalar_one())
