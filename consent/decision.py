"""The decision: may this ask be answered now? A pure function of values, denied by default.

Invariant: `Permit` is returned only when every clause below has held; each clause that fails names one reason
of a closed vocabulary. Clauses are tried in the order in which they stand: the asker first (an asker without
standing learns nothing about anybody), then the purpose, then the consent, then what is asked under it. An
unknown person, an absent consent and somebody else's consent are one reason, `no-consent`.

Nothing here reads a clock, a key or a database: signatures and HMACs were verified
before, and arrive as booleans.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from consent.asks import Ask, ConsentAsk, Grant, Permit, Reason, Refuse, Ruling, Standing
from consent.policy import PolicyBundle
from consent.purposes import Purpose, purpose_is_on
from keys.instant import DAY

__all__ = [
    "Ask",
    "ConsentAsk",
    "Grant",
    "Permit",
    "Reason",
    "Refuse",
    "Ruling",
    "Standing",
    "decide",
    "decide_request",
]


def decide(
    ask: Ask,
    grant: Grant | None,
    statute: None,
    institution: Standing | None,
    operator: Standing | None,
    policy: PolicyBundle,
    at: int,
) -> Ruling:
    """Rule on one query at `at` (ms). `statute` has no value yet: policy v1 names none, so none is held."""
    refused = _asker(ask, institution, operator, at) or _purpose(ask, policy)
    if refused is None and ask.statute is not None:
        refused = Reason.STATUTE_NOT_HELD
    if refused is not None:
        return Refuse(refused)
    if grant is None or grant.document.recipient != ask.institution:
        return Refuse(Reason.NO_CONSENT)
    matter = _Matter(ask, grant, policy, at)
    for clause in QUERY_CLAUSES:
        reason = clause(matter)
        if reason is not None:
            return Refuse(reason)
    return Permit(tuple(sorted(ask.categories)), grant.uses + 1)


def decide_request(
    ask: ConsentAsk,
    institution: Standing | None,
    operator: Standing | None,
    policy: PolicyBundle,
    at: int,
) -> Ruling:
    """Rule on one request for consent at `at` (ms); the person plays no part in it."""
    refused = _asker(ask, institution, operator, at) or _purpose(ask, policy)
    purpose = policy.purpose(ask.purpose)
    if refused is not None or purpose is None:
        return Refuse(refused or Reason.PURPOSE_UNKNOWN)
    for clause in REQUEST_CLAUSES:
        reason = clause(ask, purpose, policy, at)
        if reason is not None:
            return Refuse(reason)
    return Permit(tuple(sorted(ask.categories)), 0)


# --- who asks, and for what ---


def _asker(
    ask: Ask | ConsentAsk, institution: Standing | None, operator: Standing | None, at: int
) -> Reason | None:
    """Standing, role (an administrator never queries), and an id that is new."""
    if institution is None or not institution.active(at):
        return Reason.INSTITUTION_SUSPENDED
    if operator is None or not operator.active(at):
        return Reason.OPERATOR_SUSPENDED
    if "query" not in institution.roles or "query" not in operator.roles or "admin" in operator.roles:
        return Reason.ROLE_NOT_PERMITTED
    return Reason.QUERY_ID_REUSED if ask.reused else None


def _purpose(ask: Ask | ConsentAsk, policy: PolicyBundle) -> Reason | None:
    if policy.purpose(ask.purpose) is None:
        return Reason.PURPOSE_UNKNOWN
    return None if purpose_is_on(policy, ask.purpose) else Reason.PURPOSE_OFF


# --- a query under a consent of its own recipient ---


@dataclass(frozen=True, slots=True)
class _Matter:
    ask: Ask
    grant: Grant
    policy: PolicyBundle
    at: int


def _evidence(m: _Matter) -> Reason | None:
    known = m.grant.state in ("granted", "withdrawn", "suspended")
    return None if m.grant.sound and known and m.grant.uses >= 0 else Reason.EVIDENCE_BROKEN


def _person(m: _Matter) -> Reason | None:
    return Reason.PERSON_MISMATCH if m.ask.person_matches is False else None


def _key(m: _Matter) -> Reason | None:
    return None if m.grant.key_live and m.at >= m.grant.effective else Reason.KEY_NOT_LIVE


def _state(m: _Matter) -> Reason | None:
    if m.grant.state == "withdrawn":
        return Reason.WITHDRAWN
    return None if m.grant.state == "granted" else Reason.CONSENT_SUSPENDED


def _period(m: _Matter) -> Reason | None:
    if m.at < m.grant.document.not_before:
        return Reason.NOT_YET_VALID
    return None if m.at < m.grant.document.not_after else Reason.EXPIRED


def _count(m: _Matter) -> Reason | None:
    return None if m.grant.uses < m.grant.document.max_uses else Reason.EXHAUSTED


def _agreed_purpose(m: _Matter) -> Reason | None:
    return None if m.ask.purpose == m.grant.document.purpose else Reason.PURPOSE_MISMATCH


def _agreed_categories(m: _Matter) -> Reason | None:
    if any(m.policy.category(code) is None for code in m.ask.categories):
        return Reason.CATEGORY_UNKNOWN
    if not set(m.ask.categories) <= set(m.grant.document.categories):
        return Reason.CATEGORY_NOT_CONSENTED
    if not _permitted(m.ask.categories, m.policy.purpose(m.ask.purpose), m.policy):
        return Reason.CATEGORY_NOT_PERMITTED
    return None if m.ask.categories else Reason.CATEGORY_MISSING


def _agreed_answer(m: _Matter) -> Reason | None:
    if m.ask.answer != m.grant.document.answer:
        return Reason.ANSWER_MISMATCH
    purpose = m.policy.purpose(m.ask.purpose)
    offered = purpose is not None and m.ask.answer in purpose.answers
    return None if offered else Reason.ANSWER_NOT_OFFERED


QUERY_CLAUSES: tuple[Callable[[_Matter], Reason | None], ...] = (
    _evidence,
    _person,
    _key,
    _state,
    _period,
    _count,
    _agreed_purpose,
    _agreed_categories,
    _agreed_answer,
)


# --- a request for consent ---


def _asked_categories(ask: ConsentAsk, purpose: Purpose, policy: PolicyBundle, _at: int) -> Reason | None:
    """At least what the purpose needs, at most what it permits."""
    if any(policy.category(code) is None for code in ask.categories):
        return Reason.CATEGORY_UNKNOWN
    if not _permitted(ask.categories, purpose, policy):
        return Reason.CATEGORY_NOT_PERMITTED
    enough = ask.categories and set(purpose.necessary) <= set(ask.categories)
    return None if enough else Reason.CATEGORY_MISSING


def _asked_answer(ask: ConsentAsk, purpose: Purpose, _policy: PolicyBundle, _at: int) -> Reason | None:
    return None if ask.answer in purpose.answers else Reason.ANSWER_NOT_OFFERED


def _asked_period(ask: ConsentAsk, purpose: Purpose, policy: PolicyBundle, at: int) -> Reason | None:
    """Some moment is left; no longer than the purpose allows; begun before the request would lapse."""
    if ask.not_after <= max(at, ask.not_before):
        return Reason.EXPIRED
    too_long = ask.not_after - ask.not_before > purpose.max_days * DAY
    too_late = ask.not_before - at > policy.enrolment.request_days * DAY
    return Reason.VALIDITY_TOO_LONG if too_long or too_late else None


def _asked_count(ask: ConsentAsk, purpose: Purpose, _policy: PolicyBundle, _at: int) -> Reason | None:
    return None if 1 <= ask.max_uses <= purpose.max_uses else Reason.USES_TOO_MANY


def _asked_retention(ask: ConsentAsk, purpose: Purpose, _policy: PolicyBundle, _at: int) -> Reason | None:
    return None if 0 <= ask.retention_days <= purpose.max_retention_days else Reason.RETENTION_TOO_LONG


REQUEST_CLAUSES: tuple[Callable[[ConsentAsk, Purpose, PolicyBundle, int], Reason | None], ...] = (
    _asked_categories,
    _asked_answer,
    _asked_period,
    _asked_count,
    _asked_retention,
)


def _permitted(categories: tuple[str, ...], purpose: Purpose | None, policy: PolicyBundle) -> bool:
    """Every category is one that the purpose permits, and is on."""
    if purpose is None:
        return False
    return all(code in purpose.permitted and policy.category_is_on(code) for code in categories)
