"""What the policy in force says of a statutory query: when it is submitted, approved, and when collected.

Invariant: `consent.decision` rules; here is only found out what it is told. The person plays no part in it.
"""

from __future__ import annotations

from consent.asks import Approval, Ask, Reason, Refuse, Ruling, Standing, StatutoryAsk
from consent.decision import decide, decide_approval, decide_redelivery
from consent.statutes import Statute
from gateway.institutions.standing import signers_standings, standings
from gateway.query.predicates import only_applicable
from gateway.query.request import Query, Signer
from gateway.query.statutory.stored import Held
from gateway.tables import institutions, operators
from gateway.transaction import Transaction

NO_STANDING = (Reason.INSTITUTION_SUSPENDED, Reason.OPERATOR_SUSPENDED, Reason.ROLE_NOT_PERMITTED)
"""Reasons that lie in who acts and may pass: they end no query, and tell the actor nothing about any."""


def ask_of(query: Query, institution: str, operator: str, *, reused: bool = False) -> Ask:
    """A statutory query as the decision is asked about it."""
    if query.statute is None:
        raise ValueError("a statutory query names its statute")
    named = query.statute
    return Ask(
        institution=institution,
        operator=operator,
        purpose=query.purpose,
        categories=query.categories,
        answer=query.answer,
        statute=StatutoryAsk(code=named.code, document=named.document, deferred=named.defer),
        reused=reused,
    )


def rule_submission(tx: Transaction, query: Query, signer: Signer, *, reused: bool) -> Ruling:
    """Whether this query may wait for an approval."""
    ask = ask_of(query, signer.institution, signer.operator, reused=reused)
    institution, _ = _standing(tx, signer.institution, signer.operator)
    operator = signers_standings(tx, [signer]).get(signer.known_by)
    ruling = decide(ask, None, _statute(tx, ask), institution, operator, tx.policy, tx.at)
    return only_applicable(ruling, query.answer)


def rule_approval(tx: Transaction, held: Held, approver: Signer) -> Ruling:
    """Whether this query may be answered now that somebody else approves of it."""
    ask = ask_of(held.matter.query, held.row["institution"], held.row["operator"])
    institution, requester = _standing(tx, ask.institution, ask.operator)
    known = signers_standings(tx, [approver]).get(approver.known_by)
    approval = Approval(
        ask=ask,
        requester_kid="" if requester is None else requester.kid,
        approver=approver.operator,
        approver_kid=approver.nonce.key,
        lapses_at=held.row["lapses_at"],
    )
    statute = _statute(tx, ask)
    ruling = decide_approval(approval, statute, institution, requester, known, tx.policy, tx.at)
    return only_applicable(ruling, held.matter.query.answer)


def rule_collection(tx: Transaction, held: Held, signer: Signer, answered_at: int) -> Ruling:
    """Whether the answer of `answered_at` (ms) may be given to its asker now; too late it is gone."""
    ask = ask_of(held.matter.query, held.row["institution"], held.row["operator"])
    institution, _ = _standing(tx, ask.institution, ask.operator)
    operator = signers_standings(tx, [signer]).get(signer.known_by)
    statute = _statute(tx, ask)
    ruling = decide_redelivery(ask, None, statute, institution, operator, tx.policy, tx.at, answered_at)
    # To ask for what one's own id holds is not to use the id twice.
    return Refuse(Reason.ANSWER_GONE) if ruling == Refuse(Reason.QUERY_ID_REUSED) else ruling


def deferral_days(tx: Transaction, query: Query) -> int:
    """For how many days the person's notice waits, of a query that may be submitted; 0 for not at all."""
    named = query.statute
    statute = None if named is None or not named.defer else tx.policy.statute(named.code)
    return 0 if statute is None else statute.deferral_days


def _standing(tx: Transaction, institution: str, operator: str) -> tuple[Standing | None, Standing | None]:
    return (
        standings(tx, institutions, [institution]).get(institution),
        standings(tx, operators, [operator]).get(operator),
    )


def _statute(tx: Transaction, ask: Ask) -> Statute | None:
    return None if ask.statute is None else tx.policy.statute(ask.statute.code)
