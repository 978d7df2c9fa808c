"""Rows of the blind index written anew under another version, a chunk at a time.

Invariant: what is hashed anew was decrypted from the row itself before the lock, and is written under it only
where the row still stands as it was read. A row that does not open keeps its old look-up, by which nobody
will find it, and does not hold up the others.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gateway import rows
from gateway.errors import EvidenceBroken
from gateway.keyring import IDENTITY, LINK, DataKey
from gateway.people.citizens import open_certificate, open_commitment_salt, open_key
from gateway.people.subjects import kid_lookups, number_lookups, tag_lookups
from gateway.records.holdings import protected
from gateway.records.ingest import lookups_of
from gateway.rotation.versions import stored
from gateway.rotation.wrapped import Chunk, pages
from gateway.tables import citizen_keys, records, subject_index, subjects
from keys.canonical import canonical, parse_canonical
from keys.errors import KeysError
from keys.signing import thumbprint_bytes
from ledger.rows import insert_or_nothing
from ledger.tables import ledger_leaves

if TYPE_CHECKING:
    from gateway.house import House
    from gateway.transaction import Transaction

OPENED = (EvidenceBroken, KeysError, KeyError, TypeError, ValueError)
"""What opening a damaged row may raise."""


def old(table: sa.Table, version: int) -> sa.ColumnElement[bool]:
    """Rows whose look-up is of an earlier version; null is the first."""
    return sa.func.coalesce(table.c.index_version, 1) < version


def numbers(house: House, version: int) -> Iterator[Chunk]:
    """Persons' numbers: a row under the new version beside the old one, which goes when all have one."""
    columns = subject_index.c
    for found in pages(house, sa.select(subject_index).where(columns.version < version), (columns.value,)):
        made, broken = _tried(house, found, partial(_number, version=version))

        def act(tx: Transaction, made: Sequence[dict[str, Any]] = made) -> None:
            if made:
                insert = insert_or_nothing(tx.conn, subject_index, ("version", "value"))
                tx.conn.execute(insert, list(made))

        house.transact(act, seals=False)
        yield Chunk(len(found), broken)


def _number(house: House, conn: sa.Connection, row: sa.Row[Any], version: int) -> dict[str, Any]:
    key = house.keyring.open(conn, row.subject, (IDENTITY,))[IDENTITY]
    sealed = conn.scalar(sa.select(subjects.c.citizen_number).where(subjects.c.subject == row.subject))
    number = key.open("subjects", "citizen_number", row.subject, sealed or b"").decode()
    value = number_lookups(house.custody, number)[version]
    return {"version": version, "value": value, "subject": row.subject}


def tags(house: House, version: int) -> Iterator[Chunk]:
    """Look-ups of tags."""
    wanted = sa.select(subjects).where(old(subjects, version))
    moved = (
        sa.update(subjects)
        .where(subjects.c.subject == sa.bindparam("of"))
        .values(tag_lookup=sa.bindparam("now"), index_version=stored(version))
    )
    passed = sa.update(subjects).where(subjects.c.subject == sa.bindparam("of"))
    passed = passed.values(index_version=stored(version))
    for found in pages(house, wanted, (subjects.c.subject,)):
        made, broken = _tried(house, found, partial(_tag, version=version))
        done = {change["of"] for change in made}
        rest = [{"of": row.subject} for row in found if row.subject not in done]
        house.transact(partial(_run, changes=((moved, made), (passed, rest))), seals=False)
        yield Chunk(len(found), broken)


def _tag(house: House, conn: sa.Connection, row: sa.Row[Any], version: int) -> dict[str, Any]:
    tag = _link(house, conn, row.subject).open("subjects", "tag", row.subject, row.tag)
    return {"of": row.subject, "now": tag_lookups(house.custody, tag)[version]}


def citizens_keys(house: House, version: int) -> Iterator[Chunk]:
    """Citizens' keys: the look-up is the row's name, so its fields are encrypted anew for the new one."""
    wanted = sa.select(citizen_keys).where(old(citizen_keys, version))
    for found in pages(house, wanted, (citizen_keys.c.about,)):
        made, broken = _tried(house, found, partial(_citizens_key, version=version))
        anew = {change["about"]: change for change in made}
        seen = {row.about: row.mac for row in found}
        house.transact(partial(_write_keys, version=version, seen=seen, anew=anew), seals=False)
        yield Chunk(len(found), broken)


