"""Which categories and which form of answer a purpose offers: shared by every table of clauses.

Invariant: what is off, not listed or not named is not offered; a yes or no is given about exactly what its
rule reads, never about less.
"""

from __future__ import annotations

from consent.asks import Ask, ConsentAsk, Reason
from consent.policy import PolicyBundle
from consent.predicates import predicate_name
from consent.purposes import Purpose


def permitted(categories: tuple[str, ...], purpose: Purpose | None, policy: PolicyBundle) -> bool:
    """Every category is one that the purpose permits, and is on."""
    if purpose is None:
        return False
    return all(code in purpose.permitted and policy.category_is_on(code) for code in categories)


def offered(ask: Ask | ConsentAsk, purpose: Purpose | None, policy: PolicyBundle) -> Reason | None:
    """The purpose offers this form of answer; a predicate is on and reads just what is asked."""
    if purpose is None or ask.answer not in purpose.answers:
        return Reason.ANSWER_NOT_OFFERED
    return predicate_fits(ask.answer, ask.categories, policy)


def predicate_fits(answer: str, categories: tuple[str, ...], policy: PolicyBundle) -> Reason | None:
    """A yes or no about exactly what its rule reads; a report is not its matter."""
    name = predicate_name(answer)
    if name is None:
        return None
    rule = policy.predicate(name)
    if rule is None or not policy.predicate_is_on(name):
        return Reason.ANSWER_NOT_OFFERED
    if not set(rule.categories) <= set(categories):
        return Reason.CATEGORY_MISSING
    return None if set(categories) <= set(rule.categories) else Reason.CATEGORY_NOT_PERMITTED
