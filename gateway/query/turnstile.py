"""The turnstile: every ask of a batch is decided and recorded under the head's lock, in one transaction.

Invariant: check and record are one step. Nonce, standing, consent, use count and entry are read and written
under one lock and commit together; the reads are set-based, one statement per table for the whole batch.
Evidence that is broken refuses its own ask alone; the others of the batch go through.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import structlog

from consent import decision
from consent.decision import Grant, Permit, Reason, Refuse, Standing
from gateway import metrics, rows
from gateway.errors import ReplayedNonce
from gateway.institutions.standing import standings
from gateway.query.request import Ask
from gateway.records.holdings import Batches, batches_of, is_whole
from gateway.tables import citizen_keys, grants, institutions, operators, queries, records
from gateway.transaction import Transaction
from keys.canonical import b64u, canonical, sha256_hex
from ledger.log import Entry

# Built once: building a statement costs more than running it.
USED = sa.select(queries.c.institution, queries.c.query).where(
    sa.tuple_(queries.c.institution, queries.c.query).in_(sa.bindparam("ids", expanding=True))
)
REVISIONS = sa.select(records).where(records.c.subject.in_(sa.bindparam("subjects", expanding=True)))
COUNT_USE = (
    sa.update(grants)
    .where(grants.c.consent == sa.bindparam("key"))
    .values(uses=sa.bindparam("n"), changed_index=sa.bindparam("at"), mac=sa.bindparam("sum"))
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Disclosed:
    """A permitted query: its entry, what may be shown, and the stored revisions that it commits to."""

    entry: Entry
    scope: tuple[str, ...]
    subject: bytes
    revisions: tuple[sa.Row[Any], ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A refused query: its entry and why."""

    entry: Entry
    reason: Reason


Ruled = Disclosed | Refused | ReplayedNonce


@dataclass(slots=True)
class _Held:
    """What the batch's decisions read, all from under the lock; grants change as uses are counted."""

    grants: dict[str, dict[str, Any]]
    keys: dict[bytes, dict[str, Any]]
    institutions: dict[str, Standing]
    operators: dict[str, Standing]
    used: set[tuple[str, str]]
    revisions: dict[bytes, list[sa.Row[Any]]]
    batches: Mapping[bytes, Batches]
    counted: set[str]
    spent: list[dict[str, Any]]


def rule_batch(tx: Transaction, asks: Sequence[Ask]) -> list[Ruled]:
    """Rule on all asks of a batch; aligned with `asks`. A replayed nonce leaves no leaf."""
    fresh = tx.spend([ask.signer.nonce for ask in asks])
    live = [ask for ask, first in zip(asks, fresh, strict=True) if first]
    held = _read(tx, live)
    tx.appender.load_subjects([ask.found.tag for ask in live])
    ruled = [
        _rule(tx, held, ask) if first else ReplayedNonce() for ask, first in zip(asks, fresh, strict=True)
    ]
    _write(tx, held)
    return ruled


def _read(tx: Transaction, asks: Sequence[Ask]) -> _Held:
    """Everything the decisions need, one statement per table."""
    shard, conn = tx.house.shard, tx.conn
    consents = sorted({ask.found.consent_id for ask in asks})
    subjects = sorted({ask.found.subject for ask in asks})
    ids = [(ask.signer.institution, ask.query.query_id) for ask in asks]
    found_grants = rows.read_evident(conn, grants, "consent", consents, shard)
    found_keys = rows.read_evident(conn, citizen_keys, "subject", subjects, shard)
    used = conn.execute(USED, {"ids": ids})
    revisions: dict[bytes, list[sa.Row[Any]]] = defaultdict(list)
    for row in conn.execute(REVISIONS, {"subjects": subjects}):
        revisions[row.subject].append(row)
    return _Held(
        grants={row["consent"]: row for row in found_grants},
        keys={row["subject"]: row for row in found_keys},
        institutions=standings(tx, institutions, [ask.signer.institution for ask in asks]),
        operators=standings(tx, operators, [ask.signer.operator for ask in asks]),
        used={(row.institution, row.query) for row in used},
        revisions=revisions,
        batches=batches_of(tx.house, conn, [ask.found.tag for ask in asks if ask.found.consent is not None]),
        counted=set(),
        spent=[],
    )


