"""A query under a consent (授权查询) of its own recipient: the clauses, in the order in which they are tried.

Invariant: each clause names one reason of its own; a matter that no clause stops is within what the citizen
signed, and within what the policy in force allows for it.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from consent.asks import Ask, Grant, Permit, Reason, Refuse, Ruling
from consent.offers import offered, permitted
from consent.policy import PolicyBundle


class _Matter(msgspec.Struct, frozen=True):
    ask: Ask
    grant: Grant
    policy: PolicyBundle
    at: int


Clause = Callable[[_Matter], Reason | None]


def under_consent(
    ask: Ask, grant: Grant | None, policy: PolicyBundle, at: int, clauses: tuple[Clause, ...]
) -> Ruling:
    """Rule by these clauses; the asker and the purpose were checked before."""
    if grant is None or grant.document.recipient != ask.institution:
        return Refuse(Reason.NO_CONSENT)
    matter = _Matter(ask, grant, policy, at)
    for clause in clauses:
        reason = clause(matter)
        if reason is not None:
            return Refuse(reason)
    return Permit(tuple(sorted(ask.categories)), grant.uses + 1)


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
    if not permitted(m.ask.categories, m.policy.purpose(m.ask.purpose), m.policy):
        return Reason.CATEGORY_NOT_PERMITTED
    return None if m.ask.categories else Reason.CATEGORY_MISSING


def _agreed_answer(m: _Matter) -> Reason | None:
    if m.ask.answer != m.grant.document.answer:
        return Reason.ANSWER_MISMATCH
    return offered(m.ask, m.policy.purpose(m.ask.purpose), m.policy)


QUERY_CLAUSES: tuple[Clause, ...] = (
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
REDELIVERY_CLAUSES = tuple(clause for clause in QUERY_CLAUSES if clause is not _count)
