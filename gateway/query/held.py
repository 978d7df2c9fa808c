"""What a batch's decisions read under the lock, one statement a table, and the rows that its rulings change.

Invariant: everything is read for the whole batch at once, after the head was locked, and written at once; in
between it changes here only, so that the second ask of a batch sees what the first one did.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
import structlog

from consent.asks import Grant, Standing
from gateway import metrics, rows
from gateway.institutions.published import encryption_keys_of
from gateway.institutions.standing import signers_standings, standings
from gateway.people.citizens import LIVE
from gateway.query.redeliver import Used, is_again
from gateway.query.request import Ask
from gateway.records.holdings import Batches, batches_of, is_whole
from gateway.tables import citizen_keys, grants, institutions, queries, records
from gateway.transaction import Transaction
from keys.signing import Jwk
from ledger.tables import ledger_leaves

# Built once: building a statement costs more than running it.
USED = sa.select(queries).where(
    sa.tuple_(queries.c.institution, queries.c.query).in_(sa.bindparam("ids", expanding=True))
)
LEAVES = sa.select(ledger_leaves.c.idx, ledger_leaves.c.leaf).where(
    ledger_leaves.c.shard == sa.bindparam("of_shard"),
    ledger_leaves.c.idx.in_(sa.bindparam("indexes", expanding=True)),
)
REVISIONS = sa.select(records).where(records.c.subject.in_(sa.bindparam("subjects", expanding=True)))
COUNT_USE = (
    sa.update(grants)
    .where(grants.c.consent == sa.bindparam("key"))
    .values(uses=sa.bindparam("n"), changed_index=sa.bindparam("at"), mac=sa.bindparam("sum"))
)

Id = tuple[str, str]
"""Institution and query: a `query_id` is its institution's own."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Held:
    """Rows by their keys; grants, ids and leaves change as asks are ruled on."""

    used: dict[Id, Used]
    grants: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    institutions: dict[str, Standing] = field(default_factory=dict)
    operators: dict[tuple[str, str, str], Standing] = field(default_factory=dict)
    revisions: dict[bytes, list[sa.Row[Any]]] = field(default_factory=lambda: defaultdict(list))
    batches: Mapping[bytes, Batches] = field(default_factory=dict)
    leaves: dict[int, bytes] = field(default_factory=dict)
    seal_to: Mapping[str, Jwk] = field(default_factory=dict)
    counted: set[str] = field(default_factory=set)
    spent: list[dict[str, Any]] = field(default_factory=list)

    def spend(self, ask: Ask, used: Used) -> None:
        """The id of this ask is used up."""
        institution, query = id_of(ask)
        self.used[institution, query] = used
        self.spent.append(
            {
                "institution": institution,
                "query": query,
                "idx": used.index,
                "body_mac": used.body_mac,
                "given": used.given,
                "given_at": used.given_at,
            }
        )

    def count_use(self, consent: str, row: dict[str, Any]) -> None:
        """The grant's row as an answer left it, protected."""
        self.grants[consent] = {**self.grants[consent], **row}
        self.counted.add(consent)


def id_of(ask: Ask) -> Id:
    """What an ask's `query_id` is kept under."""
    return ask.signer.institution, ask.query.query_id


def read_used(tx: Transaction, asks: Sequence[Ask]) -> dict[Id, Used]:
    """The ids of these asks that their institutions have used before."""
    return {
        (row.institution, row.query): Used(row.idx, row.body_mac, row.given, row.given_at)
        for row in tx.conn.execute(USED, {"ids": [id_of(ask) for ask in asks]})
    }


def read(tx: Transaction, asks: Sequence[Ask], used: dict[Id, Used]) -> Held:
    """Everything the decisions on these asks need; no statement where there is none."""
    shard, conn, held = tx.house.shard, tx.conn, Held(used)
    if not asks:
        return held
    subjects = sorted({ask.found.subject for ask in asks})
    consents = {ask.found.consent_id for ask in asks}
    held.grants = {row["consent"]: row for row in rows.read_evident(conn, grants, "consent", consents, shard)}
    keys = rows.read_evident(conn, citizen_keys, "subject", subjects, shard)
    held.keys = {row["about"]: row for row in keys}
    for row in conn.execute(REVISIONS, {"subjects": subjects}):
        held.revisions[row.subject].append(row)
    held.seal_to = encryption_keys_of(tx, {ask.signer.institution for ask in asks})
    held.institutions = standings(tx, institutions, [ask.signer.institution for ask in asks])
    held.operators = signers_standings(tx, [ask.signer for ask in asks])
    tags = [ask.found.tag for ask in asks if ask.found.consent is not None]
    held.batches = batches_of(tx.house, conn, tags)
    again = {used[id_of(ask)].index for ask in asks if is_again(used.get(id_of(ask)), ask.body_mac)}
    if again:
        found = conn.execute(LEAVES, {"of_shard": shard, "indexes": sorted(again)})
        held.leaves = {row.idx: bytes(row.leaf) for row in found}
    tx.appender.load_subjects([ask.found.tag for ask in asks])
    return held


def write(tx: Transaction, held: Held) -> None:
    """The rows that follow from the entries: use counts with their MACs, and the ids that are used up."""
    if held.counted:
        tx.conn.execute(
            COUNT_USE,
            [
                {"key": one, "n": row["uses"], "at": row["changed_index"], "sum": row["mac"]}
                for one, row in ((consent, held.grants[consent]) for consent in sorted(held.counted))
            ],
        )
    if held.spent:
        tx.conn.execute(queries.insert(), held.spent)


def grant_of(tx: Transaction, held: Held, ask: Ask) -> Grant | None:
    """The asker's consent as it stands now, sound only if rows, leaves and proof agree; None without one."""
    custody, found = tx.house.custody, ask.found
    row, key = held.grants.get(found.consent_id), held.keys.get(found.key)
    sound = (
        row is not None
        and key is not None
        and not found.broken
        and key["subject"] == found.subject
        and rows.is_evident(custody, citizen_keys, key)
        and (found.consent_id in held.counted or rows.is_evident(custody, grants, row))
        and row["document"] == found.stored
        and row["tag"] == found.tag
        and is_whole(tx.house, held.batches[found.tag], held.revisions[found.subject])
    )
    if found.consent is None or row is None or key is None:
        if found.broken:
            alert("grants", found.consent_id)
        return None
    if not sound:
        alert("grants", found.consent_id)
    return Grant(
        document=found.consent,
        state=row["state"],
        uses=row["uses"],
        key_live=_was_live(key, row["grant_index"]),
        effective=max(found.effective, key["effective"]),
        sound=sound,
    )


def _was_live(key: Mapping[str, Any], index: int) -> bool:
    """Whether a key was live when its leaf at `index` was written: what was granted under a key that was lost
    since still stands, what was granted under a compromised one was suspended with it.
    """
    return bool(key["state"] == LIVE or key["changed_index"] > index)


def alert(table: str, key: str) -> None:
    """Say that a row of `table` is not what the ledger says of it; `key` is an id, never a person's."""
    metrics.EVIDENCE_BROKEN.labels("grant" if table == "grants" else table).inc()
    log.error("evidence.broken", table=table, key=key)
