"""A statutory query is submitted (提交): recorded, and left to wait for another person's approval.

Invariant: nothing about the person is read but the tag, and the reply is the same for somebody nobody knows,
made by the same statements and the same crypto. With a deferral all leaves of the query stand under a
one-time tag, which only `query.unsealed` joins to the person. Nothing else is deferred: what is refused when
it is submitted stands under the person's tag at once, for there is no query that could ever be unsealed.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from consent.asks import Refuse
from gateway import metrics
from gateway.people.subjects import find_by_number
from gateway.query.quota import Charge, take_one
from gateway.query.request import Query, Signer
from gateway.query.ruled import Refused, Throttled
from gateway.query.statutory.leaves import refuse
from gateway.query.statutory.rule import NO_STANDING, deferral_days, rule_submission
from gateway.query.statutory.stored import Held, Matter, about_query, held_query, store
from gateway.tables import queries
from gateway.transaction import Transaction
from keys.canonical import b64u
from keys.instant import DAY, HOUR, format_instant

if TYPE_CHECKING:
    from gateway.house import House


@dataclass(frozen=True, slots=True)
class Submitted:
    """A recorded query: its state, what its approver signs for, and until when (ms, exclusive)."""

    query: str
    state: str
    request_sha256: str
    approve_before: int
    index: int

    def members(self) -> dict[str, Any]:
        """The body of the 202."""
        return {
            "query_id": self.query,
            "state": self.state,
            "request_sha256": self.request_sha256,
            "approve_before": format_instant(self.approve_before),
            "index": self.index,
        }


@dataclass(frozen=True, slots=True)
class _Submission:
    """One query on its way under the lock; `one_time` is a tag that is nobody's."""

    matter: Matter
    signer: Signer
    one_time: bytes


def submit(
    house: House, query: Query, body: Mapping[str, Any], signer: Signer, citizen_number: str
) -> Submitted | Refused | Throttled:
    """Record a statutory query about the person with this canonical citizen number, or its refusal.

    The same again, by the same operator, is recorded once. `ReplayedNonce` for a request seen before.
    """
    matter = Matter(query, dict(body), citizen_number, house.random(16), house.random(16))
    asked = _Submission(matter, signer, house.random(16))
    return house.transact(lambda tx: _submit(tx, asked), nonce=signer.nonce)


def submitted(held: Held) -> Submitted:
    """What a query's submission was, or would again be, answered with."""
    row = held.row
    return Submitted(
        row["query"], held.state, held.matter.request_sha256, row["lapses_at"], row["pending_index"]
    )


def _submit(tx: Transaction, asked: _Submission) -> Submitted | Refused | Throttled:
    query, signer = asked.matter.query, asked.signer
    earlier = held_query(tx, signer.institution, query.query_id)
    repeated = earlier is not None and _is_same(earlier, asked)
    reused = _is_used(tx, signer.institution, query.query_id)
    ruling = rule_submission(tx, query, signer, reused=reused and not repeated)
    without_standing = isinstance(ruling, Refuse) and ruling.reason in NO_STANDING
    if earlier is not None and repeated and not without_standing:
        return submitted(earlier)
    days = 0 if isinstance(ruling, Refuse) else deferral_days(tx, query)
    person = find_by_number(tx.house, tx.conn, asked.matter.number)  # under the lock: nobody enrols meanwhile
    tag = person.tag if person.known and not days else asked.one_time
    if earlier is not None and repeated:
        tag = earlier.tag  # what waits already is told when it is told, and the attempt to repeat it with it
    outcome = (
        refuse(tx, query, ruling.reason, tag=tag, by=signer, request=asked.matter.request)
        if isinstance(ruling, Refuse)
        else _record(tx, asked, tag, days)
    )
    if not reused and not isinstance(outcome, Throttled):
        index = outcome.entry.index if isinstance(outcome, Refused) else outcome.index
        used = {"institution": signer.institution, "query": query.query_id, "idx": index}
        tx.conn.execute(queries.insert(), used)
    return outcome


def _is_same(earlier: Held, asked: _Submission) -> bool:
    same = hmac.compare_digest(earlier.matter.request_sha256, asked.matter.request_sha256)
    return same and earlier.row["operator"] == asked.signer.operator


def _is_used(tx: Transaction, institution: str, query: str) -> bool:
    used = sa.select(queries.c.idx).where(queries.c.institution == institution, queries.c.query == query)
    return tx.conn.scalar(used) is not None


def _record(tx: Transaction, asked: _Submission, tag: bytes, days: int) -> Submitted | Throttled:
    matter, signer = asked.matter, asked.signer
    turned_away = take_one(tx, Charge(signer.institution, signer.operator, matter.query.purpose))
    if turned_away is not None:
        return turned_away
    deferred_until = tx.at + days * DAY if days else None
    entry = tx.append(
        "query.pending",
        {
            "query": matter.query.query_id,
            "statute": {"code": matter.statute.code, "document": matter.document_hash},
            "purpose": matter.query.purpose,
            "categories": list(matter.query.categories),
            "answer": matter.query.answer,
            "request": matter.request_hash,
        }
        | ({} if deferred_until is None else {"deferred_until": format_instant(deferred_until)}),
        tag=tag,
        by=signer.by,
        details=matter.sealed_request | {"document_salt": b64u(matter.document_salt)},
        about=about_query(signer.institution, matter.query.query_id),
    )
    lapses_at = tx.at + tx.policy.retention.approval_hours * HOUR
    columns = {
        "institution": signer.institution,
        "query": matter.query.query_id,
        "tag": tag,
        "operator": signer.operator,
        "statute": matter.statute.code,
        "lapses_at": lapses_at,
        "deferred_until": deferred_until,
    }
    state = store(tx, entry, matter, columns)
    metrics.DECISIONS.labels("query", "pending", "").inc()
    return Submitted(matter.query.query_id, state, matter.request_sha256, lapses_at, entry.index)