def _rule(tx: Transaction, held: _Held, ask: Ask) -> Disclosed | Refused:
    """Decide one ask (pure) and append its entry."""
    query, signer = ask.query, ask.signer
    reused = (signer.institution, query.query_id) in held.used
    held.used.add((signer.institution, query.query_id))
    ruling = decision.decide(
        decision.Ask(
            institution=signer.institution,
            operator=signer.operator,
            purpose=query.purpose,
            categories=query.categories,
            answer=query.answer,
            statute=query.statute,
            person_matches=ask.found.person_matches,
            reused=reused,
        ),
        _grant(tx, held, ask),
        None,
        held.institutions.get(signer.institution),
        held.operators.get(signer.operator),
        tx.house.policy,
        tx.at,
    )
    if ask.found.broken and ruling == Refuse(Reason.NO_CONSENT):
        # There is a consent of the asker's, and it no longer verifies.
        ruling = Refuse(Reason.EVIDENCE_BROKEN)
    ruled: Disclosed | Refused
    if isinstance(ruling, Permit):
        metrics.DECISIONS.labels("query", "disclosed", "").inc()
        ruled = _disclose(tx, held, ask, ruling)
    else:
        metrics.DECISIONS.labels("query", "refused", ruling.reason.value).inc()
        ruled = _refuse(tx, ask, ruling.reason)
    if not reused:  # whatever the ruling: an asker without standing may have used the id before, too
        held.spent.append(
            {"institution": signer.institution, "query": query.query_id, "idx": ruled.entry.index}
        )
    return ruled


def _grant(tx: Transaction, held: _Held, ask: Ask) -> Grant | None:
    """The asker's consent as it stands now, sound only if rows, leaves and proof agree; None without one."""
    custody = tx.house.custody
    row, key = held.grants.get(ask.found.consent_id), held.keys.get(ask.found.subject)
    sound = (
        row is not None
        and key is not None
        and not ask.found.broken
        and rows.is_evident(custody, citizen_keys, key)
        and (ask.found.consent_id in held.counted or rows.is_evident(custody, grants, row))
        and row["document"] == ask.found.stored
        and row["tag"] == ask.found.tag
        and is_whole(tx.house, held.batches[ask.found.tag], held.revisions[ask.found.subject])
    )
    if ask.found.consent is None or row is None or key is None:
        if ask.found.broken:
            _alert(ask)
        return None
    if not sound:
        _alert(ask)
    return Grant(
        document=ask.found.consent,
        state=row["state"],
        uses=row["uses"],
        key_live=key["state"] == "live",
        effective=ask.found.effective,
        sound=sound,
    )


def _alert(ask: Ask) -> None:
    metrics.EVIDENCE_BROKEN.labels("grant").inc()
    log.error("evidence.broken", table="grants", key=ask.found.consent_id)


def _disclose(tx: Transaction, held: _Held, ask: Ask, permit: Permit) -> Disclosed:
    """Append `query.disclosed` and count the use."""
    query, row = ask.query, held.grants[ask.found.consent_id]
    shown = tuple(one for one in held.revisions[ask.found.subject] if one.category in permit.categories)
    hashes = sorted(one.revision_hash for one in shown)
    revisions_salt, request_salt = tx.house.random(16), tx.house.random(16)
    entry = tx.append(
        "query.disclosed",
        {
            "query": query.query_id,
            "grant": row["grant_index"],
            "purpose": query.purpose,
            "categories": list(permit.categories),
            "use": permit.use,
            "commitment": sha256_hex(revisions_salt + b"".join(hashes)),
            "request": request_hash(request_salt, ask.body),
        },
        tag=ask.found.tag,
        by=ask.signer.by,
        details={
            "request": dict(ask.body),
            "request_salt": b64u(request_salt),
            "revisions": [one.hex() for one in hashes],
            "revisions_salt": b64u(revisions_salt),
        },
        about=rows.about(grants, ask.found.consent_id),
    )
    counted = rows.columns_of(grants, row) | {"uses": permit.use}
    held.grants[ask.found.consent_id] = {**row, **tx.protect(grants, counted, entry)}
    held.counted.add(ask.found.consent_id)
    return Disclosed(entry, permit.categories, ask.found.subject, shown)


def _refuse(tx: Transaction, ask: Ask, reason: Reason) -> Refused:
    """Append `query.refused`."""
    salt = tx.house.random(16)
    entry = tx.append(
        "query.refused",
        {"query": ask.query.query_id, "reason": reason.value, "purpose": ask.query.purpose},
        tag=ask.found.tag,
        by=ask.signer.by,
        details={"request": dict(ask.body), "request_salt": b64u(salt)},
    )
    return Refused(entry, reason)


def request_hash(salt: bytes, body: Any) -> str:
    """SHA-256(salt || JCS(body)), hex: what a leaf says of a request (FORMATS, ledger leaf)."""
    return sha256_hex(salt + canonical(body))


def _write(tx: Transaction, held: _Held) -> None:
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
