"""The decision: may this be answered now? Pure functions of values, denied by default.

Invariant: `Permit` is returned only when every clause of the table that applies has held; each clause that
fails names one reason of a closed vocabulary. Clauses are tried in the order in which they stand: the asker
first (an asker without standing learns nothing about anybody), then the purpose or the statute, then the
consent, then what is asked under it. An unknown person, an absent consent and somebody else's consent are one
reason, `no-consent`; whatever does not fit a statute is one reason, `statute-not-held`.

Nothing here reads a clock, a key or a database: signatures and HMACs were verified
before, and arrive as booleans.
"""

from __future__ import annotations

from consent.asks import (
    Approval,
    Ask,
    ConsentAsk,
    Grant,
    Permit,
    Reason,
    Refuse,
    Ruling,
    Standing,
    StatutoryAsk,
)
from consent.consented import QUERY_CLAUSES, REDELIVERY_CLAUSES, under_consent
from consent.document import Consent
from consent.policy import PolicyBundle
from consent.predicates import predicate_name, predicates_of
from consent.purposes import purpose_is_on
from consent.requested import REQUEST_CLAUSES
from consent.statutes import Statute
from consent.statutory import under_statute
from keys.instant import HOUR

__all__ = [
    "Approval",
    "Ask",
    "ConsentAsk",
    "Grant",
    "Permit",
    "Reason",
    "Refuse",
    "Ruling",
    "Standing",
    "StatutoryAsk",
    "decide",
    "decide_approval",
    "decide_grant",
    "decide_redelivery",
    "decide_request",
]


def decide(
    ask: Ask,
    grant: Grant | None,
    statute: Statute | None,
    institution: Standing | None,
    operator: Standing | None,
    policy: PolicyBundle,
    at: int,
) -> Ruling:
    """Rule on one query at `at` (ms).

    An ask that names a statute is ruled by `statute` alone, the policy's row of that code or None, and then
    waits for its approver; every other ask by `grant`. Under a statute `Permit.use` is 0.
    """
    refused = _standing(institution, operator, "query", at) or _reuse(ask)
    if refused is not None:
        return Refuse(refused)
    if ask.statute is not None:
        return under_statute(ask, statute, institution, policy)
    refused = _purpose(ask, policy)
    return Refuse(refused) if refused else under_consent(ask, grant, policy, at, QUERY_CLAUSES)


def decide_approval(
    approval: Approval,
    statute: Statute | None,
    institution: Standing | None,
    requester: Standing | None,
    approver: Standing | None,
    policy: PolicyBundle,
    at: int,
) -> Ruling:
    """Rule at `at` (ms) on an approval of a pending statutory query; the requester's standing counts again.

    What is wrong with the approver comes before what is wrong with the query.
    """
    ask = approval.ask
    refused = (
        _approver(approval, institution, approver, at)
        or (None if at < approval.lapses_at else Reason.APPROVAL_LAPSED)
        or _standing(institution, requester, "query", at)
    )
    if refused is not None:
        return Refuse(refused)
    return under_statute(ask, statute, institution, policy)


def decide_redelivery(
    ask: Ask,
    grant: Grant | None,
    statute: Statute | None,
    institution: Standing | None,
    operator: Standing | None,
    policy: PolicyBundle,
    at: int,
    answered_at: int,
) -> Ruling:
    """Rule at `at` (ms) on giving the answer of `answered_at` (its leaf's) once more, to the same body.

    Whatever would not be answered now is not, but for the count: a consent that is exhausted still serves,
    and `Permit.use` is 0. Too late it is a `query_id` used twice. Whether the body is the same, and the
    revisions may be shown still, is for the caller to know.
    """
    refused = _standing(institution, operator, "query", at)
    if refused is None and not 0 <= at - answered_at < policy.retention.redelivery_hours * HOUR:
        refused = Reason.QUERY_ID_REUSED
    if refused is not None:
        return Refuse(refused)
    if ask.statute is not None:
        return under_statute(ask, statute, institution, policy)
    refused = _purpose(ask, policy)
    if refused is not None:
        return Refuse(refused)
    ruling = under_consent(ask, grant, policy, at, REDELIVERY_CLAUSES)
    return Permit(ruling.categories, 0) if isinstance(ruling, Permit) else ruling


def decide_request(
    ask: ConsentAsk,
    institution: Standing | None,
    operator: Standing | None,
    policy: PolicyBundle,
    at: int,
) -> Ruling:
    """Rule on one request for consent at `at` (ms); the person plays no part in it."""
    refused = _standing(institution, operator, "query", at) or _reuse(ask)
    return Refuse(refused) if refused is not None else _within_purpose(ask, policy, at)


def decide_grant(document: Consent, policy: PolicyBundle, at: int) -> Ruling:
    """Rule on a signed consent that is about to be recorded at `at` (ms): what was asked for under an earlier
    policy is granted only if it could still be asked for under this one.
    """
    ask = ConsentAsk(
        institution=document.recipient,
        operator="",
        purpose=document.purpose,
        categories=document.categories,
        answer=document.answer,
        not_before=document.not_before,
        not_after=document.not_after,
        max_uses=document.max_uses,
        retention_days=document.retention_days,
    )
    return _within_purpose(ask, policy, at)


def _within_purpose(ask: ConsentAsk, policy: PolicyBundle, at: int) -> Ruling:
    refused, purpose = _purpose(ask, policy), policy.purpose(ask.purpose)
    if refused is not None or purpose is None:
        return Refuse(refused or Reason.PURPOSE_UNKNOWN)
    for clause in REQUEST_CLAUSES:
        reason = clause(ask, purpose, policy, at)
        if reason is not None:
            return Refuse(reason)
    return Permit(tuple(sorted(ask.categories)), 0)


# --- who asks, who approves, and for what ---


def _standing(institution: Standing | None, operator: Standing | None, role: str, at: int) -> Reason | None:
    """Both in good standing, and the operator with the role; an administrator never queries or approves."""
    if institution is None or not institution.active(at):
        return Reason.INSTITUTION_SUSPENDED
    if operator is None or not operator.active(at):
        return Reason.OPERATOR_SUSPENDED
    if "query" not in institution.roles or role not in operator.roles or "admin" in operator.roles:
        return Reason.ROLE_NOT_PERMITTED
    return None


def _approver(
    approval: Approval, institution: Standing | None, approver: Standing | None, at: int
) -> Reason | None:
    """Standing and role, and two people with two known keys: nobody approves what they asked themselves."""
    refused = _standing(institution, approver, "approve", at)
    if refused is not None:
        return refused
    kids = {approval.approver_kid, approval.requester_kid} - {""}
    other = approval.approver != approval.ask.operator and len(kids) == 2
    return None if other else Reason.ROLE_NOT_PERMITTED


def _reuse(ask: Ask | ConsentAsk) -> Reason | None:
    return Reason.QUERY_ID_REUSED if ask.reused else None


def _purpose(ask: Ask | ConsentAsk, policy: PolicyBundle) -> Reason | None:
    """Known and on; and where a yes or no serves, no record is given."""
    purpose = policy.purpose(ask.purpose)
    if purpose is None:
        return Reason.PURPOSE_UNKNOWN
    if not purpose_is_on(policy, ask.purpose):
        return Reason.PURPOSE_OFF
    raw = predicate_name(ask.answer) is None
    return Reason.PREDICATE_SUFFICES if raw and predicates_of(purpose.answers) else None
