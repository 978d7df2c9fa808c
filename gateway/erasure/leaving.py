"""What goes with a person of whom everything is erased: consents, requests, keys, identity, index.

Invariant: after `take_leave` no row leads from a citizen number, a key or a tag to anything that was theirs,
so that whoever asks about them, or under an old consent, is answered as about somebody nobody knows. Ids that
must not serve twice (of queries and requests) stay, and say nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa

from consent.lifecycle import Event
from gateway import rows
from gateway.consents.ending import end_request
from gateway.consents.stored import ERASED
from gateway.erasure.refused import ErasureRefused
from gateway.events.telling import KINDS
from gateway.keyring import LINK
from gateway.query.statutory.stored import PENDING, about_query
from gateway.tables import (
    citizen_keys,
    consent_requests,
    contacts,
    expiries,
    grants,
    outbox,
    pending_queries,
    queries,
    spent_certificates,
    subject_index,
    subjects,
)
from ledger.bodies import SubjectEnrolled
from ledger.entries import parse_leaf
from ledger.rows import insert_or_nothing
from ledger.tables import ledger_leaves

if TYPE_CHECKING:
    from gateway.people.subjects import Subject
    from gateway.transaction import Transaction

LIVE = ("granted", "suspended")
"""States of a grant under which something may yet be answered."""


@dataclass(frozen=True, slots=True)
class Left:
    """What is to be forgotten outside the database: tags that were theirs, and names of their rows."""

    tags: tuple[bytes, ...]
    names: tuple[str, ...]


def require_settled(tx: Transaction, tag: bytes) -> None:
    """`ErasureRefused` while a statutory query about the person waits for its approver."""
    waits = sa.select(sa.func.count()).where(
        pending_queries.c.shard == tx.house.shard,
        pending_queries.c.tag == tag,
        pending_queries.c.state == PENDING,
    )
    if tx.conn.scalar(waits):
        raise ErasureRefused(
            "a statutory query about this person waits for its approver: run it again when that is over"
        )


def take_leave(tx: Transaction, subject: Subject) -> Left:
    """End and delete everything of a person but their records and data keys; after `record.erased`."""
    _spend_certificates(tx, subject.tag)
    consents = _end_grants(tx, subject.tag)
    requests = _empty_requests(tx, subject.tag, consents)
    pending = _drop_statutory(tx, subject.tag)
    mine = sa.select(ledger_leaves.c.idx).where(
        ledger_leaves.c.shard == tx.house.shard, ledger_leaves.c.tag == subject.tag
    )
    forget = sa.update(queries).where(queries.c.idx.in_(mine))
    tx.conn.execute(forget.values(body_mac=None, given=None, given_at=None))
    for table in (citizen_keys, contacts, outbox, subject_index, subjects):
        tx.conn.execute(sa.delete(table).where(table.c.subject == subject.subject))
    tags = {subject.tag, *(tag for tag, _ in pending)}
    return Left(tuple(sorted(tags)), (*requests, *(name for _, name in pending)))


def _spend_certificates(tx: Transaction, tag: bytes) -> None:
    """The registrar certifies who comes back anew: an old certificate would join the new tag to this one."""
    leaves = ledger_leaves.c
    mine = leaves.shard == tx.house.shard, leaves.tag == tag, leaves.type == "subject.enrolled"
    for leaf in tx.conn.scalars(sa.select(leaves.leaf).where(*mine)):
        body = parse_leaf(bytes(leaf)).body
        if isinstance(body, SubjectEnrolled):
            spent = {"sha256": bytes.fromhex(body.certificate_sha256)}
            tx.conn.execute(insert_or_nothing(tx.conn, spent_certificates, ("sha256",)).values(spent))


def _end_grants(tx: Transaction, tag: bytes) -> list[str]:
    """Every consent that is live ends with an entry, and no row of any is left; their ids."""
    held = rows.read_evident(tx.conn, grants, "tag", [tag], tx.house.shard)
    for row in held:
        rows.require_evident(tx.house.custody, grants, row)
        if row["state"] in LIVE:
            _end_grant(tx, row)
    tx.conn.execute(sa.delete(grants).where(grants.c.tag == tag))
    consents = [row["consent"] for row in held]
    tx.conn.execute(sa.delete(expiries).where(expiries.c.consent.in_(consents)))
    return consents


def _end_grant(tx: Transaction, row: dict[str, Any]) -> None:
    """The entry; its recipient is told by name, for the row is gone when events are written."""
    mark = tx.telling.mark()
    entry = tx.append(
        "consent.withdrawn",
        {"grant": row["grant_index"], "by": "erasure"},
        tag=row["tag"],
        about=rows.about(grants, row["consent"]),
    )
    tx.telling.rewind(mark)
    tx.telling.tell(row["recipient"], KINDS[entry.type], row["consent"], entry)


def _empty_requests(tx: Transaction, tag: bytes, consents: list[str]) -> list[str]:
    """Requests for their consent say nothing more; their ids stay, so that none serves twice. Their names."""
    conn, shard = tx.conn, tx.house.shard
    found = {row["request"]: row for row in rows.read_evident(conn, consent_requests, "tag", [tag], shard)}
    for row in rows.read_evident(conn, consent_requests, "consent", consents, shard):
        found[row["request"]] = row
    for row in found.values():
        rows.require_evident(tx.house.custody, consent_requests, row)
        said = row["leaf_hash"]
        if row["state"] == "requested" and row["consent"] not in consents:
            entry = end_request(tx, row, Event.LAPSE)
            row |= {"changed_index": entry.index}
            said = entry.leaf_hash
        _empty(tx, row, said)
    return sorted(found)


def _empty(tx: Transaction, row: dict[str, Any], said: bytes) -> None:
    """The row under a fresh key, with nothing in it; `said` is the hash of the leaf that last spoke of it."""
    key, wrapped = tx.house.keyring.fresh(row["tag"], LINK)
    name = UUID(row["request"]).bytes
    now = rows.columns_of(consent_requests, row) | {
        "data_key": wrapped,
        "epoch": tx.house.keyring.epoch,
        "citizen_number": key.seal("consent_requests", "citizen_number", name, b""),
        "document": key.seal("consent_requests", "document", name, b""),
        "body_mac": bytes(32),
        "state": ERASED,
    }
    changed = sa.update(consent_requests).where(consent_requests.c.request == row["request"])
    tx.conn.execute(changed.values(rows.protect(tx.house.custody, consent_requests, now, said)))


def _drop_statutory(tx: Transaction, tag: bytes) -> list[tuple[bytes, str]]:
    """Statutory queries about them, those that were deferred and are unsealed by now too: (tag, name)."""
    leaves, columns = ledger_leaves.c, pending_queries.c
    unsealed = sa.select(leaves.about).where(
        leaves.shard == tx.house.shard, leaves.tag == tag, leaves.type == "query.unsealed"
    )
    about = about_query("", "").removesuffix(":")
    named = [str(name).removeprefix(about).split(":", 1) for name in tx.conn.scalars(unsealed)]
    mine = sa.or_(
        columns.tag == tag,
        sa.tuple_(columns.institution, columns.query).in_([tuple(pair) for pair in named]),
    )
    found = tx.conn.execute(sa.select(pending_queries).where(mine, columns.state != PENDING)).all()
    tx.conn.execute(sa.delete(pending_queries).where(mine, columns.state != PENDING))
    return [(bytes(row.tag), f"{row.institution}:{row.query}") for row in found]
