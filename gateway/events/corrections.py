"""Who was answered from a record that is corrected: each institution is told, by its own query (CIR art. 25).

Invariant: who may still hold the wrong answer is told, rather once too often: every answer about the person
that covered the category since the record came in, until the consent's term of retention is over. What an
answer really held, the ledger does not say (it commits to it); where a record was stated anew since, its
first day is not known any more and all answers count. A statute sets no term, so its answers count for good.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from gateway.events.telling import CORRECTED
from gateway.transaction import Transaction
from keys.instant import DAY, parse_instant
from ledger.bodies import ConsentCarried, ConsentGranted, QueryDisclosed, QueryPredicate
from ledger.entries import Leaf, parse_leaf
from ledger.log import Entry
from ledger.tables import ledger_leaves

_ANSWERS: Final = (
    sa.select(ledger_leaves.c.idx, ledger_leaves.c.tag, ledger_leaves.c.leaf)
    .where(
        ledger_leaves.c.shard == sa.bindparam("of_shard"),
        ledger_leaves.c.tag.in_(sa.bindparam("tags", expanding=True)),
        ledger_leaves.c.type.in_(("query.disclosed", "query.predicate")),
    )
    .order_by(ledger_leaves.c.idx)
)
_GRANTS: Final = sa.select(ledger_leaves.c.idx, ledger_leaves.c.leaf).where(
    ledger_leaves.c.shard == sa.bindparam("of_shard"),
    ledger_leaves.c.idx.in_(sa.bindparam("indexes", expanding=True)),
)


@dataclass(frozen=True, slots=True)
class Correction:
    """One corrected record: whose, of which category, held since which leaf (0 if unknown), its own leaf."""

    tag: bytes
    category: str
    since: int
    entry: Entry


def tell_answered(tx: Transaction, corrections: Sequence[Correction]) -> int:
    """Tell of these corrections whoever was answered from such a record; how many events. Two statements."""
    tags = sorted({one.tag for one in corrections})
    found = tx.conn.execute(_ANSWERS, {"of_shard": tx.house.shard, "tags": tags})
    answers = [(row.tag, parse_leaf(row.leaf)) for row in found]
    retention = _retention(tx, [leaf for _, leaf in answers])
    told = 0
    for correction in corrections:
        for leaf, body in _given(answers, correction):
            kept = None if body.grant is None else retention.get(body.grant)
            over = kept is not None and tx.at >= parse_instant(leaf.at) + kept * DAY
            if leaf.by is not None and leaf.by.institution is not None and not over:
                tx.telling.tell(leaf.by.institution, CORRECTED, body.query, correction.entry)
                told += 1
    return told


def _given(
    answers: Sequence[tuple[Any, Leaf]], correction: Correction
) -> Iterator[tuple[Leaf, QueryDisclosed | QueryPredicate]]:
    """The answers that may have held the record; of one query only one."""
    for tag, leaf in answers:
        body = leaf.body
        if tag != correction.tag or leaf.index < correction.since:
            continue
        if isinstance(body, QueryDisclosed | QueryPredicate) and correction.category in body.categories:
            yield leaf, body


def _retention(tx: Transaction, leaves: Sequence[Leaf]) -> dict[int, int]:
    """Days for which an answer may be kept, by the index of the grant that it was given under."""
    named = {
        leaf.body.grant
        for leaf in leaves
        if isinstance(leaf.body, QueryDisclosed | QueryPredicate) and leaf.body.grant is not None
    }
    if not named:
        return {}
    found = tx.conn.execute(_GRANTS, {"of_shard": tx.house.shard, "indexes": sorted(named)})
    bodies = {row.idx: parse_leaf(row.leaf).body for row in found}
    return {
        index: body.retention_days
        for index, body in bodies.items()
        if isinstance(body, ConsentGranted | ConsentCarried)
    }
