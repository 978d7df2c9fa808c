"""The hot path of the authorised query, on one screen.

    1 find      the consent that the query names; the citizen's proof and certificate verify (cached)
    2 rule      decided and recorded with the batch, under the head's lock; durable when it returns
    3 refuse    a refusal has a signed receipt too; what is beyond a quota has none
    4 open      only the revisions that were permitted are decrypted, outside the lock
    5 minimise  cut to consent, purpose and catalogue, or to a yes or no (pure)
    6 sign      the receipt covers the answer's hash; now it may leave

Of a batch, each of the steps 4 to 6 is done for all that was disclosed before the next (`stages`, ADR 22);
what was refused is said after them (3).

Invariant: log before release. Nothing leaves before its entry is committed; what fails after the commit is
said in the ledger too (`query.undelivered`) and answered with 503.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import structlog

from consent.asks import Reason
from consent.predicates import PredicateRule, predicate_name
from gateway import metrics, tracing
from gateway.errors import EvidenceBroken, LedgerUnavailable, Undelivered
from gateway.keyring import DataKey
from gateway.logs import current_request
from gateway.query.lookup import prepare
from gateway.query.minimise import Record, minimise
from gateway.query.predicates import evaluate
from gateway.query.request import Ask, Asked, Query, Signer
from gateway.query.ruled import Disclosed, Moved, Refused, Ruled, Throttled
from gateway.query.stages import each
from gateway.query.turnstile import rule_batch
from gateway.records.rows import china_day
from gateway.records.store import decrypt, unwrap_keys
from gateway.transaction import Transaction
from keys.canonical import Fragment, canonical, parse_canonical, sha256_hex
from keys.instant import format_instant
from keys.jwe import seal_answer
from keys.values import Value
from ledger.log import Entry

if TYPE_CHECKING:
    from gateway.house import House

LOOKS = 8
"""How often a person is looked up again whose keys were replaced meanwhile; that does not happen twice."""


Outcome: TypeAlias = Ruled | BaseException

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What leaves: the answer (JCS) and the receipt that covers it; `jwe` in its place for who has a key."""

    jcs: bytes = field(repr=False)
    receipt: str
    jwe: str | None = field(default=None, repr=False)

    @property
    def answer(self) -> Any:
        """What was answered, read from its bytes."""
        return parse_canonical(self.jcs)

    def body(self) -> bytes:
        """The body of the reply (JCS): an institution with an encryption key gets nothing in clear."""
        said: dict[str, Any] = {"answer": Fragment(self.jcs)} if self.jwe is None else {"jwe": self.jwe}
        return canonical(said | {"receipt": self.receipt})


class Unmade(Value, frozen=True):
    """Disclosed in the ledger, and what kept its answer from being made."""

    ruled: Disclosed
    error: BaseException


Made: TypeAlias = Outcome | Answer | Unmade
"""What became of one query: as `rule` left it, or its answer, or why there is none."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing leaves, and the receipt of that."""

    reason: Reason
    receipt: str


def answer(house: House, query: Query, body: dict[str, Any], signer: Signer) -> Answer | Refusal | Throttled:
    """Answer one credit query. `ReplayedNonce` for a request seen before, `Undelivered` if it fails late."""
    [made] = make(house, rule(house, [Asked(query, body, signer, current_request())]))
    return conclude(house, query.query_id, made)


def rule(house: House, asked: Sequence[Asked], looks: int = LOOKS) -> list[Outcome]:
    """Steps 1 and 2 for all of these together; aligned. An error is the outcome of those it befell alone."""
    try:
        asks = prepare(house, asked)  # 1
    except Exception as error:  # noqa: BLE001  raised again for each by `conclude`
        return [error for _ in asked]
    outcomes: list[Outcome] = [one if isinstance(one, BaseException) else Moved() for one in asks]
    ready = {place: one for place, one in enumerate(asks) if isinstance(one, Ask)}
    slots = house.lane.submit_all(  # 2
        rule_batch, list(ready.values()), [asked[place].request for place in ready]
    )
    moved = []
    for (place, ask), slot in zip(ready.items(), slots, strict=True):
        outcomes[place] = slot.outcome
        if isinstance(slot.outcome, Moved):
            house.known.forget(ask.signer.institution, ask.found)
            moved.append(place)
    if moved and looks > 1:
        again = rule(house, [asked[place] for place in moved], looks - 1)
        for place, outcome in zip(moved, again, strict=True):
            outcomes[place] = outcome
    return outcomes


