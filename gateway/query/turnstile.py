"""The turnstile: every ask of a batch is decided and recorded under the head's lock, in one transaction.

    1 nonce    spent, whatever becomes of the ask; one seen before is turned away and leaves nothing
    2 quota    what is beyond it is counted and leaves no leaf
    3 decide   pure, over what was read of the whole batch: one statement a table
    4 record   the leaf of each ruling, then the rows that follow from it

Invariant: check and record are one step. Nonce, quota, standing, consent, use count and entry are read and
written under one lock and commit together. Evidence that is broken refuses its own ask alone; the others of
the batch go through. Where it is the head of a person's chain, no leaf can follow: those asks fail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa

from consent import decision
from consent.asks import Permit, Reason, Refuse, Ruling
from consent.predicates import PredicateRule, predicate_name
from gateway import metrics, rows
from gateway.errors import EvidenceBroken, NotReady, ReplayedNonce
from gateway.query import held as holding
from gateway.query import quota, redeliver
from gateway.query.held import Held, Id, grant_of, id_of
from gateway.query.predicates import only_applicable
from gateway.query.quota import Charge, Meter
from gateway.query.record_leaf import record_answer, record_refusal
from gateway.query.redeliver import Recalled, Used
from gateway.query.request import Ask
from gateway.query.ruled import Disclosed, Moved, Refused, Ruled, Throttled
from gateway.tables import grants
from gateway.transaction import Transaction, reading_spent
from gateway.work import Grouped
from ledger.exchange import Reading, alone
from ledger.fixed import Row
from ledger.log import Entry

if TYPE_CHECKING:
    from gateway.house import House


def _reading_first(house: House, conn: sa.Connection, asks: Sequence[Ask]) -> list[Reading[Any]]:
    """Whether these may be asked at all: read with the lock itself, and nothing about anybody."""
    return [
        reading_spent(conn, [ask.signer.nonce for ask in asks]),
        holding.opening(conn, asks),
        quota.reading_ahead(conn, house.policy, [_charge(ask) for ask in asks]),
    ]


def _rule_batch(
    tx: Transaction,
    asks: Sequence[Ask],
    spent: Set[tuple[str, str]],
    held: Held,
    counters: quota.Counters,
) -> list[Ruled]:
    """Rule on all asks of a batch; aligned with `asks`. What is replayed or beyond a quota leaves no leaf.

    Nothing at all is done for one whose look-up no longer holds: it has to be looked up again. Until that is
    known it counts against the quotas, so that another of the same batch may be turned away for it.
    """
    meter = Meter(tx, counters)
    alone(tx.conn, meter.read([_charge(ask) for ask in asks]))
    fresh = tx.are_fresh([ask.signer.nonce for ask in asks], spent)  # 1
    live = [ask for ask, first in zip(asks, fresh, strict=True) if first]
    ahead = _take_ahead(meter, held.used, live)  # 2
    heard = [ask for ask in live if ahead.get(id(ask)) is None]
    moved = holding.read(tx, held, heard)
    for ask in heard:
        if id(ask) in moved and id(ask) in ahead:
            meter.give_back(_charge(ask))
    ruled: list[Ruled] = []
    for ask, first in zip(asks, fresh, strict=True):
        if not first:
            ruled.append(ReplayedNonce())
        elif id(ask) in moved:
            ruled.append(Moved())
        elif not tx.appender.continues(ask.found.tag):
            holding.alert("ledger_subjects", ask.query.query_id)
            ruled.append(EvidenceBroken("the head of a person's chain is none"))
        else:  # 3, 4
            ruled.append(ahead.get(id(ask)) or _rule(tx, held, meter, ask, taken=id(ask) in ahead))
    kept = tx.to_keep([ask.signer.nonce for ask in live if id(ask) not in moved])
    tx.write_later([*kept, *meter.to_write(), *holding.to_write(tx, held)])
    return ruled


rule_batch = Grouped(_reading_first, _rule_batch)
"""What `House.lane` carries asks by."""


def _take_ahead(meter: Meter, used: Mapping[Id, Used], asks: Sequence[Ask]) -> dict[int, Throttled | None]:
    """Take from the quotas for what is asked for the first time, before anything else of it is read.

    By `id` of the ask: None where it was counted. What was asked before is not there: an answer given again
    counts for less than a refusal, so it is counted once ruled on; with no room for either it is turned away.
    """
    seen, ahead = set(used), {}
    for ask in asks:
        again = id_of(ask) in seen
        seen.add(id_of(ask))
        throttled = meter.turn_away(_charge(ask)) if again else meter.take(_charge(ask))
        if throttled is not None or not again:
            ahead[id(ask)] = throttled
    return ahead


def _rule(
    tx: Transaction, held: Held, meter: Meter, ask: Ask, *, taken: bool
) -> Disclosed | Refused | Throttled:
    """Decide one ask (pure) and append its entry; `taken` when it was counted already."""
    used = held.used.get(id_of(ask))
    if used is not None and redeliver.is_again(used, ask.body_mac):
        return _rule_again(tx, held, meter, ask, used)
    ruling = decision.decide(
        _decided(ask, reused=used is not None),
        grant_of(held, ask),
        None,
        held.institutions.get(ask.signer.institution),
        held.operators.get(ask.signer.known_by),
        tx.policy,
        tx.at,
    )
    ruling = _sobered(ask, ruling)
    throttled = None if taken else meter.take(_charge(ask))
    if throttled is not None:
        return throttled
    if isinstance(ruling, Permit):
        return _disclose(tx, held, ask, ruling)
    return _refuse(tx, held, ask, ruling.reason)


def _rule_again(
    tx: Transaction, held: Held, meter: Meter, ask: Ask, used: Used
) -> Disclosed | Refused | Throttled:
    """Decide whether an answer is given again, without a use. Only a refusal counts for the purpose."""
    ruling = decision.decide_redelivery(
        _decided(ask),
        grant_of(held, ask),
        None,
        held.institutions.get(ask.signer.institution),
        held.operators.get(ask.signer.known_by),
        tx.policy,
        tx.at,
        used.given_at or 0,
    )
    recalled = _recalled(tx, held, ask, used, _sobered(ask, ruling))
    throttled = meter.take(_charge(ask), again=isinstance(recalled, Recalled))
    if throttled is not None:
        return throttled
    if isinstance(recalled, Reason):
        return _refuse(tx, held, ask, recalled)
    entry = tx.append("query.redelivered", {"of": used.index}, tag=ask.found.tag, by=ask.signer.by)
    return _released(held, ask, entry, "redelivered", recalled.revisions, recalled.at, recalled.rule)


def _recalled(tx: Transaction, held: Held, ask: Ask, used: Used, ruling: Ruling) -> Recalled | Reason:
    """What was given, where it may be given again; else why not."""
    if isinstance(ruling, Refuse):
        return ruling.reason
    try:
        link = holding.link_of(tx, held, ask)
        return redeliver.recall(tx, used, ask, link, held.leaves, held.revisions[ask.found.subject].rows)
    except (EvidenceBroken, NotReady):  # not ready: the policy of then is none that this release can read
        holding.alert("queries", ask.query.query_id)
        return Reason.EVIDENCE_BROKEN


def _sobered(ask: Ask, ruling: Ruling) -> Ruling:
    """The ruling, held against what the decision cannot know: broken papers, rules without code."""
    if ask.found.broken and ruling == Refuse(Reason.NO_CONSENT):
        # There is a consent of the asker's, and it no longer verifies.
        return Refuse(Reason.EVIDENCE_BROKEN)
    return only_applicable(ruling, ask.query.answer)


def _disclose(tx: Transaction, held: Held, ask: Ask, permit: Permit) -> Disclosed | Refused:
    """Append the answer's leaf, count the use, remember what was given."""
    query, found, row = ask.query, ask.found, held.grants[ask.found.consent_id]
    try:
        link = holding.link_of(tx, held, ask)
    except EvidenceBroken:
        holding.alert("data_keys", found.consent_id)
        return _refuse(tx, held, ask, Reason.EVIDENCE_BROKEN)
    permitted = frozenset(permit.categories)
    shown = tuple(one for one in held.revisions[found.subject].rows if one.category in permitted)
    hashes = [one.revision_hash for one in shown]
    answered = record_answer(
        tx,
        query,
        ask.request,
        {"grant": row["grant_index"], "use": permit.use},
        hashes,
        tag=found.tag,
        by=ask.signer.by,
        about=rows.about(grants, found.consent_id),
        ahead=ask.committed,
    )
    entry = answered.entry
    held.count_use(found.consent_id, permit.use, entry)
    given = redeliver.seal_given(ask, link, answered)
    held.spend(ask, Used(entry.index, ask.body_mac, given, tx.at))
    held.leaves[entry.index] = entry.leaf
    name = predicate_name(query.answer)
    if name is None:
        return _released(held, ask, entry, "disclosed", shown, tx.at, None)
    return _released(held, ask, entry, "predicate", shown, tx.at, tx.policy.predicate(name))


