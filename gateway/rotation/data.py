"""Replacing data keys: a person's fields encrypted anew under new keys, the old ones deleted with it.

Each person is one step: read and encrypted before the lock, compared and written under it, with the leaf
`key.data` and, where records are held, a `record.restated`. The decoy goes first: its version says how far
the others have to come, so that a rotation that was cut short goes on with those who are behind.

Invariant: under the new keys stands what the old ones opened, byte for byte, and rows that carried evidence
carry it still. A person of whom anything does not open, or is not evident, is left as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gateway import rows
from gateway.errors import EvidenceBroken
from gateway.keyring import IDENTITY, LINK, DataKey
from gateway.notices.contacts import row_id
from gateway.records.holdings import batches_of, is_whole
from gateway.records.reseal import resealed
from gateway.records.restate import restate
from gateway.records.store import revisions_of
from gateway.rotation.epoch import Progress, alone
from gateway.rotation.epochs import NOBODYS
from gateway.tables import citizen_keys, contacts, data_keys, grants, queries, subjects
from keys.errors import KeysError
from ledger.tables import ledger_leaves

if TYPE_CHECKING:
    from gateway.house import House
    from gateway.transaction import Transaction

ATTEMPTS = 2
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Replaced:
    """How many persons' keys were replaced, how many keys, and how many persons were left as they were."""

    persons: int
    keys: int
    broken: int


