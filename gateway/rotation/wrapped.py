"""Data keys wrapped anew, a chunk at a time: unwrapped and wrapped before the lock, written under it.

Invariant: under the lock only what still stands as it was read is replaced, and its line is in the keybag
before the commit; so a key that was erased meanwhile comes back nowhere. A key that does not open is moved on
as it is: it opened for nobody before, and must not hold up the others. Rows that were not evident stay so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog

from gateway import rows
from gateway.keyring import LINK, VERSION
from gateway.rotation.epochs import NOBODYS
from gateway.rotation.keybag import Keybag, Kind, Line, data_name
from gateway.tables import consent_requests, data_keys, pending_queries
from keys.datakeys import DataKeyPlace, rewrap_data_key
from keys.errors import DecryptionFailed, Malformed

if TYPE_CHECKING:
    from gateway.house import House
    from gateway.transaction import Transaction

CHUNK = 128
Name = tuple[Any, ...]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Chunk:
    """How many rows a chunk dealt with, and how many of them do not open."""

    done: int
    broken: int


@dataclass(frozen=True, slots=True)
class _Anew:
    """What a row held when it was read, and the same wrapped anew; None where it does not open."""

    before: bytes
    after: bytes | None


def data_keys_anew(house: House, bag: Keybag) -> Iterator[Chunk]:
    """Wrap the data keys of subjects anew."""
    columns = data_keys.c
    key = (columns.subject, columns.klass, columns.version)
    old = sa.select(data_keys).where(columns.epoch < bag.epoch, columns.subject != NOBODYS)
    for found in pages(house, old, key):
        made = {
            (row.subject, row.klass, row.version): _anew(
                house, bag, row.wrapped, DataKeyPlace(row.subject, row.klass, row.version, row.epoch)
            )
            for row in found
        }
        house.transact(partial(_write_data_keys, bag=bag, made=made), seals=False)
        yield _counted(made)


def _write_data_keys(tx: Transaction, bag: Keybag, made: Mapping[Name, _Anew]) -> None:
    columns = data_keys.c
    key = sa.tuple_(columns.subject, columns.klass, columns.version)
    standing = tx.conn.execute(sa.select(data_keys).where(key.in_(list(made)), columns.epoch < bag.epoch))
    changed, lines = [], []
    for row in standing:
        anew = made[row.subject, row.klass, row.version]
        if anew.before != row.wrapped:
            continue
        if anew.after is not None:
            lines.append(Line("data", data_name(row.subject, row.klass, row.version), anew.after))
        place = {"of": row.subject, "for": row.klass, "at": row.version}
        changed.append(place | {"now": anew.after or row.wrapped, "under": bag.epoch})
    bag.add(lines)
    if changed:
        tx.conn.execute(MOVE_KEY, changed)


MOVE_KEY = (
    sa.update(data_keys)
    .where(
        data_keys.c.subject == sa.bindparam("of"),
        data_keys.c.klass == sa.bindparam("for"),
        data_keys.c.version == sa.bindparam("at"),
        data_keys.c.epoch < sa.bindparam("under"),
    )
    .values(wrapped=sa.bindparam("now"), epoch=sa.bindparam("under"))
)


def requests_anew(house: House, bag: Keybag) -> Iterator[Chunk]:
    """Wrap the keys of consent requests anew."""
    return _evident_anew(house, bag, consent_requests, "request")


def pending_anew(house: House, bag: Keybag) -> Iterator[Chunk]:
    """Wrap the keys of pending queries anew."""
    return _evident_anew(house, bag, pending_queries, "pending")


def _evident_anew(house: House, bag: Keybag, table: sa.Table, kind: Kind) -> Iterator[Chunk]:
    key = tuple(table.primary_key.columns)
    old = sa.select(table).where(table.c.epoch < bag.epoch)
    for found in pages(house, old, key):
        made = {
            tuple(row._mapping[column.name] for column in key): _anew(  # noqa: SLF001  SQLAlchemy's public name
                house, bag, row.data_key, DataKeyPlace(row.tag, LINK, VERSION, row.epoch)
            )
            for row in found
        }
        house.transact(partial(_write_evident, bag=bag, table=table, kind=kind, made=made), seals=False)
        yield _counted(made)


def _write_evident(
    tx: Transaction, bag: Keybag, table: sa.Table, kind: Kind, made: Mapping[Name, _Anew]
) -> None:
    last = list(table.primary_key.columns)[-1]
    standing = rows.read_evident(tx.conn, table, last.name, [name[-1] for name in made], tx.house.shard)
    changed, lines = [], []
    for row in standing:
        name = tuple(row[column.name] for column in table.primary_key.columns)
        anew = made.get(name)
        if anew is None or anew.before != row["data_key"]:
            continue
        if anew.after is not None:
            lines.append(Line(kind, ":".join(name), anew.after))
        changed.append(moved(tx.house.custody, table, row, anew.after or row["data_key"], bag.epoch))
    bag.add(lines)
    if changed:
        tx.conn.execute(move_evident(table), changed)


def moved(
    custody: Any, table: sa.Table, row: Mapping[str, Any], data_key: bytes, epoch: int
) -> dict[str, Any]:
    """The parameters of `move_evident` for a row that `rows.read_evident` read; evident only if it was."""
    mac = row["mac"]
    if rows.is_evident(custody, table, row):
        now = rows.columns_of(table, row) | {"data_key": data_key, "epoch": epoch}
        mac = rows.protect(custody, table, now, row["leaf_hash"])["mac"]
    names = {f"of_{column.name}": row[column.name] for column in table.primary_key.columns}
    return names | {"now": data_key, "under": epoch, "sum": mac}


def move_evident(table: sa.Table) -> sa.Update:
    """The statement that gives a protected row its key wrapped anew."""
    mine = [column == sa.bindparam(f"of_{column.name}") for column in table.primary_key.columns]
    values: dict[str, Any] = {
        "data_key": sa.bindparam("now"),
        "epoch": sa.bindparam("under"),
        "mac": sa.bindparam("sum"),
    }
    return sa.update(table).where(*mine).values(**values)


def pages(
    house: House, wanted: sa.Select[Any], key: Sequence[sa.ColumnElement[Any]]
) -> Iterator[Sequence[sa.Row[Any]]]:
    """The rows of a query in the order of their keys, a chunk at a time, each from a snapshot of its own."""
    place: Name | None = None
    names = [column.name for column in key if isinstance(column, sa.Column)]
    while True:
        page = wanted if place is None else wanted.where(sa.tuple_(*key) > sa.tuple_(*place))
        with house.read() as conn:
            found = conn.execute(page.order_by(*key).limit(CHUNK)).all()
        if not found:
            return
        yield found
        place = tuple(found[-1]._mapping[name] for name in names)  # noqa: SLF001  SQLAlchemy's public name


def _anew(house: House, bag: Keybag, blob: bytes, place: DataKeyPlace) -> _Anew:
    try:
        return _Anew(blob, rewrap_data_key(house.custody, blob, place, bag.epoch))
    except (DecryptionFailed, Malformed):
        log.error("evidence.broken", table="data_keys")
        return _Anew(blob, None)


def _counted(made: Mapping[Name, _Anew]) -> Chunk:
    return Chunk(len(made), sum(anew.after is None for anew in made.values()))
