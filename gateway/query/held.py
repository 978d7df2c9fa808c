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
from gateway.errors import EvidenceBroken
from gateway.institutions.published import encryption_keys_of
from gateway.institutions.standing import signers_standings, standings
from gateway.keyring import LINK, DataKey
from gateway.people.citizens import LIVE
from gateway.query.lookup import digest
from gateway.query.redeliver import Used, is_again
from gateway.query.request import Ask
from gateway.records.holdings import Batches, batches_of, is_whole
from gateway.tables import citizen_keys, data_keys, grants, institutions, queries, records
from gateway.transaction import Transaction
from keys.signing import Jwk
from ledger.sets import both, insert_rows, pairs, update_rows
from ledger.tables import ledger_leaves

# Built once: building a statement costs more than running it.
USED = both(lambda among: sa.select(queries).where(among((queries.c.institution, queries.c.query), "ids")))
LEAVES = both(
    lambda among: sa.select(ledger_leaves.c.idx, ledger_leaves.c.leaf).where(
        ledger_leaves.c.shard == sa.bindparam("of_shard"), among(ledger_leaves.c.idx, "indexes")
    )
)
WRAPPED = both(lambda among: sa.select(data_keys).where(among(data_keys.c.subject, "subjects")))
REVISIONS = both(lambda among: sa.select(records).where(among(records.c.subject, "subjects")))

COUNTED = ("consent", "uses", "changed_index", "mac")

Id = tuple[str, str]
"""Institution and query: a `query_id` is its institution's own."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Held:
    """Rows by their keys; grants, ids and leaves change as asks are ruled on."""

    used: dict[Id, Used] = field(default_factory=dict)
    grants: dict[str, dict[str, Any]] = field(default_factory=dict)
    wrapped: dict[bytes, dict[str, sa.Row[Any]]] = field(default_factory=lambda: defaultdict(dict))
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


def open_held(tx: Transaction, asks: Sequence[Ask]) -> Held:
    """Whether the ids of these asks were used before; nothing about anybody."""
    held = Held()
    if not asks:
        return held
    wanted = pairs(tx.conn, "ids", [id_of(ask) for ask in asks])
    for row in tx.conn.execute(USED.on(tx.conn), wanted).all():
        held.used[row.institution, row.query] = Used(row.idx, row.body_mac, row.given, row.given_at)
    return held


def read_consents(tx: Transaction, held: Held, asks: Sequence[Ask]) -> set[int]:
    """What the look-ups rest on, as it stands now. Those (by `id`) whose look-up no longer holds."""
    if not asks:
        return set()
    consents = {ask.found.consent_id for ask in asks}
    found = rows.read_evident(tx.conn, grants, "consent", consents, tx.house.shard)
    held.grants = {row["consent"]: row for row in found}
    subjects = sorted({ask.found.subject for ask in asks})
    for row in tx.conn.execute(WRAPPED.on(tx.conn), {"subjects": subjects}).all():
        held.wrapped[row.subject][row.klass] = row
    return {id(ask) for ask in asks if _has_moved(tx, held, ask)}


def read(tx: Transaction, held: Held, asks: Sequence[Ask]) -> None:
    """Everything else that the decisions on these asks need; no statement where there is none."""
    shard, conn = tx.house.shard, tx.conn
    if not asks:
        return
    subjects = sorted({ask.found.subject for ask in asks})
    keys = rows.read_evident(conn, citizen_keys, "subject", subjects, shard)
    held.keys = {row["about"]: row for row in keys}
    for row in conn.execute(REVISIONS.on(conn), {"subjects": subjects}).all():
        held.revisions[row.subject].append(row)
    held.seal_to = encryption_keys_of(tx, {ask.signer.institution for ask in asks})
    held.institutions = standings(tx, institutions, [ask.signer.institution for ask in asks])
    held.operators = signers_standings(tx, [ask.signer for ask in asks])
    tags = [ask.found.tag for ask in asks if ask.found.consent is not None]
    held.batches = batches_of(tx.house, conn, tags)
    used = [(held.used.get(id_of(ask)), ask.body_mac) for ask in asks]
    again = {before.index for before, mac in used if before is not None and is_again(before, mac)}
    if again:
        found = conn.execute(LEAVES.on(conn), {"of_shard": shard, "indexes": sorted(again)})
        held.leaves = {row.idx: bytes(row.leaf) for row in found}
    tx.appender.load_subjects([ask.found.tag for ask in asks])


def _has_moved(tx: Transaction, held: Held, ask: Ask) -> bool:
    """Whether the look-up no longer holds: the person's keys were replaced, or the consent is another."""
    found = ask.found
    if found.link is None:
        return found.rekeyed != tx.house.rekeyed
    link = held.wrapped[found.subject].get(LINK)
    if link is None or link.version != found.link:
        return True
    row = held.grants.get(found.consent_id)
    if found.consent is None or row is None:  # one of a log that was given up: there is none here
        return False
    return digest(row["document"]) != found.stored or row["tag"] != found.tag


def link_of(tx: Transaction, held: Held, ask: Ask) -> DataKey:
    """The person's link key. `EvidenceBroken` when it does not open."""
    row = held.wrapped[ask.found.subject].get(LINK)
    if row is None:
        raise EvidenceBroken("a person without a link key")
    return tx.house.keyring.unwrap(row.subject, LINK, row.version, row.epoch, row.wrapped)


def write(tx: Transaction, held: Held) -> None:
    """The rows that follow from the entries: use counts with their MACs, and the ids that are used up."""
    counted = [held.grants[consent] for consent in sorted(held.counted)]
    update_rows(tx.conn, grants, "consent", [{name: row[name] for name in COUNTED} for row in counted])
    insert_rows(tx.conn, queries, held.spent)


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
        and digest(row["document"]) == found.stored
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