def _citizens_key(house: House, conn: sa.Connection, row: sa.Row[Any], version: int) -> dict[str, Any]:
    before, link = dict(row._mapping), _link(house, conn, row.subject)  # noqa: SLF001  SQLAlchemy's public name
    key = open_key(link, before)
    name = kid_lookups(house.custody, thumbprint_bytes(key.kid))[version]
    return {
        "about": row.about,
        "kid_lookup": name,
        "jwk": link.seal("citizen_keys", "jwk", name, canonical(key.jwk)),
        "certificate": link.seal("citizen_keys", "certificate", name, open_certificate(link, before)),
        "commitment_salt": link.seal(
            "citizen_keys", "commitment_salt", name, open_commitment_salt(link, before)
        ),
    }


def _write_keys(
    tx: Transaction, version: int, seen: Mapping[str, bytes], anew: Mapping[str, Mapping[str, Any]]
) -> None:
    """What changed since it was read is left for the next time."""
    custody, changed = tx.house.custody, []
    for row in rows.read_evident(tx.conn, citizen_keys, "about", list(seen), tx.house.shard):
        if row["mac"] != seen[row["about"]]:
            continue
        now = rows.columns_of(citizen_keys, row) | {"index_version": stored(version)}
        now |= anew.get(row["about"], {})
        mac = row["mac"]
        if rows.is_evident(custody, citizen_keys, row):
            mac = rows.protect(custody, citizen_keys, now, row["leaf_hash"])["mac"]
        changed.append({"of": row["about"], "sum": mac} | {f"now_{name}": now[name] for name in _MOVED})
    _run(tx, [(_MOVE_KEY, changed)])


_MOVED = ("kid_lookup", "index_version", "jwk", "certificate", "commitment_salt")
_MOVE_KEY = (
    sa.update(citizen_keys)
    .where(citizen_keys.c.about == sa.bindparam("of"))
    .values(mac=sa.bindparam("sum"), **{name: sa.bindparam(f"now_{name}") for name in _MOVED})
)


def references(house: House, version: int) -> Iterator[Chunk]:
    """References of records, which stand encrypted in their bodies."""
    leaves = ledger_leaves.c
    wanted = (
        sa.select(records, leaves.leaf_hash)
        .select_from(
            records.outerjoin(
                ledger_leaves, sa.and_(leaves.shard == house.shard, leaves.idx == records.c.idx)
            )
        )
        .where(old(records, version))
    )
    columns = records.c
    moved = (
        sa.update(records)
        .where(columns.record == sa.bindparam("of"), columns.mac == sa.bindparam("before"))
        .values(reference_lookup=sa.bindparam("now"), mac=sa.bindparam("sum"), index_version=stored(version))
    )
    for found in pages(house, wanted, (columns.record,)):
        made, broken = _tried(house, found, partial(_reference, version=version))
        done = {change["of"] for change in made}
        rest = [_passed(house, row, version) for row in found if row.record not in done]
        house.transact(partial(_run, changes=((moved, [*made, *rest]),)), seals=False)
        yield Chunk(len(found), broken)


def _reference(house: House, conn: sa.Connection, row: sa.Row[Any], version: int) -> dict[str, Any]:
    key = house.keyring.open(conn, row.subject, (row.klass,))[row.klass]
    body = parse_canonical(key.open("records", "body", row.record, row.body))
    return _passed(house, row, version, lookups_of(house.custody, row.source, body["reference"])[version])


def _passed(house: House, row: sa.Row[Any], version: int, lookup: bytes | None = None) -> dict[str, Any]:
    """The row with its version and, if it opened, its look-up; evident only if it was."""
    before = dict(row._mapping)  # noqa: SLF001  SQLAlchemy's public name
    now = before | {"index_version": stored(version), "reference_lookup": lookup or row.reference_lookup}
    mac = row.mac
    if isinstance(row.leaf_hash, bytes) and isinstance(mac, bytes):
        was = protected(house, before, row.leaf_hash)["mac"]
        if hmac.compare_digest(was, mac):
            mac = protected(house, now, row.leaf_hash)["mac"]
    return {"of": row.record, "before": row.mac, "now": now["reference_lookup"], "sum": mac}


def _link(house: House, conn: sa.Connection, subject: bytes) -> DataKey:
    return house.keyring.open(conn, subject, (LINK,))[LINK]


def _tried(
    house: House,
    found: Sequence[sa.Row[Any]],
    make: Callable[[House, sa.Connection, sa.Row[Any]], dict[str, Any]],
) -> tuple[list[dict[str, Any]], int]:
    """What comes of each row that opens, and how many do not."""
    made: list[dict[str, Any]] = []
    with house.read() as conn:
        for row in found:
            try:
                made.append(make(house, conn, row))
            except OPENED:
                continue
    return made, len(found) - len(made)


def _run(tx: Transaction, changes: Sequence[tuple[sa.Update, list[dict[str, Any]]]]) -> None:
    for statement, many in changes:
        if many:
            tx.conn.execute(statement, many)
