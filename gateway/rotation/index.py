"""Rotating the blind index: whatever is looked up by a keyed hash is hashed under a new key.

    1 open      a new key in custody: from then on everybody looks up by both, and writes under the new one
    2 move      chunk by chunk: persons' numbers, tags, citizens' keys, references of records
    3 complete  nothing stands under an old version but what nobody can open; a leaf says so
    4 destroy   the old rows of the index go, then the old key, then a leaf says so

Invariant: at every moment each row is found by the versions that custody has. Rows that carry a MAC are
protected anew only if they were evident. Run again after a kill it goes on where it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import sqlalchemy as sa

from gateway.rotation import moving
from gateway.rotation.epoch import Progress, alone
from gateway.rotation.versions import FIRST, forget_gone, index_versions
from gateway.rotation.waiting import index_before, index_rows
from gateway.tables import subject_index
from keys.blind import index_key_name
from ledger.bodies import KeyIndex
from ledger.entries import parse_leaf
from ledger.tables import ledger_leaves

if TYPE_CHECKING:
    from gateway.house import House
    from gateway.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Indexed:
    """The version in force, how many rows stand under it, and how many could not be moved."""

    version: int
    rows: int
    broken: int


@dataclass(frozen=True, slots=True)
class Indexes:
    """What the ledger says: the newest version opened, and the last completed."""

    newest: int = FIRST
    completed: int = FIRST
    destroyed: int = 0


def read_indexes(conn: sa.Connection, shard: int) -> Indexes:
    """By all leaves of the log: a scan, for commands."""
    leaves = ledger_leaves.c
    said = sa.select(leaves.leaf).where(leaves.shard == shard, leaves.type == "key.index")
    newest, completed, destroyed = FIRST, FIRST, 0
    for leaf in conn.scalars(said.order_by(leaves.idx)):
        body = parse_leaf(bytes(leaf)).body
        if isinstance(body, KeyIndex):
            newest = body.version if body.event == "opened" else newest
            completed = body.version if body.event == "completed" else completed
            destroyed = body.version if body.event == "destroyed" else destroyed
    return Indexes(newest, completed, destroyed)


def rotate_index(house: House, progress: Progress) -> Indexed:
    """Rotate the index, or finish a rotation that was cut short. `NotReady` while another one runs."""
    with alone(house):
        with house.read() as conn:
            said = read_indexes(conn, house.shard)
        if said.newest == said.completed == said.destroyed + 1:
            said = _open(house, said.newest + 1)
        broken = 0
        if said.completed < said.newest:
            broken = _move(house, said.newest, progress)
        _destroy(house, said.newest)
        with house.read() as conn:
            return Indexed(said.newest, index_rows(conn, said.newest), broken)


def _open(house: House, version: int) -> Indexes:
    """The key first; it may stand already, after a kill."""
    name = index_key_name(version)
    if not house.custody.has(name):
        house.custody.generate(name, "mac")
    house.transact(partial(_say, body={"version": version, "event": "opened"}), seals=False)
    return Indexes(version, version - 1, version - 2)


def _move(house: House, version: int, progress: Progress) -> int:
    with house.read() as conn:
        total = index_before(conn, version)
    done = broken = 0
    progress(done, total)
    for chunks in (moving.numbers, moving.tags, moving.citizens_keys, moving.references):
        for chunk in chunks(house, version):
            done, broken = done + chunk.done, broken + chunk.broken
            progress(min(done, total), total)

    def complete(tx: Transaction) -> None:
        tx.conn.execute(sa.delete(subject_index).where(subject_index.c.version < version))
        _say(tx, {"version": version, "event": "completed", "rows": count})

    with house.read() as conn:
        count = index_rows(conn, version)
    house.transact(complete, seals=False)
    return broken


def _destroy(house: House, version: int) -> None:
    """Under the lock: no row of an old version is written once its key is gone."""

    def act(tx: Transaction) -> None:
        tx.conn.execute(sa.delete(subject_index).where(subject_index.c.version < version))
        for old in index_versions(house.custody):
            if old < version:
                house.custody.destroy(index_key_name(old))
        _say(tx, {"version": version - 1, "event": "destroyed"})

    house.transact(act, seals=False)
    forget_gone(house.custody)


def _say(tx: Transaction, body: dict[str, object]) -> None:
    tx.append("key.index", body)
