"""Correction (更正, CIR art. 25): a source replaces what it said before, and who was told of it hears so.

Invariant: a correction is an act of its own. It names a record that is held, by (source, reference), for the
same person; the old revision leaves the store, the new one takes its place under the same id, and leaf
(`record.corrected`), restatement, rows and events commit together. A person whose rows are not whole is not
touched. What is unchanged stays as it is, so a rerun changes nothing.
"""

from __future__ import annotations

import hmac
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from gateway.errors import EvidenceBroken, LedgerUnavailable
from gateway.events.corrections import Correction, tell_answered
from gateway.institutions.standing import require_standing
from gateway.people.subjects import Subject, find_by_number
from gateway.records.columns import Refusal
from gateway.records.holdings import Batches, batches_of, is_whole
from gateway.records.ingest import (
    Progress,
    chunks,
    content_mac,
    reference_lookups,
    require_source,
    shown_until,
)
from gateway.records.report import ImportReport, Tally
from gateway.records.restate import restate
from gateway.records.rows import Record, record_body
from gateway.records.rules import Rule
from gateway.records.store import OF_MANY
from gateway.tables import records
from keys.canonical import b64u, canonical, sha256, sha256_hex
from ledger.exchange import run
from ledger.fixed import Call, Row

if TYPE_CHECKING:
    from gateway.house import House
    from gateway.transaction import Transaction

SALT_SIZE: Final = 16
ATTEMPTS: Final = 3

_HELD: Final = sa.select(records).where(
    records.c.reference_lookup.in_(sa.bindparam("lookups", expanding=True))
)


@dataclass(frozen=True, slots=True)
class _Change:
    """One record to be replaced: the row as it stood when this was made ready, and what changes of it."""

    subject: Subject
    before: sa.Row[Any] = field(repr=False)
    after: dict[str, Any] = field(repr=False)


@dataclass(slots=True)
class _Sifted:
    """A chunk's records by what the store holds of them."""

    changed: list[Record] = field(default_factory=list)
    same: list[Record] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    changes: list[_Change] = field(default_factory=list)


def correct(
    house: House, source: str, examined: Iterable[Record | Refusal], authority: str, progress: Progress
) -> ImportReport:
    """Replace the records that changed; `authority` is the ground, as a code. A bad row raises nothing.

    `progress` is told the line after each chunk. `EvidenceBroken` for a person whose rows are not whole.
    """
    tally = Tally(source)
    require_source(house, source)
    for chunk in chunks(examined):
        for refusal in (one for one in chunk if isinstance(one, Refusal)):
            tally.refuse(refusal)
        accepted = [one for one in chunk if isinstance(one, Record)]
        _count(_correct_chunk(house, source, accepted, authority), tally)
        progress(max(one.line for one in chunk))
    return tally.report()


def _count(sifted: _Sifted, tally: Tally) -> None:
    for record in sifted.changed:
        tally.accept(record)
    for record in sifted.same:
        tally.keep(record)
    for refusal in sifted.refused:
        tally.refuse(refusal)


def _correct_chunk(house: House, source: str, chunk: list[Record], authority: str) -> _Sifted:
    """One chunk; made ready again should anything of it have changed meanwhile."""
    for _ in range(ATTEMPTS):
        sifted = _sift(house, chunk)
        write = partial(_write, source=source, authority=authority, changes=sifted.changes)
        if not sifted.changes or house.transact(write):
            return sifted
    raise LedgerUnavailable("these records are being changed by others: run the correction again")


def _sift(house: House, chunk: list[Record]) -> _Sifted:
    """Which records of a chunk are held with other content; the rows to be are encrypted outside the lock."""
    sifted = _Sifted()
    lookups = {tuple(reference_lookups(house, record).values()): record for record in chunk}
    with house.read() as conn:
        wanted = sorted({one for sought in lookups for one in sought})
        held = {row.reference_lookup: row for row in conn.execute(_HELD, {"lookups": wanted})}
        for sought, record in lookups.items():
            row = next((held[one] for one in sought if one in held), None)
            if row is None:
                sifted.refused.append(Refusal(record.line, "reference", Rule.UNKNOWN_REFERENCE))
            elif hmac.compare_digest(row.content_mac, content_mac(house, record)):
                sifted.same.append(record)
            elif (subject := find_by_number(house, conn, record.person)).subject != row.subject:
                sifted.refused.append(Refusal(record.line, "reference", Rule.ANOTHER_PERSON))
            else:
                sifted.changed.append(record)
                sifted.changes.append(_Change(subject, row, _replaced(house, conn, row, record)))
    return sifted


def _replaced(house: House, conn: sa.Connection, row: sa.Row[Any], record: Record) -> dict[str, Any]:
    """What changes of the row with the new content, under the same id and the same retention class."""
    category = house.policy.category(record.category)
    if category is None:
        raise LookupError("an examined record has a category of the catalogue")
    key = house.keyring.open(conn, row.subject, (row.klass,))[row.klass]
    body = key.seal("records", "body", row.record, canonical(record_body(record)))
    return {
        "content_mac": content_mac(house, record),
        "body": body,
        "revision_hash": sha256(body),
        "shown_until": shown_until(record, category.term_years),
    }


def _write(tx: Transaction, source: str, authority: str, changes: Sequence[_Change]) -> bool:
    """Under the lock: every change, or none and False when a row is no longer as it was found."""
    require_standing(tx, source, "source")
    tags = {change.subject.subject: change.subject.tag for change in changes}
    held: dict[bytes, list[Row]] = defaultdict(list)
    [stored] = run(tx.conn, [Call(OF_MANY, {"subjects": sorted(tags)})])
    for row in stored:
        held[row.subject].append(row)
    now = {row.record: row.revision_hash for rows in held.values() for row in rows}
    if any(now.get(change.before.record) != change.before.revision_hash for change in changes):
        return False
    said = batches_of(tx.house, tx.conn, tags.values())
    if not all(is_whole(tx.house, said.get(tag, {}), held[subject]) for subject, tag in tags.items()):
        raise EvidenceBroken("the stored records of a person are not what the ledger says is held")
    tx.appender.load_subjects(tags.values())
    made = []
    for subject, tag in tags.items():
        own = [change for change in changes if change.subject.subject == subject]
        made += [_record(tx, source, authority, change, said[tag]) for change in own]
        after = {change.before.record: change.after for change in own}
        rows = [row.as_dict() | after.get(row.record, {}) for row in held[subject]]
        restate(tx, subject, tag, rows, "correction")
    tell_answered(tx, made)
    return True


def _record(tx: Transaction, source: str, authority: str, change: _Change, said: Batches) -> Correction:
    """The leaf `record.corrected`: it names the record by a salted hash, and to the regulator by its id."""
    salt, name = tx.house.random(SALT_SIZE), change.before.record
    body = {
        "record": sha256_hex(salt + name),
        "source": source,
        "category": change.before.category,
        "authority": authority,
    }
    details = {"record": b64u(name), "record_salt": b64u(salt)}
    entry = tx.append("record.corrected", body, tag=change.subject.tag, details=details)
    since = 0 if said[change.before.idx].anew else change.before.idx
    return Correction(change.subject.tag, change.before.category, since, entry)
