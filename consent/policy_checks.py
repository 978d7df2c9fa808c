"""What a policy must not contradict: every name in it is defined, every list sorted, nothing stands twice.

Invariant: a bundle exists only if `contradictions` finds none in it; the same generator tells an author all
of them at once. Each is a place, as `purposes.02`, and what to do there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from consent.catalogue import Category, Kinds
from consent.predicates import PredicateRule, predicates_of
from consent.purposes import Purpose
from consent.quotas import Quota
from consent.statutes import Statute

Contradiction = tuple[str, str]
"""Place and message. A policy holds no personal data: its author may read what is wrong."""


class Rows(Protocol):
    """The tables of a bundle, whether or not it is one yet."""

    @property
    def purposes(self) -> tuple[Purpose, ...]: ...
    @property
    def categories(self) -> tuple[Category, ...]: ...
    @property
    def kinds(self) -> Kinds: ...
    @property
    def statutes(self) -> tuple[Statute, ...]: ...
    @property
    def predicates(self) -> tuple[PredicateRule, ...]: ...
    @property
    def quotas(self) -> tuple[Quota, ...]: ...


def contradictions(rows: Rows) -> Iterator[Contradiction]:
    """All of them, table by table; nothing for a policy that can be in force."""
    yield from _order(rows)
    yield from _refusals(rows)
    yield from _purposes(rows)
    yield from _statutes(rows)
    yield from _predicates(rows)
    yield from _quotas(rows)


def _order(rows: Rows) -> Iterator[Contradiction]:
    kinds = rows.kinds
    keys: dict[str, list[Any]] = {
        "purposes": [p.code for p in rows.purposes],
        "categories": [c.code for c in rows.categories],
        "kinds.forbidden": [r.code for r in kinds.forbidden],
        "kinds.separate": [r.code for r in kinds.separate],
        "kinds.judgement": [r.code for r in kinds.judgement],
        "statutes": [s.code for s in rows.statutes],
        "predicates": [p.name for p in rows.predicates],
        "quotas": [q.key for q in rows.quotas],
    }
    for place, found in keys.items():
        twice = sorted({key for key in found if found.count(key) > 1})
        for key in twice:
            yield f"{place}.{_named(key)}", "stands twice: leave one of the two out"
        if not twice and sorted(found) != found:
            yield place, f"not sorted: the order is {', '.join(_named(key) for key in sorted(found))}"


def _named(key: str | tuple[str, ...]) -> str:
    return key if isinstance(key, str) else "/".join(part for part in key if part)


def _refusals(rows: Rows) -> Iterator[Contradiction]:
    listed = {c.code for c in rows.categories}
    seen: dict[str, str] = {}
    for group in ("forbidden", "separate", "judgement"):
        for refused in getattr(rows.kinds, group):
            place = f"kinds.{group}.{refused.code}"
            if refused.code in listed:
                yield place, "refused and listed in the catalogue: no listing can undo a refusal"
            if seen.setdefault(refused.code, group) != group:
                yield place, f"refused already as {seen[refused.code]}: keep one of the two"


def _purposes(rows: Rows) -> Iterator[Contradiction]:
    for purpose in rows.purposes:
        place = f"purposes.{purpose.code}"
        yield from _unlisted(place, "permits", purpose.permitted, rows)
        for name, rule in _rules(place, purpose.answers, rows):
            if isinstance(rule, str):
                yield place, rule
            elif not set(rule.categories) <= set(purpose.permitted):
                yield place, f"answers predicate:{name}, which reads a category that it does not permit"
            elif not set(purpose.necessary) <= set(rule.categories):
                yield place, f"answers predicate:{name}, which does not read all that it calls necessary"


def _statutes(rows: Rows) -> Iterator[Contradiction]:
    consented = {p.code for p in rows.purposes}
    for statute in rows.statutes:
        place = f"statutes.{statute.code}"
        yield from _unlisted(place, "names", statute.categories, rows)
        if statute.purpose in consented:
            yield place, f"purpose {statute.purpose} is one that consents name: give the statute its own"
        for name, rule in _rules(place, statute.answers, rows):
            if isinstance(rule, str):
                yield place, rule
            elif not set(rule.categories) <= set(statute.categories):
                yield place, f"answers predicate:{name}, which reads a category that it does not name"


def _predicates(rows: Rows) -> Iterator[Contradiction]:
    for rule in rows.predicates:
        yield from _unlisted(f"predicates.{rule.name}", "reads", rule.categories, rows)


def _quotas(rows: Rows) -> Iterator[Contradiction]:
    known = {p.code for p in rows.purposes} | {s.purpose for s in rows.statutes}
    for quota in rows.quotas:
        if quota.purpose is not None and quota.purpose not in known:
            yield f"quotas.{_named(quota.key)}", f"there is no purpose {quota.purpose}"


def _unlisted(place: str, verb: str, codes: Sequence[str], rows: Rows) -> Iterator[Contradiction]:
    listed = {c.code for c in rows.categories}
    for code in codes:
        if code not in listed:
            yield place, f"{verb} {code}, which the catalogue does not list"


def _rules(place: str, answers: tuple[str, ...], rows: Rows) -> Iterator[tuple[str, PredicateRule | str]]:
    """Each predicate that is answered, with its rule, or what to say when there is none."""
    rules = {rule.name: rule for rule in rows.predicates}
    for name in predicates_of(answers):
        yield name, rules.get(name, f"answers predicate:{name}, which no rule states")
