"""A request for consent (征求授权): the clauses that keep it within its purpose, whoever the person is.

Invariant: what passes could be granted and then queried under this policy; each clause names one reason.
"""

from __future__ import annotations

from collections.abc import Callable

from consent.asks import ConsentAsk, Reason
from consent.offers import offered, permitted
from consent.policy import PolicyBundle
from consent.purposes import Purpose
from keys.instant import DAY


def _asked_categories(ask: ConsentAsk, purpose: Purpose, policy: PolicyBundle, _at: int) -> Reason | None:
    """At least what the purpose needs, at most what it permits."""
    if any(policy.category(code) is None for code in ask.categories):
        return Reason.CATEGORY_UNKNOWN
    if not permitted(ask.categories, purpose, policy):
        return Reason.CATEGORY_NOT_PERMITTED
    enough = ask.categories and set(purpose.necessary) <= set(ask.categories)
    return None if enough else Reason.CATEGORY_MISSING


def _asked_answer(ask: ConsentAsk, purpose: Purpose, policy: PolicyBundle, _at: int) -> Reason | None:
    return offered(ask, purpose, policy)


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
