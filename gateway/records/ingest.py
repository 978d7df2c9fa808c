"""Ingestion (归集): examined records into the store, in chunks that hold the lock only for the writing.

Invariant: a record is known by (source, reference), so a rerun changes nothing; the same reference
with other content is refused, not overwritten (a correction is an act of its own). Looking up,
keys and encryption happen before the lock; rows and their `record.ingested` leaves, one for each
person of a chunk, commit together.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gateway.errors import KeysMovedOn, LedgerUnavailable
from gateway.ids import new_uuid
from gateway.institutions.standing import require_standing
from gateway.keyring import IDENTITY, LINK, DataKey
from gateway.people.subjects import find_by_number, index_rows, subject_row
from gateway.records.classes import class_of
from gateway.records.columns import Refusal
from gateway.records.holdings import about_records, protected, revisions_root
from gateway.records.report import ImportReport, Tally
from gateway.records.rows import CHINA, Record, record_body
from gateway.records.rules import Rule
from gateway.rotation.versions import index_versions, lookups, newest, require_versions
from gateway.rows import ROW_KEY
from gateway.tables import data_keys, records, subject_index, subjects
from keys.canonical import canonical, sha256
from keys.custody import Custody

if TYPE_CHECKING:
    from gateway.house import House
    from gateway.transaction import Transaction

CHUNK = 64
Progress = Callable[[int], None]


@dataclass(slots=True)
class _Person:
    """One person of a chunk: the subject, whether it is new, and the rows made ready for it."""

    subject: bytes
    tag: bytes
    keys: dict[str, DataKey]
    rows: list[tuple[Record, dict[str, Any]]] = field(default_factory=list)
    index_rows: list[dict[str, Any]] = field(default_factory=list)
    subject_row: dict[str, Any] | None = None
    key_rows: list[dict[str, Any]] = field(default_factory=list)


def require_source(house: House, source: str) -> None:
    """`Rejected` unless `source` may send records now; asked before the first row, and with each chunk."""
    house.transact(lambda tx: require_standing(tx, source, "source"), seals=False)


def ingest(
    house: House, source: str, examined: Iterable[Record | Refusal], progress: Progress
) -> ImportReport:
    """Store what may be stored; `progress` is told the line after each chunk. A bad row raises nothing."""
    tally, batch = Tally(source), new_uuid(house.random)
    require_source(house, source)
    for chunk in chunks(examined):
        accepted = [one for one in chunk if isinstance(one, Record)]
        for refusal in (one for one in chunk if isinstance(one, Refusal)):
            tally.refuse(refusal)
        _store_chunk(house, source, batch, accepted, tally)
        progress(max(one.line for one in chunk))
    return tally.report()


def chunks(examined: Iterable[Record | Refusal]) -> Iterator[list[Record | Refusal]]:
    """What was examined, so much at a time as the lock is held for."""
    waiting = iter(examined)
    while chunk := list(islice(waiting, CHUNK)):
        yield chunk


def _store_chunk(house: House, source: str, batch: str, chunk: list[Record], tally: Tally) -> None:
    """One chunk; prepared again should another import have made one of its persons meanwhile."""
    if not chunk:
        return
    for _ in range(3):
        versions = index_versions(house.custody)
        sifted = _sift(house, chunk)
        prepared = _prepare(house, sifted.fresh)
        try:
            if prepared:
                write = partial(_write, source=source, batch=batch, prepared=prepared, versions=versions)
                house.transact(write, seals=False)
        except (sa.exc.IntegrityError, KeysMovedOn):
            continue  # another import made one of these persons or records, or a rotation moved the keys on
        _count(sifted, tally)
        return
    raise LedgerUnavailable("other imports of the same persons are running: run this one again")


@dataclass(slots=True)
class _Sifted:
    """A chunk's records by what the store holds of them."""

    fresh: list[Record] = field(default_factory=list)
    held: list[Record] = field(default_factory=list)
    changed: list[Record] = field(default_factory=list)


def _count(sifted: _Sifted, tally: Tally) -> None:
    for record in sifted.fresh:
        tally.accept(record)
    for record in sifted.held:
        tally.keep(record)
    for record in sifted.changed:
        tally.refuse(Refusal(record.line, "reference", Rule.CONFLICTING_REFERENCE))


def _sift(house: House, chunk: list[Record]) -> _Sifted:
    """Which records of a chunk are new, held already, or held with other content; in one statement."""
    sought = {id(record): reference_lookups(house, record).values() for record in chunk}
    with house.read() as conn:
        held = {
            row.reference_lookup: row.content_mac
            for row in conn.execute(
                sa.select(records.c.reference_lookup, records.c.content_mac).where(
                    records.c.reference_lookup.in_(sorted({one for some in sought.values() for one in some}))
                )
            )
        }
    sifted = _Sifted()
    for record in {next(iter(sought[id(record)])): record for record in chunk}.values():
        content = next((held[one] for one in sought[id(record)] if one in held), None)
        if content is None:
            sifted.fresh.append(record)
        elif hmac.compare_digest(content, content_mac(house, record)):
            sifted.held.append(record)
        else:
            sifted.changed.append(record)
    return sifted


def _prepare(house: House, fresh: list[Record]) -> list[_Person]:
    """Look up persons, open or make their keys, encrypt: all outside the lock."""
    persons: dict[str, _Person] = {}
    with house.read() as conn:
        for record in fresh:
            person = persons.get(record.person)
            if person is None:
                person = persons[record.person] = _person(house, conn, record)
            person.rows.append((record, _row(house, conn, person, record)))
    return list(persons.values())


