"""Sealing what stays of a class under a new data key, so that the old key, and all it opened, can go.

Invariant: under the new key stands what the old one opened, byte for byte; a record that is not the revision
the ledger committed to stops the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from gateway.errors import EvidenceBroken
from gateway.tables import data_keys
from keys.canonical import sha256
from ledger.fixed import Row

if TYPE_CHECKING:
    from gateway.keyring import DataKey
    from gateway.transaction import Transaction


def reseal(
    tx: Transaction, subject: bytes, held: Iterable[Row], keys: Mapping[str, Row]
) -> list[dict[str, Any]]:
    """The rows of `records` as they are to be stated anew: those of the classes in `keys` under new keys.

    `keys` has the row of `data_keys` of each class whose key is replaced; the new ones are stored, one
    version on, and the old ones left for the caller to delete.
    """
    house = tx.house
    old = {
        klass: house.keyring.unwrap(subject, klass, row.version, row.epoch, row.wrapped)
        for klass, row in keys.items()
    }
    fresh = {klass: house.keyring.fresh_row(subject, klass, row.version + 1) for klass, row in keys.items()}
    if fresh:
        tx.conn.execute(data_keys.insert(), [row for _, row in fresh.values()])
    anew = []
    for row in held:
        now = row.as_dict()
        if row.klass in keys:
            now |= resealed(now, old[row.klass], fresh[row.klass][0])
        anew.append(now)
    return anew


def resealed(record: Mapping[str, Any], old: DataKey, new: DataKey) -> dict[str, bytes]:
    """The columns of one stored record that change with its key: `body` and `revision_hash`."""
    if sha256(record["body"]) != record["revision_hash"]:
        raise EvidenceBroken("a stored record is not the revision that the ledger committed to")
    plain = old.open("records", "body", record["record"], record["body"])
    body = new.seal("records", "body", record["record"], plain)
    return {"body": body, "revision_hash": sha256(body)}
