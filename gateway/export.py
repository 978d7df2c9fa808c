"""Exporting the house's log for an auditor: leaves, policies and sealed details, out of the database.

Invariant: what is exported is what the rows hold, up to a published checkpoint. Sealed details leave
their wrapping at rest and stay sealed to the regulators; no key of the gateway leaves with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from gateway.signers import log_keys
from gateway.tables import policies
from ledger.export import Exported, export
from ledger.publish import Published
from ledger.rows import read_leaves
from ledger.tables import ledger_sealed

if TYPE_CHECKING:
    from gateway.house import House

_AT_ONCE = 1_024


def export_ledger(
    house: House,
    published: Published,
    to: Path,
    *,
    sealed: bool = True,
    progress: Callable[[], None] | None = None,
) -> Exported:
    """Export the leaves under a published checkpoint into the new or empty directory `to`.

    `progress` is called once for each leaf and blob. Raises LedgerError when `to` is not empty.
    """
    size = published.checkpoint.size
    with house.read() as conn:
        rows = conn.execute(sa.select(policies.c.hash, policies.c.body).where(policies.c.idx < size))
        bundles = {row.hash: bytes(row.body) for row in rows}
        return export(
            to,
            published.note,
            log_keys(house, conn).at(size),
            read_leaves(conn, house.shard, 0, size),
            bundles,
            _unwrapped(house, conn, size) if sealed else (),
            progress,
        )


def _unwrapped(house: House, conn: sa.Connection, size: int) -> Iterator[tuple[str, bytes]]:
    """(hex SHA-256, blob) of the details of the first `size` leaves, still sealed to the regulators."""
    columns = ledger_sealed.c
    for first in range(0, size, _AT_ONCE):
        found = conn.execute(
            sa.select(columns.sha256, columns.blob)
            .where(
                columns.shard == house.shard, columns.idx >= first, columns.idx < min(size, first + _AT_ONCE)
            )
            .order_by(columns.idx)
        ).all()
        for row in found:
            if not row.blob:
                continue  # dropped when its person was erased
            digest = bytes(row.sha256).hex()
            yield digest, house.unwrap_sealed(bytes(row.blob), digest)
