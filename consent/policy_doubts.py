"""What a policy may say and its author probably did not mean: rows that nobody can use, limits never reached.

Invariant: nothing here refuses a policy. Each doubt is a place, as `quotas.operator/minute`, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterator

from consent.patterns import matches
from consent.policy import PolicyBundle
from consent.predicates import predicates_of
from consent.purposes import purpose_is_on
from consent.quotas import WINDOW_MS, Quota

Doubt = tuple[str, str]


def doubts(bundle: PolicyBundle) -> Iterator[Doubt]:
    """All of them, table by table."""
    if not any(purpose_is_on(bundle, purpose.code) for purpose in bundle.purposes):
        yield "purposes", "none is on: every query under a consent will be refused"
    yield from _purposes(bundle)
    yield from _statutes(bundle)
    yield from _predicates(bundle)
    yield from _quotas(bundle)


def _purposes(bundle: PolicyBundle) -> Iterator[Doubt]:
    for purpose in bundle.purposes:
        place = f"purposes.{purpose.code}"
        named = predicates_of(purpose.answers)
        if named and "report" in purpose.answers:
            yield (
                place,
                "offers a report beside a predicate: a report will be refused, leave it out of answers",
            )
        if not purpose_is_on(bundle, purpose.code):
            continue
        for code in purpose.necessary:
            if not bundle.category_is_on(code):
                yield place, f"is on, but {code}, which it needs, is off: nothing can be asked for it"
        if not any(bundle.category_is_on(code) for code in purpose.permitted):
            yield place, "is on, but every category that it permits is off: check a category too"
        yield from _rules_off(place, named, bundle)


def _statutes(bundle: PolicyBundle) -> Iterator[Doubt]:
    for statute in bundle.statutes:
        place = f"statutes.{statute.code}"
        if not statute.institutions and not statute.sectors:
            yield place, "names no institution and no sector: nobody can use it, name who holds it"
        if any(matches(statute.document, single) for single in ("0", "a", "号")):
            yield (
                f"{place}.document",
                "one character is enough for it: write out how such numbers are written",
            )
        if not bundle.statute_is_on(statute.code):
            continue
        for code in statute.categories:
            if not bundle.category_is_on(code):
                yield place, f"is on, but its category {code} is off: asking for it will be refused"
        yield from _rules_off(place, predicates_of(statute.answers), bundle)


def _rules_off(place: str, names: tuple[str, ...], bundle: PolicyBundle) -> Iterator[Doubt]:
    for name in names:
        if not bundle.predicate_is_on(name):
            yield place, f"is on, but predicate:{name} is off: asking for it will be refused"


def _predicates(bundle: PolicyBundle) -> Iterator[Doubt]:
    answers = [row.answers for row in bundle.purposes] + [row.answers for row in bundle.statutes]
    used = {name for some in answers for name in predicates_of(some)}
    for rule in bundle.predicates:
        place = f"predicates.{rule.name}"
        if rule.name not in used:
            yield place, "no purpose or statute answers with it: name it in some answers, or leave it out"
        for code in rule.categories:
            if bundle.predicate_is_on(rule.name) and not bundle.category_is_on(code):
                yield place, f"is on, but reads {code}, which is off: asking for it will be refused"


def _quotas(bundle: PolicyBundle) -> Iterator[Doubt]:
    if not bundle.quotas:
        yield "quotas", "there is none: nobody is limited, set one for each operator at least"
    for one in bundle.quotas:
        for other in bundle.quotas:
            if _is_moot(one, other):
                yield _place(one), f"is never reached, {_place(other)} ends first: raise that, or drop this"


def _is_moot(one: Quota, other: Quota) -> bool:
    """Whether `other` always stops an asker before `one` does."""
    if one is other:
        return False
    if (one.scope, one.purpose) == (other.scope, other.purpose):
        # Over a longer window the other allows fewer; or its shorter windows together allow no more.
        windows = max(1, WINDOW_MS[one.per] // WINDOW_MS[other.per])
        return other.limit * windows < one.limit or (windows > 1 and other.limit * windows == one.limit)
    return one.per == other.per and other.scope == "institution" and other.limit < one.limit


def _place(quota: Quota) -> str:
    return "quotas." + "/".join(part for part in quota.key if part)
