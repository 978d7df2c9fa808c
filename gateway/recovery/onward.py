"""What the gateway itself says once the missing leaves are back: that the log was recovered, and how it is.

Invariant: it is said in the transaction that put the leaves back, behind them, by this gateway's own keys.
What the lost part erased is erased again, every person of whom it spoke is stated anew as they are held, no
certificate of it enrols anybody, quotas count what was asked in it, and no number of an event is told twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gateway import policies
from gateway.erasure.holds import close_again
from gateway.erasure.order import erase_again
from gateway.errors import EvidenceBroken
from gateway.keyring import LINK
from gateway.people.subjects import Subject, tag_lookups
from gateway.query.quota import Charge, recount
from gateway.records.holdings import batches_of, is_whole
from gateway.records.restate import restate
from gateway.records.store import revisions_of
from gateway.tables import events, spent_certificates, subjects
from gateway.transaction import Transaction
from keys.canonical import unb64u
from keys.instant import parse_instant
from ledger.bodies import Answered, CaseClosed, RecordErased, SubjectEnrolled
from ledger.entries import Leaf, format_leaf
from ledger.log import Head
from ledger.merkle import leaf_hash
from ledger.rows import insert_or_nothing

if TYPE_CHECKING:
    from gateway.house import House

LEAP = 1 << 20
"""By so much the numbers of events go on, so that none that was told before is told again as another one."""


def go_on(house: House, conn: sa.Connection, after: Head, missing: list[Leaf], since: int) -> int:
    """What this gateway itself has to say: that it recovered, and what it holds of everybody concerned."""
    policy = policies.load(conn, missing[-1].policy)
    tx = Transaction(house, conn, after, max(house.clock(), after.at), policy)
    for leaf in missing:
        if isinstance(leaf.body, CaseClosed):
            close_again(tx, leaf.body.case, leaf.index, leaf_hash(format_leaf(leaf)))
    _spend_certificates(conn, missing)
    entry = tx.append("log.recovered", {"since": since, "size": after.size})
    _restate(tx, missing, since)
    recount(
        tx, [(asked, at) for leaf in missing if (asked := _charge(leaf)) for at in (parse_instant(leaf.at),)]
    )
    _leap(conn, house.origin, entry.index, tx.at)
    tx.appender.flush()
    return entry.index


def _restate(tx: Transaction, missing: list[Leaf], since: int) -> None:
    """Erase again what was erased, and state anew the records of everybody of whom the lost part spoke."""
    concerned: dict[bytes, list[tuple[int, RecordErased]]] = {}
    for leaf in missing:
        if leaf.type.startswith("record.") and leaf.subject is not None:
            erased = concerned.setdefault(unb64u(leaf.subject.tag), [])
            if isinstance(leaf.body, RecordErased):
                erased.append((leaf.index, leaf.body))
    then = batches_of(tx.house, tx.conn, concerned, before=since)
    for tag, erased in concerned.items():
        person = _person(tx, tag)
        if person is None:
            continue  # all of this person came after the backup, and is void
        held = revisions_of(tx.conn, person.subject)
        if not is_whole(tx.house, then.get(tag, {}), held):
            raise EvidenceBroken("a person's records in the backup are not what the ledger says of them")
        kept: list[dict[str, Any]] | None = [row.as_dict() for row in held]
        if erased:
            kept = erase_again(tx, person, erased, tx.at)
        if kept is not None:
            restate(tx, person.subject, person.tag, kept, "recovery")


def _person(tx: Transaction, tag: bytes) -> Subject | None:
    """The subject of a tag, by its look-up alone: the keys of one who was erased may open no more."""
    found = tag_lookups(tx.house.custody, tag).values()
    wanted = sa.select(subjects.c.subject).where(subjects.c.tag_lookup.in_(found))
    subject = tx.conn.scalar(wanted)
    if subject is None:
        return None
    return Subject(subject, tag, tx.house.keyring.fresh(subject, LINK)[0], known=True)


def _spend_certificates(conn: sa.Connection, missing: list[Leaf]) -> None:
    """No certificate of a lost enrolment serves again: its key may have been revoked in the lost part."""
    spent = [
        {"sha256": bytes.fromhex(leaf.body.certificate_sha256)}
        for leaf in missing
        if isinstance(leaf.body, SubjectEnrolled)
    ]
    if spent:
        conn.execute(insert_or_nothing(conn, spent_certificates, ("sha256",)), spent)


def _charge(leaf: Leaf) -> Charge | None:
    """What a leaf counts as, for quotas (`gateway.query.quota`)."""
    body: Any = leaf.body
    if leaf.by is None or leaf.by.institution is None or leaf.by.operator is None:
        return None
    counted = (
        (isinstance(body, Answered) and body.statute is None)
        or leaf.type in ("consent.requested", "query.pending", "query.redelivered")
        or (leaf.type == "query.refused" and body.pending is None)
    )
    return Charge(leaf.by.institution, leaf.by.operator, getattr(body, "purpose", "")) if counted else None


def _leap(conn: sa.Connection, origin: str, index: int, at: int) -> None:
    """Have every institution's events go on far beyond what it may have been told, from this one on."""
    last = sa.select(events.c.institution, sa.func.max(events.c.seq).label("seq")).group_by(
        events.c.institution
    )
    told = [
        {
            "institution": row.institution,
            "seq": row.seq + LEAP,
            "kind": "recovered",
            "name": origin,
            "idx": index,
            "at": at,
        }
        for row in conn.execute(last)
    ]
    if told:
        conn.execute(events.insert(), told)
