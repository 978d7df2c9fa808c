"""Stating a person's records anew: after they were encrypted under other keys, corrected, erased or lost.

Invariant: from its `record.restated` on, a person's rows are exactly those handed over here, every one bound
to that leaf; the rows and the leaf commit together. Who was shown an answer from rows that were stated anew
cannot have it delivered again (`answer-gone`): it is no longer the same revision.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa

from gateway.records.holdings import about_records, protected, revisions_root
from gateway.tables import records
from ledger.log import Entry

if TYPE_CHECKING:
    from gateway.transaction import Transaction

Cause = Literal["correction", "erasure", "recovery", "rotation"]


def restate(
    tx: Transaction, subject: bytes, tag: bytes, held: Iterable[Mapping[str, Any]], cause: Cause
) -> Entry:
    """Replace all rows of a subject by `held` (rows of `records`; their `idx` and `mac` are made here).

    The caller has made sure that the rows it read were whole (`holdings.is_whole`).
    """
    rows = list(held)
    root = revisions_root(row["revision_hash"] for row in rows)
    entry = tx.append(
        "record.restated",
        {"count": len(rows), "root": root.hex(), "cause": cause},
        tag=tag,
        about=about_records(tag),
    )
    tx.conn.execute(sa.delete(records).where(records.c.subject == subject))
    if rows:
        made = [protected(tx.house, {**row, "idx": entry.index}, entry.leaf_hash) for row in rows]
        tx.conn.execute(records.insert(), made)
    return entry