def _released(
    held: Held,
    ask: Ask,
    entry: Entry,
    kind: Literal["disclosed", "predicate", "redelivered"],
    revisions: tuple[Row, ...],
    at: int,
    rule: PredicateRule | None,
) -> Disclosed:
    metrics.decisions("query", kind, "").inc()
    return Disclosed(
        entry=entry,
        decision=kind,
        institution=ask.signer.institution,
        query=ask.query.query_id,
        purpose=ask.query.purpose,
        answer=ask.query.answer,
        scope=ask.query.categories,
        tag=ask.found.tag,
        subject=ask.found.subject,
        revisions=revisions,
        wrapped=held.wrapped[ask.found.subject],
        at=at,
        rule=rule,
        seal_to=held.seal_to.get(ask.signer.institution),
    )


def _refuse(tx: Transaction, held: Held, ask: Ask, reason: Reason) -> Refused:
    """Append the refusal's leaf. Its id is used up as well, and sent again it is a conflict."""
    entry = record_refusal(tx, ask, reason)
    if id_of(ask) not in held.used:  # an asker without standing may have used it before
        held.spend(ask, Used(entry.index))
    metrics.decisions("query", "refused", reason.value).inc()
    return Refused(entry, reason)


def _decided(ask: Ask, *, reused: bool = False) -> decision.Ask:
    """What the decision is told of an ask."""
    return decision.Ask(
        institution=ask.signer.institution,
        operator=ask.signer.operator,
        purpose=ask.query.purpose,
        categories=ask.query.categories,
        answer=ask.query.answer,
        person_matches=ask.found.person_matches,
        reused=reused,
    )


def _charge(ask: Ask) -> Charge:
    return Charge(ask.signer.institution, ask.signer.operator, ask.query.purpose)
