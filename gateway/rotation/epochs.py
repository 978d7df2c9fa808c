"""Which epochs there are, as the ledger says: opened one after the other, each ended by the next.

Invariant: every process wraps under the newest epoch that the ledger opened, and learns of it under the
head's lock before it writes anything; so once an epoch's rewrap stands in the ledger, no key is wrapped under
an older one any more. A process that learns that an epoch was destroyed forgets its key at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gateway.keyring import DataKey, Keyring
from gateway.tables import data_keys
from keys.custody import Custody
from keys.datakeys import epoch_key_name
from keys.signing import Random
from ledger.bodies import KeyEpoch
from ledger.entries import parse_leaf
from ledger.tables import ledger_leaves

if TYPE_CHECKING:
    from gateway.house import House

FIRST = 1
SEALED = "sealed"
NOBODYS = bytes(16)
"""The subject of keys that are no person's."""


@dataclass(frozen=True, slots=True)
class Epochs:
    """The newest epoch, whether everything that survived stands under it, and those that are destroyed."""

    newest: int = FIRST
    rewrapped: bool = True
    destroyed: frozenset[int] = frozenset()

    def after(self, said: KeyEpoch) -> Epochs:
        """What one more leaf `key.epoch` makes of it."""
        if said.event == "opened":
            return Epochs(max(self.newest, said.epoch), said.epoch == FIRST, self.destroyed)
        if said.event == "rewrapped":
            return Epochs(self.newest, self.newest == said.epoch or self.rewrapped, self.destroyed)
        return Epochs(self.newest, self.rewrapped, self.destroyed | {said.epoch})

    def following(self, leaves: Iterable[bytes]) -> Epochs:
        """What leaves make of it, in their order; those that are not of epochs say nothing."""
        found = self
        for leaf in leaves:
            body = parse_leaf(leaf).body
            if isinstance(body, KeyEpoch):
                found = found.after(body)
        return found


def read_epochs(conn: sa.Connection, shard: int) -> Epochs:
    """The epochs by all leaves of the log: a scan, for opening a house and after a long absence."""
    leaves = ledger_leaves.c
    said = sa.select(leaves.leaf).where(leaves.shard == shard, leaves.type == "key.epoch")
    return Epochs().following(bytes(leaf) for leaf in conn.scalars(said.order_by(leaves.idx)))


def sealed_keys(conn: sa.Connection, keyring: Keyring) -> dict[int, DataKey]:
    """By version: the keys that wrap the regulators' blobs at rest. Each epoch has one of its own."""
    found = conn.execute(sa.select(data_keys).where(data_keys.c.subject == NOBODYS)).all()
    return {
        row.version: keyring.unwrap(NOBODYS, SEALED, row.version, row.epoch, row.wrapped) for row in found
    }


def standing(
    conn: sa.Connection, custody: Custody, shard: int, random: Random
) -> tuple[Epochs, dict[int, DataKey]]:
    """The epochs as a house is opened, and its keys for the regulators' blobs.

    A database that was put back has fewer leaves than it had: the newest epoch is then the one of its newest
    key, which `keybag.apply_rewrapped` put there.
    """
    said = read_epochs(conn, shard)
    sealed = sealed_keys(conn, Keyring(custody, said.newest, random))
    return replace(said, newest=max(said.newest, *sealed)), sealed


def sealed_row(house: House, epoch: int) -> dict[str, Any]:
    """A fresh key for the blobs of an epoch, as its row of `data_keys`; its version is the epoch."""
    return Keyring(house.custody, epoch, house.random).fresh_row(NOBODYS, SEALED, epoch)[1]


def enter(house: House, conn: sa.Connection, epochs: Epochs) -> None:
    """Have this process work under `epochs`; `conn` holds the head's lock, or nobody uses the house yet."""
    keyring = Keyring(house.custody, epochs.newest, house.random)
    house.sealed_keys = sealed_keys(conn, keyring)  # first: what is sealed before the lock looks there too
    house.keyring = keyring
    for epoch in epochs.destroyed - house.epochs.destroyed:
        house.custody.forget(epoch_key_name(epoch))
    house.epochs = epochs