def make(house: House, outcomes: Sequence[Outcome]) -> list[Made]:
    """Steps 4 to 6 for whatever of these was disclosed, a stage at a time; aligned, the others as they are.

    What keeps one answer from being made is its own (`Unmade`); `conclude` says it in the ledger.
    """
    made: list[Made] = list(outcomes)
    disclosed = {place: one for place, one in enumerate(outcomes) if isinstance(one, Disclosed)}
    if not disclosed:
        return made
    with tracing.span("query.deliver"):
        opened = each(_open, each(partial(_unwrap, house), disclosed.values()))  # 4; the keys end here
        written = each(_write, opened)  # 5
        signed = each(partial(_sign, house), written)  # 6
    for (place, ruled), answered in zip(disclosed.items(), signed, strict=True):
        made[place] = Unmade(ruled, answered) if isinstance(answered, BaseException) else answered
    return made


def conclude(house: House, query: str, made: Made) -> Answer | Refusal | Throttled:
    """What one of them is told: its answer, or its refusal with a receipt (3).

    Raises what befell it, errors as `answer`'s.
    """
    if isinstance(made, Answer | Throttled):
        return made
    if isinstance(made, Refused):
        receipt = house.receipts.of_query(made.entry, query, "refused", reason=made.reason.value)
        return Refusal(made.reason, receipt)
    if isinstance(made, Unmade):  # whatever it was, the ledger must say that the answer did not leave
        raise _undelivered(house, made.ruled) from made.error
    if isinstance(made, BaseException):
        raise made
    if isinstance(made, Moved):
        raise LedgerUnavailable("this person's keys are being replaced all the time")
    raise AssertionError("what was disclosed has to be made first")


def deliver(house: House, ruled: Disclosed) -> Answer:
    """Steps 4 to 6 for one ruling. `Undelivered`, said in the ledger, when any of them fails."""
    [made] = make(house, [ruled])
    said = conclude(house, ruled.query, made)
    if not isinstance(said, Answer):
        raise AssertionError("what was disclosed is answered")
    return said


def _unwrap(house: House, ruled: Disclosed) -> tuple[Disclosed, dict[str, DataKey]]:
    return ruled, unwrap_keys(house, ruled.revisions, ruled.wrapped)


def _open(unwrapped: tuple[Disclosed, dict[str, DataKey]]) -> tuple[Disclosed, list[Record]]:
    ruled, keys = unwrapped
    return ruled, decrypt(keys, ruled.revisions)


def _write(opened: tuple[Disclosed, list[Record]]) -> tuple[Disclosed, bytes]:
    ruled, records = opened
    return ruled, canonical(make_answer(ruled, records))


def _sign(house: House, written: tuple[Disclosed, bytes]) -> Answer:
    ruled, jcs = written
    jwe = None if ruled.seal_to is None else seal_answer(jcs, ruled.seal_to)
    digest = sha256_hex(jcs)
    receipt = house.receipts.of_query(ruled.entry, ruled.query, ruled.decision, answer_sha256=digest)
    return Answer(jcs, receipt, jwe)


def make_answer(ruled: Disclosed, records: list[Record]) -> dict[str, Any]:
    """What is answered from the records it was ruled on: of the same ruling always the same bytes.

    What was asked says of which kind: `EvidenceBroken` for a yes or no without its rule, never a report.
    """
    name, rule = predicate_name(ruled.answer), ruled.rule
    if name is not None:
        if rule is None or rule.name != name:
            raise EvidenceBroken("a yes or no was asked for, and its rule is missing")
        return _yes_or_no(rule, records, ruled.at)
    return {
        "type": "chengxin/answer/v1",
        "query_id": ruled.query,
        "purpose": ruled.purpose,
        "as_of": format_instant(ruled.at),
        "records": {
            category: [Fragment(record.stored) for record in shown]
            for category, shown in minimise(records, ruled.scope, ruled.at).items()
        },
    }


def _yes_or_no(rule: PredicateRule, records: list[Record], at: int) -> dict[str, Any]:
    """The answer to a predicate: the rule's name and text, the day in China, yes or no, and nothing else."""
    return {
        "type": "chengxin/predicate-answer/v1",
        "predicate": rule.name,
        "rule": {"en": rule.text_en, "zh": rule.text_zh},
        "as_of": china_day(at).isoformat(),
        "answer": "yes" if evaluate(rule.name, records, at) else "no",
    }


def _undelivered(house: House, ruled: Disclosed) -> Undelivered:
    def say(tx: Transaction) -> Entry:
        return tx.append("query.undelivered", {"of": ruled.entry.index}, tag=ruled.tag)

    metrics.UNDELIVERED.inc()
    said = house.transact(say, seals=False)
    log.error("query.undelivered", index=ruled.entry.index, said=said.index)
    return Undelivered(ruled.entry.index, said.index)
