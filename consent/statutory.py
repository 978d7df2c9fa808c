"""A query under a statute (法定查询): the clauses of its row, all of which must hold.

Invariant: whatever does not fit is one refusal, `statute-not-held`, so that nobody learns from a refusal
which powers another institution holds. No person plays any part in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from consent.asks import Ask, Permit, Reason, Refuse, Ruling, Standing, StatutoryAsk
from consent.offers import predicate_fits
from consent.patterns import matches
from consent.policy import PolicyBundle
from consent.statutes import Statute


@dataclass(frozen=True, slots=True)
class _Power:
    ask: Ask
    named: StatutoryAsk
    statute: Statute
    sector: str
    policy: PolicyBundle


def under_statute(
    ask: Ask,
    statute: Statute | None,
    institution: Standing | None,
    policy: PolicyBundle,
) -> Ruling:
    """Permit the categories asked, as no use of any consent; the asker's standing was checked before."""
    named = ask.statute
    if named is None or statute is None or institution is None:
        return Refuse(Reason.STATUTE_NOT_HELD)
    power = _Power(ask, named, statute, institution.sector, policy)
    if all(clause(power) for clause in STATUTE_CLAUSES):
        return Permit(tuple(sorted(ask.categories)), 0)
    return Refuse(Reason.STATUTE_NOT_HELD)


def _in_force(p: _Power) -> bool:
    """The row is the policy's own of the code that was named, and is on."""
    return p.policy.statute(p.named.code) == p.statute and p.policy.statute_is_on(p.named.code)


def _held(p: _Power) -> bool:
    return p.statute.serves(p.ask.institution, p.sector)


def _own_purpose(p: _Power) -> bool:
    return p.ask.purpose == p.statute.purpose


def _named_categories(p: _Power) -> bool:
    """Some, each once, each named by the statute, each on."""
    codes = set(p.ask.categories)
    on = all(p.policy.category_is_on(code) for code in codes)
    return 0 < len(codes) == len(p.ask.categories) and codes <= set(p.statute.categories) and on


def _named_answer(p: _Power) -> bool:
    fits = predicate_fits(p.ask.answer, p.ask.categories, p.policy) is None
    return p.ask.answer in p.statute.answers and fits


def _document(p: _Power) -> bool:
    return matches(p.statute.document, p.named.document)


def _deferral(p: _Power) -> bool:
    return p.statute.deferral_days > 0 or not p.named.deferred


STATUTE_CLAUSES: tuple[Callable[[_Power], bool], ...] = (
    _in_force,
    _held,
    _own_purpose,
    _named_categories,
    _named_answer,
    _document,
    _deferral,
)
