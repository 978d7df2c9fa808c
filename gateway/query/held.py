"""What a batch's decisions read under the lock, one statement a table, and the rows that its rulings change.

Invariant: everything is read for the whole batch at once, after the head was locked, and written at once; in
between it changes here only, so that the second ask of a batch sees what the first one did. Records alone are
read before, and judged here by what the ledger says is held now.
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
from gateway.institutions.published import reading_encryption_keys
from gateway.institutions.standing import reading_signers_standings, reading_standings
from gateway.keyring import LINK, DataKey
from gateway.people.citizens import LIVE
from gateway.query.lookup import digest
from gateway.query.redeliver import Used, is_again
from gateway.query.request import Ask
from gateway.records.holdings import Batches, is_whole, reading_batches
from gateway.records.store import Revisions, reading_revisions
from gateway.tables import citizen_keys, data_keys, grants, institutions, queries
from gateway.transaction import Transaction
from keys.signing import Jwk
from ledger.exchange import Reading, alone, together
from ledger.fixed import Call, Row
from ledger.log import Entry
from ledger.sets import both, pairs, to_insert, to_update
from ledger.tables import ledger_leaves

# Built once: building a statement costs more than running it.
USED = both(lambda among: sa.select(queries).where(among((queries.c.institution, queries.c.query), "ids")))
LEAVES = both(
    lambda among: sa.select(ledger_leaves.c.idx, ledger_leaves.c.leaf).where(
        ledger_leaves.c.shard == sa.bindparam("of_shard"), among(ledger_leaves.c.idx, "indexes")
    )
)
WRAPPED = both(lambda among: sa.select(data_keys).where(among(data_keys.c.subject, "subjects")))

COUNTED = ("consent", "uses", "changed_index", "mac")

Id = tuple[str, str]
"""Institution and query: a `query_id` is its institution's own."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Held:
    """Rows by their keys; grants, ids and leaves change as asks are ruled on.

    `whole`: tag and subject of those whose `revisions` are exactly what the ledger speaks of. `evident`: the
    names (`rows.about`) of those `grants` and `keys` that were what it last said of them when they were read;
    what changes here afterwards follows from an entry of this batch. `counted`: consent -> the entry that
    last used it, by which `to_write` protects its row. `spent`: rows of ids that are used up.
    """

    used: dict[Id, Used] = field(default_factory=dict)
    grants: dict[str, dict[str, Any]] = field(default_factory=dict)
    wrapped: dict[bytes, dict[str, Row]] = field(default_factory=lambda: defaultdict(dict))
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    institutions: dict[str, Standing] = field(default_factory=dict)
    operators: dict[tuple[str, str, str], Standing] = field(default_factory=dict)
    revisions: dict[bytes, Revisions] = field(default_factory=dict)
    whole: set[tuple[bytes, bytes]] = field(default_factory=set)
    evident: set[str] = field(default_factory=set)
    leaves: dict[int, bytes] = field(default_factory=dict)
    seal_to: Mapping[str, Jwk] = field(default_factory=dict)
    counted: dict[str, Entry] = field(default_factory=dict)
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

    def count_use(self, consent: str, use: int, entry: Entry) -> None:
        """The grant as an answer left it; its row is protected once all of the batch are ruled on."""
        self.grants[consent] = {**self.grants[consent], "uses": use}
        self.counted[consent] = entry


def id_of(ask: Ask) -> Id:
    """What an ask's `query_id` is kept under."""
    return ask.signer.institution, ask.query.query_id


def opening(conn: sa.Connection, asks: Sequence[Ask]) -> Reading[Held]:
    """Whether the ids of these asks were used before; nothing about anybody."""
    held = Held()
    for row in (yield Call(USED, pairs(conn, "ids", [id_of(ask) for ask in asks]))):
        held.used[row.institution, row.query] = Used(row.idx, row.body_mac, row.given, row.given_at)
    return held


def read(tx: Transaction, held: Held, asks: Sequence[Ask]) -> set[int]:
    """Everything else that the decisions on these asks need, in one exchange; none where there is no ask.

    Those (by `id`) whose look-up no longer holds.
    """
    if not asks:
        return set()
    shard = tx.house.shard
    consents = {ask.found.consent_id for ask in asks}
    subjects = sorted({ask.found.subject for ask in asks})
    answers = together(
        tx.conn,
        rows.reading_evident(grants, "consent", consents, shard),
        rows.reading_evident(citizen_keys, "subject", subjects, shard),
        _wrapped(subjects),
        _leaves(held, asks, shard),
        reading_standings(tx, institutions, [ask.signer.institution for ask in asks]),
        reading_signers_standings(tx, [ask.signer for ask in asks]),
        reading_batches(tx.house, [ask.found.tag for ask in asks if ask.found.consent is not None]),
        reading_encryption_keys(tx, {ask.signer.institution for ask in asks}),
        tx.appender.reading_subjects([ask.found.tag for ask in asks]),
    )
    found, keys, held.wrapped, held.leaves, held.institutions, held.operators, *answers = answers
    batches, held.seal_to, _ = answers
    held.grants = {row["consent"]: row for row in found}
    held.keys = {row["about"]: row for row in keys}
    moved = {id(ask) for ask in asks if _has_moved(tx, held, ask)}
    held.evident = {
        *_evident(tx, citizen_keys, held.keys, {ask.found.key for ask in asks}),
        *_evident(tx, grants, held.grants, consents),
    }
    _read_records(tx, held, [ask for ask in asks if id(ask) not in moved], batches)
    return moved


