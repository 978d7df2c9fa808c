"""What still stands under an old epoch: the progress of a rotation is in the data itself.

Invariant: a rotation has no file of its own that says how far it came. What waits is counted where it stands.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from gateway.rotation.epochs import NOBODYS
from gateway.tables import (
    citizen_keys,
    consent_requests,
    data_keys,
    pending_queries,
    records,
    subject_index,
    subjects,
)
from ledger.tables import ledger_sealed

UNDER: Final = {
    "data keys": data_keys,
    "consent requests": consent_requests,
    "pending queries": pending_queries,
    "sealed details": ledger_sealed,
}
"""What is wrapped under an epoch, by the words for it."""


def by_epoch(conn: sa.Connection) -> dict[int, dict[str, int]]:
    """How many rows of each kind stand under each epoch. The regulators' own keys are not counted."""
    found: dict[int, dict[str, int]] = {}
    for words, table in UNDER.items():
        counted = sa.select(table.c.epoch, sa.func.count()).group_by(table.c.epoch)
        if table is data_keys:
            counted = counted.where(data_keys.c.subject != NOBODYS)
        for epoch, count in conn.execute(counted):
            found.setdefault(epoch, {})[words] = count
    return found


def before(conn: sa.Connection, epoch: int) -> int:
    """How many rows stand under an earlier epoch."""
    return sum(
        count for found, counts in by_epoch(conn).items() if found < epoch for count in counts.values()
    )


def a_key_waits(conn: sa.Connection, epoch: int) -> bool:
    """Whether a subject's data key stands under an earlier epoch; by an index, for under the lock."""
    waits = sa.exists().where(data_keys.c.epoch < epoch, data_keys.c.subject != NOBODYS)
    return bool(conn.scalar(sa.select(waits)))


def by_version(conn: sa.Connection) -> dict[int, dict[str, int]]:
    """How many rows of each kind are found by each version of the blind index."""
    found: dict[int, dict[str, int]] = {}
    for table in (subject_index, subjects, citizen_keys, records):
        of = table.c.version if table is subject_index else sa.func.coalesce(table.c.index_version, 1)
        for version, count in conn.execute(sa.select(of, sa.func.count()).group_by(of)):
            found.setdefault(version, {})[FOUND_BY[table.name]] = count
    return found


def index_before(conn: sa.Connection, version: int) -> int:
    """How many rows are found by an earlier version."""
    return sum(sum(counts.values()) for found, counts in by_version(conn).items() if found < version)


def index_rows(conn: sa.Connection, version: int) -> int:
    """How many rows are found by a version."""
    return sum(by_version(conn).get(version, {}).values())


FOUND_BY: Final = {
    "subject_index": "persons",
    "subjects": "tags",
    "citizen_keys": "citizens' keys",
    "records": "records",
}
"""What is found by the blind index, by its table: the words for it."""
