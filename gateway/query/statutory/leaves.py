"""Leaves of a statutory query other than its answer: the refusals that end it, and those that do not.

Invariant: what ends a query names its `query.pending` and changes its row; what was only attempted (an
approval by somebody who may not, a collection too late) is an ordinary refusal, stands under the same tag and
leaves the query as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from consent.asks import Reason
from gateway import metrics
from gateway.errors import EvidenceBroken
from gateway.query.quota import Charge, take_one
from gateway.query.record_leaf import request_of
from gateway.query.ruled import Refused, Throttled
from gateway.query.statutory.stored import DENIED, LAPSED, REFUSED, Held, about_query, change
from keys.canonical import canonical
from ledger.bodies import QueryRefused
from ledger.entries import parse_leaf

if TYPE_CHECKING:
    from gateway.query.request import Query, Signer
    from gateway.transaction import Transaction

_STATES = {Reason.APPROVAL_DENIED: DENIED, Reason.APPROVAL_LAPSED: LAPSED}


def end(tx: Transaction, held: Held, reason: Reason, by: Mapping[str, str] | None) -> Refused:
    """End a pending query without an answer, for good. `by` is absent when nobody but time did."""
    entry = tx.append(
        "query.refused",
        _body(held.matter.query, reason) | {"pending": held.row["pending_index"]},
        tag=held.tag,
        by=by,
        details=held.matter.sealed_request,
        about=about_query(held.row["institution"], held.row["query"]),
    )
    change(tx, held, entry, state=_STATES.get(reason, REFUSED), answer_index=entry.index)
    _count(reason)
    return Refused(entry, reason)


def refuse(
    tx: Transaction,
    query: Query,
    reason: Reason,
    *,
    tag: bytes,
    by: Signer,
    request: Mapping[str, Any],
) -> Refused | Throttled:
    """Record an attempt that changes nothing, or count it only; `request` is the body that is sealed."""
    turned_away = take_one(tx, Charge(by.institution, by.operator, query.purpose))
    if turned_away is not None:
        return turned_away
    details = request_of(canonical(dict(request)), tx.house.random).sealed
    entry = tx.append("query.refused", _body(query, reason), tag=tag, by=by.by, details=details)
    _count(reason)
    return Refused(entry, reason)


def recorded_refusal(tx: Transaction, held: Held) -> Refused:
    """The refusal that ended a query, as its leaf says."""
    entry = tx.entry(held.row["answer_index"])
    body = parse_leaf(entry.leaf).body
    if not isinstance(body, QueryRefused):
        raise EvidenceBroken("a refused query names another leaf than its refusal")
    return Refused(entry, Reason(body.reason))


def _body(query: Query, reason: Reason) -> dict[str, Any]:
    return {"query": query.query_id, "reason": reason.value, "purpose": query.purpose}


def _count(reason: Reason) -> None:
    metrics.DECISIONS.labels("query", "refused", reason.value).inc()