def _evident(
    tx: Transaction, table: sa.Table, there: Mapping[str, Mapping[str, Any]], wanted: set[str]
) -> list[str]:
    """The names of those wanted rows that are what the ledger last said of them, one after the other."""
    custody = tx.house.custody
    return [
        rows.about(table, name)
        for name in wanted & there.keys()
        if rows.is_evident(custody, table, there[name])
    ]


def _read_records(tx: Transaction, held: Held, asks: Sequence[Ask], batches: Mapping[bytes, Batches]) -> None:
    """What is held of each person, and whether it is what the ledger speaks of.

    It was read before the lock, and that serves while no leaf about it came since; else it is read once more.
    Then everybody is judged anew: two tags may lead to one person, whose rows are others now.
    """
    held.revisions = {ask.found.subject: ask.revisions for ask in asks}
    persons = {(ask.found.tag, ask.found.subject) for ask in asks if ask.found.consent is not None}

    def judge() -> set[tuple[bytes, bytes]]:
        whole = {one for one in persons if is_whole(tx.house, batches[one[0]], held.revisions[one[1]])}
        held.whole = whole
        return persons - whole

    stale = judge()
    if stale:
        held.revisions |= alone(tx.conn, reading_revisions({subject for _, subject in stale}))
        judge()


def _wrapped(subjects: Sequence[bytes]) -> Reading[dict[bytes, dict[str, Row]]]:
    """The wrapped data keys of each person, by class."""
    found: dict[bytes, dict[str, Row]] = defaultdict(dict)
    for row in (yield Call(WRAPPED, {"subjects": subjects})):
        found[row.subject][row.klass] = row
    return found


def _leaves(held: Held, asks: Sequence[Ask], shard: int) -> Reading[dict[int, bytes]]:
    """The leaves of answers that are asked for again; no statement where there is none."""
    used = [(held.used.get(id_of(ask)), ask.body_mac) for ask in asks]
    again = {before.index for before, mac in used if before is not None and is_again(before, mac)}
    if not again:
        return {}
    found = yield Call(LEAVES, {"of_shard": shard, "indexes": sorted(again, key=str)})
    return {row.idx: row.leaf for row in found if isinstance(row.leaf, bytes)}


def _has_moved(tx: Transaction, held: Held, ask: Ask) -> bool:
    """Whether the look-up no longer holds: the person's keys were replaced, or the consent is another."""
    found = ask.found
    if found.link is None:
        return found.rekeyed != tx.house.rekeyed
    link = held.wrapped[found.subject].get(LINK)
    if link is None or link.version != found.link[0]:
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
    if ask.link is not None and ask.found.link == (row.version, row.epoch, row.wrapped):
        return ask.link
    return tx.house.keyring.unwrap(row.subject, LINK, row.version, row.epoch, row.wrapped)


def to_write(tx: Transaction, held: Held) -> list[Call]:
    """What writes the rows that follow from the entries: use counts with their MACs, ids that are used up."""
    counted = [
        tx.protect(grants, rows.columns_of(grants, held.grants[consent]), held.counted[consent])
        for consent in sorted(held.counted)
    ]
    uses = [{name: row[name] for name in COUNTED} for row in counted]
    return [*to_update(tx.conn, grants, "consent", uses), *to_insert(tx.conn, queries, held.spent)]


def grant_of(held: Held, ask: Ask) -> Grant | None:
    """The asker's consent as it stands now, sound only if rows, leaves and proof agree; None without one."""
    found = ask.found
    row, key = held.grants.get(found.consent_id), held.keys.get(found.key)
    sound = (
        row is not None
        and key is not None
        and not found.broken
        and key["subject"] == found.subject
        and rows.about(citizen_keys, found.key) in held.evident
        and rows.about(grants, found.consent_id) in held.evident
        and digest(row["document"]) == found.stored
        and row["tag"] == found.tag
        and (found.tag, found.subject) in held.whole
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
        # Of rows that are not sound nothing is read: SQLite keeps whatever an intruder leaves in a column.
        key_live=sound and _was_live(key, row["grant_index"]),
        effective=max(found.effective, key["effective"]) if sound else found.effective,
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
