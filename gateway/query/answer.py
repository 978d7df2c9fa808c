"""The hot path of the authorised query, on one screen.

    1 find      the consent that the query names; the citizen's proof and certificate verify (cached)
    2 rule      decided and recorded with the batch, under the head's lock; durable when it returns
    3 refuse    a refusal has a signed receipt too
    4 open      only the revisions that were permitted are decrypted, outside the lock
    5 minimise  cut to consent, purpose and catalogue (pure)
    6 sign      the receipt covers the answer's hash; now it may leave

Invariant: log before release. Nothing leaves before its entry is committed; what fails after the commit is
said in the ledger too (`query.undelivered`) and answered with 503.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from consent.decision import Reason
from gateway import metrics
from gateway.errors import ReplayedNonce, Undelivered
from gateway.query.lookup import look_up
from gateway.query.minimise import minimise
from gateway.query.request import Ask, Query, Signer
from gateway.query.turnstile import Disclosed, rule_batch
from gateway.records.store import open_revisions
from gateway.transaction import Transaction
from keys.canonical import canonical, sha256_hex
from keys.instant import format_instant
from ledger.log import Entry

if TYPE_CHECKING:
    from gateway.house import House

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What leaves: the answer and the receipt that covers it."""

    answer: dict[str, Any] = field(repr=False)
    receipt: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing leaves, and the receipt of that."""

    reason: Reason
    receipt: str


def answer(house: House, query: Query, body: dict[str, Any], signer: Signer) -> Answer | Refusal:
    """Answer one credit query. `ReplayedNonce` for a request seen before, `Undelivered` if it fails late."""
    ask = look_up(house, query, body, signer)  # 1
    ruled = house.lane.submit(rule_batch, ask)  # 2
    if isinstance(ruled, ReplayedNonce):
        raise ruled
    if not isinstance(ruled, Disclosed):  # 3
        receipt = house.receipts.of_query(ruled.entry, query.query_id, "refused", reason=ruled.reason.value)
        return Refusal(ruled.reason, receipt)
    try:
        return deliver(house, ask, ruled)
    except Exception as error:  # whatever it was, the ledger must say that the answer did not leave
        raise _undelivered(house, ask, ruled.entry) from error


def deliver(house: House, ask: Ask, ruled: Disclosed) -> Answer:
    """Steps 4 to 6: open, minimise, sign."""
    records = open_revisions(house, ruled.subject, ruled.revisions)  # 4
    cut = {
        "type": "chengxin/answer/v1",
        "query_id": ask.query.query_id,
        "purpose": ask.query.purpose,
        "as_of": format_instant(ruled.entry.at),
        "records": minimise(records, ruled.scope, ruled.entry.at),  # 5
    }
    digest = sha256_hex(canonical(cut))
    receipt = house.receipts.of_query(ruled.entry, ask.query.query_id, "disclosed", answer_sha256=digest)  # 6
    return Answer(cut, receipt)


def _undelivered(house: House, ask: Ask, entry: Entry) -> Undelivered:
    def say(tx: Transaction) -> Entry:
        return tx.append("query.undelivered", {"of": entry.index}, tag=ask.found.tag)

    metrics.UNDELIVERED.inc()
    said = house.transact(say, seals=False)
    log.error("query.undelivered", index=entry.index, said=said.index)
    return Undelivered(entry.index, said.index)
