"""A statutory query is approved (批准) or denied by another person with another key.

Invariant: check and record are one step. Standing of institution, requester and approver, the statute, the
deadline and the person's records are read under the lock that the answer's leaf is appended under; the
revisions that it commits to are the ones that can be collected, and the approver never sees any. The steps
and the reply are the same for somebody nobody knows.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from consent.asks import Reason, Refuse
from gateway import metrics
from gateway.errors import Rejected
from gateway.query.record_leaf import record_answer
from gateway.query.request import Approval, Request, Signer
from gateway.query.ruled import Refused, Throttled
from gateway.query.statutory.leaves import end, refuse
from gateway.query.statutory.person import Found, find
from gateway.query.statutory.rule import NO_STANDING, rule_approval
from gateway.query.statutory.stored import APPROVED, DENIED, PENDING, Held, about_query, change, held_query
from gateway.transaction import Transaction
from keys.canonical import b64u
from ledger.log import Entry

if TYPE_CHECKING:
    from gateway.house import House


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a query by its approver's word: `approved` or `denied`, and the leaf that says so."""

    query: str
    state: str
    index: int

    def members(self) -> dict[str, Any]:
        """The body of the reply."""
        return {"query_id": self.query, "state": self.state, "index": self.index}


def settle(
    house: House, approval: Approval, body: Mapping[str, Any], signer: Signer
) -> Settled | Refused | Throttled:
    """Record one person's word on another's query.

    `Rejected` when there is no such query of this institution (`not-found`), when it was settled before
    (`already-answered`), and when what was signed is another request (`approval-mismatch`).
    """
    return house.transact(lambda tx: _settle(tx, approval, body, signer), nonce=signer.nonce)


def _settle(
    tx: Transaction, approval: Approval, body: Mapping[str, Any], signer: Signer
) -> Settled | Refused | Throttled:
    held = held_query(tx, signer.institution, approval.query_id)
    if held is None:
        raise Rejected("not-found")
    ruling = rule_approval(tx, held, signer)
    if isinstance(ruling, Refuse) and ruling.reason in NO_STANDING:
        return refuse(tx, held.matter.query, ruling.reason, tag=held.tag, by=signer, request=body)
    if held.state != PENDING:
        raise Rejected("already-answered")
    if ruling == Refuse(Reason.APPROVAL_LAPSED):
        return end(tx, held, Reason.APPROVAL_LAPSED, None)
    if not hmac.compare_digest(held.matter.request_sha256, approval.request_sha256):
        raise Rejected("approval-mismatch")
    if approval.decision == "deny":
        return Settled(
            approval.query_id, DENIED, end(tx, held, Reason.APPROVAL_DENIED, signer.by).entry.index
        )
    if isinstance(ruling, Refuse):
        return end(tx, held, ruling.reason, signer.by)
    found = find(tx, held)
    # Of a newcomer there may be records by now: nothing may be said as of now, and the asker asks anew.
    wrong = Reason.ANSWER_GONE if found.newcomer else found.wrong
    if wrong is not None:
        return end(tx, held, wrong, signer.by)
    return Settled(approval.query_id, APPROVED, _approve(tx, held, found, signer).index)


def _approve(tx: Transaction, held: Held, found: Found, approver: Signer) -> Entry:
    """Append the answer's leaf: by the requester, approved by `approver`, committing to what was found."""
    query, matter = held.matter.query, held.matter
    statute = {
        "code": matter.statute.code,
        "document": matter.document_hash,
        "approver": approver.operator,
        "pending": held.row["pending_index"],
    }
    hashes = tuple(sorted(one.revision_hash for one in found.revisions))
    entry = record_answer(
        tx,
        query,
        Request(matter.request_hash, matter.sealed_request | {"document_salt": b64u(matter.document_salt)}),
        {"statute": statute},
        hashes,
        tag=held.tag,
        by={"institution": held.row["institution"], "operator": held.row["operator"]},
        about=about_query(held.row["institution"], query.query_id),
    ).entry
    given = replace(matter, given=hashes)
    change(tx, held, entry, given, state=APPROVED, answer_index=entry.index)
    metrics.DECISIONS.labels("query", entry.type.partition(".")[2], "").inc()
    return entry
