"""Predicates (判断): yes or no, where a record would say more than its reader needs. Pure.

Invariant: a rule answers what its text in the policy says (`consent/policy_data/predicates.toml`), from the
records of the categories that it names and from nothing else. Days are days in China (UTC+8). A record that
is disputed or repaired, or past its display term, does not count, for the person or against. What cannot be
read is `EvidenceBroken`, never an answer.

The store has no disputes and no repairs yet, so `evaluate` takes every record for neither; corrected and
erased ones are not in it. The rules are ready for both, and are tested with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Any, Final

from consent.asks import Permit, Reason, Refuse, Ruling
from consent.predicates import predicate_name
from gateway.errors import EvidenceBroken
from gateway.query.minimise import Record, is_shown
from gateway.records.about import read_day
from gateway.records.rows import china_day

YEARS: Final = 3
OVERDUE_DAYS: Final = 90


@dataclass(frozen=True, slots=True)
class Fact:
    """One record as the rules read it; `shown_until` (ms) ends its display term, exclusive."""

    category: str
    occurred_on: date = field(repr=False)
    fields: Mapping[str, Any] = field(repr=False)
    adverse: bool = field(repr=False)
    disputed: bool = field(repr=False)
    repaired: bool = field(repr=False)
    shown_until: int | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Predicate:
    """One rule: the `categories` it reads, and what holds of their counting facts on a day."""

    categories: frozenset[str]
    holds: Callable[[Sequence[Fact], date], bool]

    def __call__(self, facts: Sequence[Fact], day: date) -> bool:
        """Whether the rule holds on `day` (in China), of facts that count."""
        return self.holds([fact for fact in facts if fact.category in self.categories], day)


def evaluate(name: str, records: Iterable[Record], at: int) -> bool:
    """Whether the rule `name` holds at `at` (ms). `EvidenceBroken` for a record that cannot be read."""
    rule = PREDICATES[name]
    facts = [fact_of(record) for record in records if record.category in rule.categories]
    return rule(counting(facts, at), china_day(at))


def counting(facts: Iterable[Fact], at: int) -> list[Fact]:
    """Those that count at `at` (ms): undisputed, not repaired, within their display term."""
    return [
        fact for fact in facts if not fact.disputed and not fact.repaired and is_shown(fact.shown_until, at)
    ]


def fact_of(record: Record) -> Fact:
    """A decrypted record as a fact. `EvidenceBroken` when a member is missing or of another form."""
    body = record.body
    occurred, fields, adverse = body.get("occurred_on"), body.get("fields"), body.get("adverse")
    if not isinstance(fields, Mapping) or not isinstance(adverse, bool):
        raise EvidenceBroken("a stored record is of another form")
    return Fact(
        category=record.category,
        occurred_on=_day(occurred),
        fields=fields,
        adverse=adverse,
        disputed=False,
        repaired=False,
        shown_until=record.shown_until,
    )


# --- the rules, as their texts have them ---


def _no_adverse_record(facts: Sequence[Fact], day: date) -> bool:
    """None adverse that occurred on `day` or before, less than three years ago."""
    return not any(
        fact.adverse and fact.occurred_on <= day < years_after(fact.occurred_on, YEARS) for fact in facts
    )


def _no_unperformed_judgment(facts: Sequence[Fact], day: date) -> bool:
    """No enforcement filed by `day` in any state but performed."""
    states = [(_code(fact, "state", _ENFORCEMENT), _required_day(fact, "filed")) for fact in facts]
    return not any(state != "performed" and filed <= day for state, filed in states)


def _no_overdue(facts: Sequence[Fact], day: date) -> bool:
    """No repayment overdue for 90 days or more, as reported or as its dates say."""
    overdue = [_is_overdue(fact, day) for fact in facts]  # all of them: none may be garbled
    return True not in overdue


def _is_overdue(fact: Fact, day: date) -> bool:
    days, since, ended = (
        _count(fact, "overdue_days"),
        _optional_day(fact, "overdue_since"),
        _optional_day(fact, "overdue_ended"),
    )
    if since is not None and ended is not None and ended < since:
        raise EvidenceBroken("a payment was overdue no longer before it was")
    lasted = since is not None and since <= day and ((ended or day) - since).days >= OVERDUE_DAYS
    return lasted or (days is not None and days >= OVERDUE_DAYS)


def _licence_valid(facts: Sequence[Fact], day: date) -> bool:
    """At least one valid licence, granted by `day` and not expired before it."""
    valid = [_is_valid(fact, day) for fact in facts]  # all of them: none may be garbled
    return True in valid


def _is_valid(fact: Fact, day: date) -> bool:
    state, granted = _code(fact, "state", _LICENCE), _required_day(fact, "granted")
    expires = _optional_day(fact, "expires")
    return state == "valid" and granted <= day and (expires is None or day <= expires)


_ENFORCEMENT: Final = frozenset({"open", "performed", "suspended", "terminated"})
_LICENCE: Final = frozenset({"valid", "suspended", "expired", "revoked"})

PREDICATES: Final[Mapping[str, Predicate]] = MappingProxyType(
    {
        "licence-valid": Predicate(frozenset({"licence"}), _licence_valid),
        "no-adverse-record-3y": Predicate(
            frozenset({"enforcement", "judgment", "penalty", "repayment"}), _no_adverse_record
        ),
        "no-overdue-90d": Predicate(frozenset({"repayment"}), _no_overdue),
        "no-unperformed-judgment": Predicate(frozenset({"enforcement"}), _no_unperformed_judgment),
    }
)
"""Every rule this release can apply, by name. One that only a policy states is never permitted."""


def only_applicable(ruling: Ruling, answer: str) -> Ruling:
    """The ruling, unless it permits a predicate that the policy states and this release does not have."""
    name = predicate_name(answer)
    missing = isinstance(ruling, Permit) and name is not None and name not in PREDICATES
    return Refuse(Reason.ANSWER_NOT_OFFERED) if missing else ruling


def years_after(day: date, years: int) -> date:
    """The same day of the same month so many years later; 1 March after 29 February where there is none."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, 3, 1)


# --- reading a field ---


def _code(fact: Fact, name: str, known: frozenset[str]) -> str:
    value = fact.fields.get(name)
    if not isinstance(value, str) or value not in known:
        raise EvidenceBroken(f"a stored record's {name} is none that the rule knows")
    return value


def _count(fact: Fact, name: str) -> int | None:
    value = fact.fields.get(name)
    if value is None and name not in fact.fields:
        return None
    if type(value) is not int or value < 0:
        raise EvidenceBroken(f"a stored record's {name} is no number of days")
    return value


def _required_day(fact: Fact, name: str) -> date:
    return _day(fact.fields.get(name))


def _optional_day(fact: Fact, name: str) -> date | None:
    return _day(fact.fields[name]) if name in fact.fields else None


def _day(value: object) -> date:
    day = read_day(value) if isinstance(value, str) else None
    if day is None:
        raise EvidenceBroken("a stored record's day is none")
    return day
