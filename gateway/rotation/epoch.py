"""Rotating the epoch: whatever survives is wrapped under a new key, so that the old one can be destroyed.

    1 open      a new key in custody, and the leaf that has every process wrap under it from there on
    2 rewrap    chunk by chunk: data keys, open requests, pending queries, the blobs sealed to regulators
    3 complete  under the lock: nothing stands under an older epoch, and a leaf says so

Invariant: what was erased is not wrapped anew, here or in the keybag. How far a rotation came is in the rows
themselves: run again after a kill it goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import sqlalchemy as sa

from gateway import locks
from gateway.errors import NotReady
from gateway.rotation import blobs, wrapped
from gateway.rotation.epochs import NOBODYS, sealed_row
from gateway.rotation.keybag import Keybag, Line, data_name
from gateway.rotation.waiting import a_key_waits, before, by_epoch
from gateway.tables import data_keys
from keys.datakeys import epoch_key_name

if TYPE_CHECKING:
    from gateway.house import House
    from gateway.transaction import Transaction

LOCK = "rotation.lock"
Progress = Callable[[int, int], None]
"""(rows done, rows in all) after each chunk."""


@dataclass(frozen=True, slots=True)
class Rotated:
    """The epoch in force now, the keys that stand under it, and how many of them open for nobody any more."""

    epoch: int
    count: int
    broken: int


@contextmanager
def alone(house: House) -> Iterator[None]:
    """The one rotation on this home, of whatever kind. `NotReady` while another one runs."""
    with locks.turn(house.settings.home / LOCK, wait=False) as mine:
        if not mine:
            raise NotReady("another rotation is running on this home: wait for it to end")
        yield


def rotate_epoch(house: House, progress: Progress) -> Rotated:
    """Rotate the epoch, or finish a rotation that was cut short. `NotReady` while another one runs."""
    with alone(house):
        house.listen()
        if house.epochs.rewrapped:
            _open(house, house.epochs.newest + 1)
        epoch = house.epochs.newest
        return _rewrap(house, Keybag(house.custody, house.settings.home, epoch), progress)


def _open(house: House, epoch: int) -> None:
    """The key first: a leaf never speaks of a key that is not there."""
    name = epoch_key_name(epoch)
    if not house.custody.has(name):
        house.custody.generate(name, "aead")
    key = sealed_row(house, epoch)
    bag = Keybag(house.custody, house.settings.home, epoch)

    def act(tx: Transaction) -> None:
        bag.add([Line("data", data_name(NOBODYS, str(key["klass"]), epoch), key["wrapped"])])
        tx.conn.execute(data_keys.insert(), key)
        say_of_epoch(tx, {"epoch": epoch, "event": "opened"})

    house.transact(act, seals=False)
    house.listen()


def _rewrap(house: House, bag: Keybag, progress: Progress) -> Rotated:
    with house.read() as conn:
        total = before(conn, bag.epoch)
    done = broken = 0
    progress(done, total)
    while True:
        for chunks in (wrapped.data_keys_anew, wrapped.requests_anew, wrapped.pending_anew, blobs.blobs_anew):
            for chunk in chunks(house, bag):
                done, broken = done + chunk.done, broken + chunk.broken
                progress(min(done, total), total)
        with house.read() as conn:
            waits, count = before(conn, bag.epoch), _count(conn, bag.epoch)
        ended = not waits and house.transact(partial(_complete, epoch=bag.epoch, count=count), seals=False)
        if ended:
            house.listen()
            return Rotated(bag.epoch, count, broken)


def _count(conn: sa.Connection, epoch: int) -> int:
    """How many keys stand under an epoch."""
    return sum(count for words, count in by_epoch(conn).get(epoch, {}).items() if words != "sealed details")


def _complete(tx: Transaction, epoch: int, count: int) -> bool:
    """The leaf that ends it; False when a key stands under an older epoch yet.

    What else waited was counted before the lock: since the epoch was opened nothing is added to it.
    """
    if a_key_waits(tx.conn, epoch):
        return False
    tx.conn.execute(sa.delete(data_keys).where(data_keys.c.subject == NOBODYS, data_keys.c.epoch < epoch))
    say_of_epoch(tx, {"epoch": epoch, "event": "rewrapped", "count": count})
    return True


def say_of_epoch(tx: Transaction, body: dict[str, object]) -> int:
    """Append `key.epoch`, which this process follows once it is committed; its index."""
    entry = tx.append("key.epoch", body)
    tx.epochs = tx.epochs.following([entry.leaf])
    return entry.index
