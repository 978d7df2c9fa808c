"""Sealing what stays of a class under a new data key, so that the old key, and all it opened, can go.

Invariant: under the new key stands what the old one opened, byte for byte; a record that is not the revision
the ledger committed to stops the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gateway.errors import EvidenceBroken
from gateway.tables import data_keys
from keys.canonical import sha256

if TYPE_CHECKING:
    from gateway.transaction import Transaction


def reseal(
    tx: Transaction, subject: bytes, held: Iterable[sa.Row[Any]], keys: Mapping[str, sa.Row[Any]]
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
        now = dict(row._mapping)  # noqa: SLF001  SQLAlchemy's public name
        if row.klass in keys:
            if sha256(row.body) != row.revision_hash:
                raise EvidenceBroken("a stored record is not the revision that the ledger committed to")
            plain = old[row.klass].open("records", "body", row.record, row.body)
            body = fresh[row.klass][0].seal("records", "body", row.record, plain)
            now |= {"body": body, "revision_hash": sha256(body)}
        anew.append(now)
    return anew
