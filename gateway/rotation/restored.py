"""An old database, put back: what survived is given its keys as they were wrapped since.

Invariant: nothing is made readable that the keybag does not hold, and it holds nothing that was erased. It
changes wrappings only: rows that were not evident stay so, and keys made since then are left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa

from gateway import db, rows
from gateway.errors import NotReady
from gateway.rotation.blobs import MOVE
from gateway.rotation.epochs import NOBODYS, SEALED
from gateway.rotation.keybag import Keybag, Kind, Line, epochs_kept
from gateway.rotation.wrapped import MOVE_KEY, move_evident, moved
from gateway.tables import consent_requests, data_keys, pending_queries
from keys.custody import Custody
from keys.datakeys import epoch_key_name

T = TypeVar("T")
_CHUNK = 256
_TABLES: dict[Kind, sa.Table] = {"request": consent_requests, "pending": pending_queries}


@dataclass(frozen=True, slots=True)
class Applied:
    """The epoch that keys were taken from (None: nothing to do), and how many keys open for nobody now."""

    epoch: int | None
    unreadable: int


def apply_rewrapped(engine: sa.Engine, custody: Custody, home: Path, shard: int = 0) -> Applied:
    """Give the rows of a restored database the keys of the newest keybag under `home`; may be run again.

    `engine` is the tables' owner's, and nobody else is at work in the database. `NotReady` when custody has
    the key of no keybag there, though epochs of the database are destroyed.
    """
    usable = [epoch for epoch in epochs_kept(home) if custody.has(epoch_key_name(epoch))]
    if usable:
        bag = Keybag(custody, home, usable[-1])
        with db.writing(engine) as conn:
            for chunk in _chunks(bag.lines()):
                _apply_keys(conn, bag, chunk)
                _apply_evident(conn, bag, chunk, shard)
            for chunk in _chunks(bag.lines(sealed=True)):
                _apply_blobs(conn, bag, chunk, shard)
            conn.commit()
    with db.read(engine) as conn:
        lost = _unreadable(conn, custody)
        sealed = conn.scalars(sa.select(data_keys.c.epoch).where(data_keys.c.subject == NOBODYS)).all()
    if not any(custody.has(epoch_key_name(epoch)) for epoch in sealed):
        raise NotReady(
            f"no key of custody opens this database, and {home} holds no keys wrapped anew: restore the "
            "custody or the directory `rewrapped` that belongs to it"
        )
    return Applied(usable[-1] if usable else None, lost)


def _apply_keys(conn: sa.Connection, bag: Keybag, chunk: list[Line]) -> None:
    changed = []
    for line in chunk:
        if line.kind != "data":
            continue
        subject, klass, version = line.name.split(":")
        if bytes.fromhex(subject) == NOBODYS:
            _replace_sealed_key(conn, bag.epoch, line)
            continue
        place = {"of": bytes.fromhex(subject), "for": klass, "at": int(version)}
        changed.append(place | {"now": line.wrapped, "under": bag.epoch})
    if changed:
        conn.execute(MOVE_KEY, changed)


def _replace_sealed_key(conn: sa.Connection, epoch: int, line: Line) -> None:
    """The key of the regulators' blobs: the old ones wrap nothing that may be read."""
    stands = data_keys.c.subject == NOBODYS, data_keys.c.version == epoch
    if conn.scalar(sa.select(sa.func.count()).select_from(data_keys).where(*stands)):
        return
    conn.execute(sa.delete(data_keys).where(data_keys.c.subject == NOBODYS, data_keys.c.epoch < epoch))
    row = {"subject": NOBODYS, "klass": SEALED, "version": epoch, "epoch": epoch, "wrapped": line.wrapped}
    conn.execute(data_keys.insert(), row)


def _apply_evident(conn: sa.Connection, bag: Keybag, chunk: list[Line], shard: int) -> None:
    for kind, table in _TABLES.items():
        wanted = {line.name: line.wrapped for line in chunk if line.kind == kind}
        names = [column.name for column in table.primary_key.columns]
        found = rows.read_evident(conn, table, names[-1], [name.rpartition(":")[2] for name in wanted], shard)
        changed = [
            moved(bag.custody, table, row, wanted[name], bag.epoch)
            for row in found
            if row["epoch"] < bag.epoch and (name := ":".join(row[part] for part in names)) in wanted
        ]
        if changed:
            conn.execute(move_evident(table), changed)


def _apply_blobs(conn: sa.Connection, bag: Keybag, chunk: list[Line], shard: int) -> None:
    place = {"of_shard": shard, "under": bag.epoch}
    conn.execute(
        MOVE, [place | {"of_sha256": bytes.fromhex(line.name), "now": line.wrapped} for line in chunk]
    )


def _unreadable(conn: sa.Connection, custody: Custody) -> int:
    """How many data keys of subjects stand under an epoch that is no more."""
    counted = sa.select(data_keys.c.epoch, sa.func.count()).group_by(data_keys.c.epoch)
    return sum(count for epoch, count in conn.execute(counted) if not custody.has(epoch_key_name(epoch)))


def _chunks(lines: Iterator[T]) -> Iterator[list[T]]:
    while chunk := list(islice(lines, _CHUNK)):
        yield chunk
