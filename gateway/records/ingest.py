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

from gateway.errors import LedgerUnavailable
from gateway.ids import new_uuid
from gateway.institutions.standing import require_standing
from gateway.keyring import IDENTITY, LINK, DataKey
from gateway.people.subjects import INDEX_VERSION, find_by_number, number_lookup, subject_row
from gateway.records.columns import Refusal
from gateway.records.holdings import about_records, protected, revisions_root
from gateway.records.report import ImportReport, Tally
from gateway.records.rows import CHINA, Record, record_body
from gateway.records.rules import Rule
from gateway.rows import ROW_KEY
from gateway.tables import data_keys, records, subject_index, subjects
from keys.blind import blind_index
from keys.canonical import canonical, sha256

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
    index_row: dict[str, Any] | None = None
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
    for chunk in _chunks(examined):
        accepted = [one for one in chunk if isinstance(one, Record)]
        for refusal in (one for one in chunk if isinstance(one, Refusal)):
            tally.refuse(refusal)
        _store_chunk(house, source, batch, accepted, tally)
        progress(max(one.line for one in chunk))
    return tally.report()


def _chunks(examined: Iterable[Record | Refusal]) -> Iterator[list[Record | Refusal]]:
    waiting = iter(examined)
    while chunk := list(islice(waiting, CHUNK)):
        yield chunk


def _store_chunk(house: House, source: str, batch: str, chunk: list[Record], tally: Tally) -> None:
    """One chunk; prepared again should another import have made one of its persons meanwhile."""
    if not chunk:
        return
    for _ in range(3):
        sifted = _sift(house, chunk)
        prepared = _prepare(house, sifted.fresh)
        try:
            if prepared:
                house.transact(partial(_write, source=source, batch=batch, prepared=prepared), seals=False)
        except sa.exc.IntegrityError:
            continue  # another import made one of these persons or records since they were looked up
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
    lookups = {reference_lookup(house, record): record for record in chunk}
    with house.read() as conn:
        held = {
            row.reference_lookup: row.content_mac
            for row in conn.execute(
                sa.select(records.c.reference_lookup, records.c.content_mac).where(
                    records.c.reference_lookup.in_(list(lookups))
                )
            )
        }
    sifted = _Sifted()
    for lookup, record in lookups.items():
        if lookup not in held:
            sifted.fresh.append(record)
        elif hmac.compare_digest(held[lookup], _content_mac(house, record)):
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
        _fresh_key(house, person, klass)
    person.index_row = {
        "version": INDEX_VERSION,
        "value": number_lookup(house.custody, record.person),
        "subject": subject,
    }
    person.subject_row = subject_row(
        house, subject, tag, person.keys[LINK], person.keys[IDENTITY], record.person, record.name
    )
    return person


def _fresh_key(house: House, person: _Person, klass: str) -> None:
    person.keys[klass], row = house.keyring.fresh_row(person.subject, klass)
    person.key_rows.append(row)


def _key(house: House, conn: sa.Connection, person: _Person, klass: str) -> DataKey:
    """The person's data key of a retention class: opened already, stored, or made now."""
    if klass not in person.keys and person.subject_row is None:  # a new person has nothing stored
        person.keys |= house.keyring.find(conn, person.subject, (klass,))
    if klass not in person.keys:
        _fresh_key(house, person, klass)
    return person.keys[klass]


def _row(house: House, conn: sa.Connection, person: _Person, record: Record) -> dict[str, Any]:
    category = house.policy.category(record.category)
    if category is None:
        raise LookupError("an examined record has a category of the catalogue")
    key = _key(house, conn, person, category.klass)
    name = house.random(16)
    body = key.seal("records", "body", name, canonical(record_body(record)))
    return {
        "record": name,
        "subject": person.subject,
        "category": record.category,
        "klass": category.klass,
        "source": record.source,
        "reference_lookup": reference_lookup(house, record),
        "content_mac": _content_mac(house, record),
        "body": body,
        "revision_hash": sha256(body),
        "shown_until": shown_until(record, category.term_years),
    }


def _write(tx: Transaction, source: str, batch: str, prepared: list[_Person]) -> None:
    """Under the lock: a leaf a person, then all rows of the chunk, a statement a table."""
    require_standing(tx, source, "source")
    tx.appender.load_subjects([person.tag for person in prepared])
    rows: list[dict[str, Any]] = []
    for person in prepared:
        hashes = [row["revision_hash"] for _, row in person.rows]
        body = {"batch": batch, "source": source, "count": len(hashes), "root": revisions_root(hashes).hex()}
        entry = tx.append("record.ingested", body, tag=person.tag, about=about_records(person.tag))
        rows += [protected(tx.house, {**row, "idx": entry.index}, entry.leaf_hash) for _, row in person.rows]
    for table, made in (
        (subject_index, [person.index_row for person in prepared if person.index_row is not None]),
        (subjects, [person.subject_row for person in prepared if person.subject_row is not None]),
        (data_keys, [row for person in prepared for row in person.key_rows]),
        (records, rows),
    ):
        if made:
            tx.conn.execute(table.insert(), made)


def reference_lookup(house: House, record: Record) -> bytes:
    """Keyed look-up of (source, reference): a bank's contract number is personal too."""
    value = f"{record.source}\x00{record.reference}".encode()
    return blind_index(house.custody, INDEX_VERSION, "record-reference", value)


def _content_mac(house: House, record: Record) -> bytes:
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