def _person(house: House, conn: sa.Connection, record: Record) -> _Person:
    found = find_by_number(house, conn, record.person)
    if found.known:
        return _Person(found.subject, found.tag, {LINK: found.link})
    subject, tag = house.random(16), house.random(16)
    person = _Person(subject, tag, {})
    for klass in (LINK, IDENTITY):
        _fresh_key(house, person, klass, found.link.version)  # the decoy's: the newest there is
    person.index_rows = index_rows(house.custody, record.person, subject)
    person.subject_row = subject_row(
        house, subject, tag, person.keys[LINK], person.keys[IDENTITY], record.person, record.name
    )
    return person


def _fresh_key(house: House, person: _Person, klass: str, version: int) -> None:
    person.keys[klass], row = house.keyring.fresh_row(person.subject, klass, version)
    person.key_rows.append(row)


def _key(house: House, conn: sa.Connection, person: _Person, klass: str) -> DataKey:
    """The person's data key of a retention class: opened already, stored, or made now."""
    if klass not in person.keys and person.subject_row is None:  # a new person has nothing stored
        person.keys |= house.keyring.find(conn, person.subject, (klass,))
    if klass not in person.keys:
        _fresh_key(house, person, klass, person.keys[LINK].version)
    return person.keys[klass]


def _row(house: House, conn: sa.Connection, person: _Person, record: Record) -> dict[str, Any]:
    category = house.policy.category(record.category)
    if category is None:
        raise LookupError("an examined record has a category of the catalogue")
    until = shown_until(record, category.term_years)
    klass = class_of(house.custody, category.klass, person.subject, until)
    key = _key(house, conn, person, klass)
    name, (lookup, version) = house.random(16), newest(reference_lookups(house, record))
    body = key.seal("records", "body", name, canonical(record_body(record)))
    return {
        "record": name,
        "subject": person.subject,
        "category": record.category,
        "klass": klass,
        "source": record.source,
        "reference_lookup": lookup,
        "index_version": version,
        "content_mac": content_mac(house, record),
        "body": body,
        "revision_hash": sha256(body),
        "shown_until": until,
    }


def _write(
    tx: Transaction, source: str, batch: str, prepared: list[_Person], versions: tuple[int, ...]
) -> None:
    """Under the lock: a leaf a person, then all rows of the chunk, a statement a table."""
    require_standing(tx, source, "source")
    require_versions(tx.house.custody, versions)
    tx.house.keyring.require_current(row for person in prepared for row in person.key_rows)
    _require_keys(tx, prepared)
    tx.appender.load_subjects([person.tag for person in prepared])
    rows: list[dict[str, Any]] = []
    for person in prepared:
        hashes = [row["revision_hash"] for _, row in person.rows]
        body = {"batch": batch, "source": source, "count": len(hashes), "root": revisions_root(hashes).hex()}
        entry = tx.append("record.ingested", body, tag=person.tag, about=about_records(person.tag))
        rows += [protected(tx.house, {**row, "idx": entry.index}, entry.leaf_hash) for _, row in person.rows]
    for table, made in (
        (subject_index, [row for person in prepared for row in person.index_rows]),
        (subjects, [person.subject_row for person in prepared if person.subject_row is not None]),
        (data_keys, [row for person in prepared for row in person.key_rows]),
        (records, rows),
    ):
        if made:
            tx.conn.execute(table.insert(), made)


def _require_keys(tx: Transaction, prepared: list[_Person]) -> None:
    """`KeysMovedOn` when a key that was found before the lock is erased or replaced: it opens for nobody."""
    made = {(row["subject"], row["klass"], row["version"]) for one in prepared for row in one.key_rows}
    used = {(one.subject, klass, key.version) for one in prepared for klass, key in one.keys.items()} - made
    if not used:
        return
    columns = data_keys.c
    held = sa.select(sa.func.count()).where(
        sa.tuple_(columns.subject, columns.klass, columns.version).in_(sorted(used))
    )
    if tx.conn.scalar(held) != len(used):
        raise KeysMovedOn("a person's keys were erased or replaced meanwhile")


def reference_lookups(house: House, record: Record) -> dict[int, bytes]:
    """Keyed look-up of (source, reference), by version: a bank's contract number is personal too."""
    return lookups_of(house.custody, record.source, record.reference)


def lookups_of(custody: Custody, source: str, reference: str) -> dict[int, bytes]:
    """The same of a source's code and its own reference."""
    return lookups(custody, "record-reference", f"{source}\x00{reference}".encode())


def content_mac(house: House, record: Record) -> bytes:
    """What tells whether a record says the same as the one that is held, of the same person."""
    content = canonical({"person": record.person, "body": record_body(record)})
    return house.custody.mac(ROW_KEY, b"record-content\x00" + content)


def shown_until(record: Record, term_years: int | None) -> int | None:
    """End of the display term (展示期限; ms, exclusive) of an adverse record: midnight in China."""
    if not record.adverse or term_years is None:
        return None
    day = record.occurred_on
    leap = (day.month, day.day) == (2, 29)
    end = date(day.year + term_years, 3, 1) if leap else day.replace(year=day.year + term_years)
    return int(datetime(end.year, end.month, end.day, tzinfo=CHINA).timestamp()) * 1000
