"""The auditor's own reader of a published policy bundle: what replay needs to know, no more.

Invariant: a bundle counts only if its bytes hash to the name that leaves carry, so what is read here is what
was in force. Members that replay does not need may be anything; those that it needs are strictly typed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from keys.canonical import parse_canonical, sha256_hex
from keys.errors import KeysError

MAX_BUNDLE: Final = 4 << 20
"""Bytes of a policy file that are read at most."""
PREDICATE: Final = "predicate:"
"""An answer of this beginning is a yes or no; the rest is the predicate's name."""


Hours = Annotated[int, msgspec.Meta(ge=0, le=100 * 366 * 24)]
"""A term; bounded, so that a time and a term add up to a time."""


class Purpose(msgspec.Struct, frozen=True):
    """One purpose (查询用途): its limits in days and uses, what it may ask and what it cannot do without."""

    code: str
    checked: bool
    max_days: int
    max_uses: int
    max_retention_days: int
    permitted: frozenset[str]
    necessary: frozenset[str]
    answers: frozenset[str]

    @property
    def yes_or_no(self) -> bool:
        """A predicate serves this purpose, so that a report is never given for it."""
        return any(answer.startswith(PREDICATE) for answer in self.answers)


class Statute(msgspec.Struct, frozen=True):
    """One statute (法定查询): who holds it, what it may ask, the form of the document that orders a query
    (a regular expression for the whole number), and for how many days it may be kept from the person.
    """

    code: str
    checked: bool
    purpose: str
    categories: frozenset[str]
    answers: frozenset[str]
    document: str
    institutions: frozenset[str] = frozenset()
    sectors: frozenset[str] = frozenset()
    deferral_days: int = 0


class PredicateRule(msgspec.Struct, frozen=True):
    """A question answered with yes or no, and the categories that it reads."""

    name: str
    checked: bool
    categories: frozenset[str]


class Quota(msgspec.Struct, frozen=True):
    """At most `limit` asks in each minute, hour or day (UTC) of whatever `scope` names."""

    scope: Literal["operator", "institution", "purpose"]
    per: Literal["minute", "hour", "day"]
    limit: int
    purpose: str = ""


_GROUNDS = ("consent-withdrawn", "demanded", "order", "purpose-met", "term-expired", "unlawful")


class Retention(msgspec.Struct, frozen=True):
    """For how many hours an answer may be given again, and a statutory query waits for its approval; on which
    grounds records are erased.
    """

    redelivery_hours: Hours = 24
    approval_hours: Hours = 24
    erasure_grounds: tuple[str, ...] = _GROUNDS


class Enrolment(msgspec.Struct, frozen=True):
    """For how many hours a further key of one person waits before it acts."""

    second_key_hours: Hours = 72


class _Category(msgspec.Struct, frozen=True):
    code: str
    checked: bool


class _Bundle(msgspec.Struct, frozen=True):
    """Members that came after the first version of the format have defaults, as its bundles lack them."""

    type: str
    demo: bool
    purposes: tuple[Purpose, ...]
    categories: tuple[_Category, ...]
    statutes: tuple[Statute, ...] = ()
    predicates: tuple[PredicateRule, ...] = ()
    quotas: tuple[Quota, ...] = ()
    retention: Retention = Retention()
    enrolment: Enrolment = Enrolment()


@dataclass(frozen=True, slots=True)
class Policy:
    """What is on: checked purposes, categories, statutes and predicates, in demonstration mode the unchecked
    too; quotas and terms as they stand.
    """

    usable: Mapping[str, Purpose]
    categories: frozenset[str]
    statutes: Mapping[str, Statute]
    predicates: Mapping[str, frozenset[str]]
    quotas: tuple[Quota, ...]
    retention: Retention
    enrolment: Enrolment


def read_policy(directory: Path, sha256: str) -> Policy | str:
    """The bundle `policy/<sha256>.json` of an export, or what is wrong with it, in words."""
    try:
        with (directory / "policy" / f"{sha256}.json").open("rb") as file:
            data = file.read(MAX_BUNDLE + 1)
    except FileNotFoundError:
        return "the policy in force is not published with the log"
    if len(data) > MAX_BUNDLE or sha256_hex(data) != sha256:
        return "the published policy file is not the policy that the leaves name"
    try:
        bundle = msgspec.convert(parse_canonical(data), _Bundle, strict=True)
    except (KeysError, msgspec.ValidationError):
        return "the published policy is no policy bundle"
    if bundle.type != "chengxin/policy/v1":
        return "the published policy is of an unknown type"
    return Policy(
        {each.code: each for each in bundle.purposes if each.checked or bundle.demo},
        frozenset(each.code for each in bundle.categories if each.checked or bundle.demo),
        {each.code: each for each in bundle.statutes if each.checked or bundle.demo},
        {each.name: each.categories for each in bundle.predicates if each.checked or bundle.demo},
        bundle.quotas,
        bundle.retention,
        bundle.enrolment,
    )


NO_POLICY = Policy({}, frozenset(), {}, {}, (), Retention(), Enrolment())
"""Before the first leaf: nothing is on."""