@dataclass(frozen=True, slots=True)
class _Held:
    """Everything of one person that stands under their keys, as it was read."""

    keys: tuple[Row, ...] = field(repr=False)
    person: Row = field(repr=False)
    citizen_keys: tuple[Row, ...] = field(repr=False)
    grants: tuple[Row, ...] = field(repr=False)
    given: tuple[Row, ...] = field(repr=False)
    contacts: tuple[Row, ...] = field(repr=False)
    records: tuple[Row, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Anew:
    """A person as it was read, and the rows to be: each the changed columns of the row in the same place."""

    subject: bytes
    tag: bytes
    before: _Held
    after: _Held


def rotate_data(house: House, progress: Progress, subject: bytes | None = None) -> Replaced:
    """Replace everybody's data keys, or one person's. `NotReady` while another rotation runs."""
    with alone(house):
        if subject is not None:
            return _all(house, [subject], _highest(house) + 1, progress)
        waiting = _behind(house)
        if not waiting:
            target = _highest(house) + 1
            _all(house, [house.decoy.subject], target, lambda _done, _total: None)
            waiting = _behind(house)
        return _all(house, waiting, _version_of_decoy(house), progress)


def _all(house: House, waiting: list[bytes], target: int, progress: Progress) -> Replaced:
    done = keys = broken = 0
    progress(0, len(waiting))
    for subject in waiting:
        count = _one(house, subject, target)
        done, keys, broken = done + 1, keys + (count or 0), broken + (count is None)
        progress(done, len(waiting))
    return Replaced(done - broken, keys, broken)


def _one(house: House, subject: bytes, target: int) -> int | None:
    """How many keys of a person were replaced; None where that cannot be."""
    try:
        for _ in range(ATTEMPTS):
            with house.read() as conn:
                anew = _prepare(house, conn, subject, target)
            count = house.transact(partial(_write, anew=anew), seals=False)
            if count is not None:
                return count
        return house.transact(partial(_at_once, subject=subject, target=target), seals=False)
    except (EvidenceBroken, KeysError):
        return None


def _at_once(tx: Transaction, subject: bytes, target: int) -> int | None:
    """Everything under the lock, which takes a little longer: for who is asked about all the time."""
    return _write(tx, _prepare(tx.house, tx.conn, subject, target))


def _behind(house: House) -> list[bytes]:
    """Subjects whose keys are older than the decoy's, in order."""
    columns = data_keys.c
    wanted = sa.select(columns.subject).where(
        columns.klass == LINK, columns.version < _version_of_decoy(house), columns.subject != NOBODYS
    )
    with house.read() as conn:
        return list(conn.scalars(wanted.order_by(columns.subject)))


def _version_of_decoy(house: House) -> int:
    with house.read() as conn:
        wanted = sa.select(data_keys.c.version)
        mine = data_keys.c.subject == house.decoy.subject, data_keys.c.klass == LINK
        return int(conn.execute(wanted.where(*mine)).scalar_one())


def _highest(house: House) -> int:
    with house.read() as conn:
        wanted = sa.select(sa.func.max(data_keys.c.version)).where(data_keys.c.subject != NOBODYS)
        return int(conn.execute(wanted).scalar_one())


def _read(house: House, conn: sa.Connection, subject: bytes, tag: bytes) -> _Held:
    """One person, in the same order each time."""
    leaves = ledger_leaves.c
    given = (
        sa.select(queries)
        .join(ledger_leaves, sa.and_(leaves.shard == house.shard, leaves.idx == queries.c.idx))
        .where(leaves.tag == tag, queries.c.given.is_not(None))
        .order_by(queries.c.idx)
    )
    mine = sa.select(data_keys).where(data_keys.c.subject == subject)
    return _Held(
        _rows(conn, mine.order_by(data_keys.c.klass, data_keys.c.version)),
        _rows(conn, sa.select(subjects).where(subjects.c.subject == subject))[0],
        tuple(rows.read_evident(conn, citizen_keys, "subject", [subject], house.shard)),
        tuple(rows.read_evident(conn, grants, "tag", [tag], house.shard)),
        _rows(conn, given),
        _rows(conn, sa.select(contacts).where(contacts.c.subject == subject).order_by(contacts.c.channel)),
        tuple(row.as_dict() for row in revisions_of(conn, subject)),
    )


def _rows(conn: sa.Connection, wanted: sa.Select[Any]) -> tuple[Row, ...]:
    return tuple(dict(row) for row in conn.execute(wanted).mappings())


def _prepare(house: House, conn: sa.Connection, subject: bytes, target: int) -> _Anew:
    """Decrypt and encrypt everything. `EvidenceBroken` when something does not open."""
    link = house.keyring.open(conn, subject, (LINK,))[LINK]
    sealed = conn.scalar(sa.select(subjects.c.tag).where(subjects.c.subject == subject))
    tag = link.open("subjects", "tag", subject, sealed or b"")
    before = _read(house, conn, subject, tag)
    said = batches_of(house, conn, [tag]).get(tag, {})
    if not is_whole(house, said, revisions_of(conn, subject)):
        raise EvidenceBroken("the records held are not those that the ledger speaks of")
    if len({row["klass"] for row in before.keys}) != len(before.keys):
        raise EvidenceBroken("a person has two keys of one class")
    move = _Mover(
        {
            row["klass"]: house.keyring.unwrap(
                subject, row["klass"], row["version"], row["epoch"], row["wrapped"]
            )
            for row in before.keys
        },
        {row["klass"]: house.keyring.fresh_row(subject, row["klass"], target) for row in before.keys},
    )
    return _Anew(subject, tag, before, _anew(move, before))


@dataclass(frozen=True, slots=True)
class _Mover:
    """Old and new keys of one person, by class."""

    old: Mapping[str, DataKey]
    new: Mapping[str, tuple[DataKey, dict[str, object]]]

    def __call__(self, klass: str, table: str, column: str, row: bytes, blob: bytes) -> bytes:
        old, new = self.keys(klass)
        return new.seal(table, column, row, old.open(table, column, row, blob))

    def keys(self, klass: str) -> tuple[DataKey, DataKey]:
        """The old and the new key of a class."""
        if klass not in self.old:
            raise EvidenceBroken("a data key is missing")
        return self.old[klass], self.new[klass][0]


def _anew(move: _Mover, before: _Held) -> _Held:
    person, of = before.person, before.person["subject"]
    name = person["name"]
    return _Held(
        tuple(row for _, row in move.new.values()),
        {
            "tag": move(LINK, "subjects", "tag", of, person["tag"]),
            "citizen_number": move(IDENTITY, "subjects", "citizen_number", of, person["citizen_number"]),
            "name": None if name is None else move(IDENTITY, "subjects", "name", of, name),
        },
        tuple(
            {
                column: move(LINK, "citizen_keys", column, row["kid_lookup"], row[column])
                for column in ("jwk", "certificate", "commitment_salt")
            }
            for row in before.citizen_keys
        ),
        tuple(
            {
                column: move(LINK, "grants", column, row["consent"].encode(), row[column])
                for column in ("document", "proof")
            }
            for row in before.grants
        ),
        tuple({"given": move(LINK, "queries", "given", _query(row), row["given"])} for row in before.given),
        tuple(
            {"address": move(LINK, "contacts", "address", row_id(of, row["channel"]), row["address"])}
            for row in before.contacts
        ),
        tuple(resealed(row, *move.keys(row["klass"])) for row in before.records),
    )


def _query(row: Row) -> bytes:
    return f"{row['institution']}:{row['query']}".encode()


def _write(tx: Transaction, anew: _Anew) -> int | None:
    """Under the lock: everything, or nothing and None when anything is no longer as it was read."""
    before, after, conn = anew.before, anew.after, tx.conn
    tx.house.keyring.require_current(after.keys)
    if _read(tx.house, conn, anew.subject, anew.tag) != before:
        return None
    conn.execute(sa.delete(data_keys).where(data_keys.c.subject == anew.subject))
    conn.execute(data_keys.insert(), [dict(row) for row in after.keys])
    mine = subjects.c.subject == anew.subject
    conn.execute(sa.update(subjects).where(mine).values(**after.person))
    for table, held, changed in (
        (citizen_keys, before.citizen_keys, after.citizen_keys),
        (grants, before.grants, after.grants),
        (queries, before.given, after.given),
        (contacts, before.contacts, after.contacts),
    ):
        _update(tx, table, held, changed)
    if before.records:
        stated = [{**row, **now} for row, now in zip(before.records, after.records, strict=True)]
        restate(tx, anew.subject, anew.tag, stated, "rotation")
    tx.append("key.data", {"count": len(after.keys)})
    tx.rekeyed = True
    return len(after.keys)


def _update(tx: Transaction, table: sa.Table, held: tuple[Row, ...], changed: tuple[Row, ...]) -> None:
    """Write the changed columns of each row; one that carried evidence carries it anew."""
    made = list(_parameters(tx, table, held, changed))
    if not made:
        return
    key = [column == sa.bindparam(f"of_{column.name}") for column in table.primary_key.columns]
    names = [name.removeprefix("now_") for name in made[0] if name.startswith("now_")]
    values: dict[str, Any] = {name: sa.bindparam(f"now_{name}") for name in names}
    tx.conn.execute(sa.update(table).where(*key).values(values), made)


def _parameters(
    tx: Transaction, table: sa.Table, held: tuple[Row, ...], changed: tuple[Row, ...]
) -> Iterator[dict[str, Any]]:
    custody = tx.house.custody
    for row, now in zip(held, changed, strict=True):
        values = dict(now)
        if "mac" in table.columns:
            values["mac"] = row["mac"]
            if rows.is_evident(custody, table, row):
                columns = rows.columns_of(table, row) | dict(now)
                values["mac"] = rows.protect(custody, table, columns, row["leaf_hash"])["mac"]
        of = {f"of_{column.name}": row[column.name] for column in table.primary_key.columns}
        yield of | {f"now_{name}": value for name, value in values.items()}
