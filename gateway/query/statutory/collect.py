"""The requester collects what became of a statutory query.

Invariant: only the operator who asked is answered, and only while the statute and the policy's hours still
allow it. Each delivery is a leaf of its own, `query.redelivered`, committed before anything leaves. What is
given is made of exactly the revisions that the answer's leaf commits to, as of that leaf, if all that were
shown then may be shown still.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from consent.asks import Reason, Refuse
from consent.predicates import PredicateRule, predicate_name
from gateway import metrics
from gateway.errors import Rejected
from gateway.institutions.published import encryption_keys_of
from gateway.keyring import wrapped_of
from gateway.query.quota import Charge, take_one
from gateway.query.redeliver import rule_then, same_revisions
from gateway.query.request import Signer
from gateway.query.ruled import Disclosed, Refused, Throttled
from gateway.query.statutory.leaves import end, recorded_refusal, refuse
from gateway.query.statutory.person import find
from gateway.query.statutory.rule import NO_STANDING, rule_collection
from gateway.query.statutory.stored import APPROVED, PENDING, Held, held_query
from gateway.query.statutory.submit import Submitted, submitted
from gateway.transaction import Transaction
from ledger.entries import parse_leaf
from ledger.log import Entry

if TYPE_CHECKING:
    from gateway.house import House

Collected = Submitted | Disclosed | Refused | Throttled


def collect(house: House, query: str, signer: Signer) -> Collected:
    """What became of the signer's own statutory query: it waits, was refused, or may be answered now.

    `Rejected` (`not-found`) for a query that is none, another operator's or another institution's. What is
    `Disclosed` is recorded, and still to be delivered.
    """
    return house.transact(lambda tx: _collect(tx, query, signer), nonce=signer.nonce)


def _collect(tx: Transaction, query: str, signer: Signer) -> Collected:
    held = held_query(tx, signer.institution, query)
    if held is None or held.row["operator"] != signer.operator:
        raise Rejected("not-found")
    first = tx.entry(held.row["answer_index"]) if held.state == APPROVED else None
    ruling = rule_collection(tx, held, signer, tx.at if first is None else first.at)
    if isinstance(ruling, Refuse) and ruling.reason in NO_STANDING:
        return _refuse(tx, held, ruling.reason, signer)
    if held.state == PENDING:
        waits = tx.at < held.row["lapses_at"]
        return submitted(held) if waits else end(tx, held, Reason.APPROVAL_LAPSED, None)
    if first is None:
        return recorded_refusal(tx, held)
    if isinstance(ruling, Refuse):
        return _refuse(tx, held, ruling.reason, signer)
    return _answer(tx, held, first, signer)


def _answer(tx: Transaction, held: Held, first: Entry, signer: Signer) -> Disclosed | Refused | Throttled:
    """Give what the leaf `first` commits to, if all of it may be shown still."""
    found = find(tx, held)
    if found.wrong is not None:
        return _refuse(tx, held, found.wrong, signer)
    given = same_revisions(found.revisions, set(held.matter.given), first.at, tx.at)
    if given is None:
        return _refuse(tx, held, Reason.ANSWER_GONE, signer)
    query = held.matter.query
    turned_away = take_one(tx, Charge(signer.institution, signer.operator, query.purpose), again=True)
    if turned_away is not None:
        return turned_away
    entry = tx.append("query.redelivered", {"of": first.index}, tag=held.tag, by=signer.by)
    metrics.DECISIONS.labels("query", "redelivered", "").inc()
    return Disclosed(
        entry=entry,
        decision="redelivered",
        institution=signer.institution,
        query=query.query_id,
        purpose=query.purpose,
        answer=query.answer,
        scope=query.categories,
        tag=held.tag,
        subject=found.subject,
        revisions=given,
        wrapped=wrapped_of(tx.conn, found.subject),
        at=first.at,
        rule=_predicate(tx, query.answer, first),
        seal_to=encryption_keys_of(tx, [signer.institution]).get(signer.institution),
    )


def _predicate(tx: Transaction, answer: str, first: Entry) -> PredicateRule | None:
    """The predicate of an answer as the policy stated it when the answer was recorded; None for a report."""
    name = predicate_name(answer)
    return None if name is None else rule_then(tx, parse_leaf(first.leaf).policy, name)


def _refuse(tx: Transaction, held: Held, reason: Reason, signer: Signer) -> Refused | Throttled:
    matter = held.matter
    return refuse(tx, matter.query, reason, tag=held.tag, by=signer, request=matter.request)
