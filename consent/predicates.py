"""Predicates (判断): the named questions that are answered yes or no, as the policy states them.

Invariant: a rule's texts say everything that its answer depends on, so that a reader with the records at hand
finds the same answer; what evaluates a rule lives with the records. A rule nobody has checked against its
basis is off unless the bundle is for demonstration.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from consent import wire
from consent.purposes import Basis, Title

PREFIX = "predicate:"
"""What stands before a predicate's name where a form of answer is named."""

PredicateName = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9-]{0,47}\Z")]
RuleText = Annotated[str, Meta(min_length=1, max_length=1_000)]


class PredicateRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One predicate. `categories` are exactly those that it reads, and that an ask for it names.

    `text_zh`, `text_en`: the rule in full, as it stands in the answer; neither says less than the other.
    """

    name: PredicateName
    zh: Title
    en: Title
    text_zh: RuleText
    text_en: RuleText
    categories: Annotated[tuple[wire.CategoryCode, ...], Meta(min_length=1)]
    basis: Basis
    checked: bool

    def __post_init__(self) -> None:
        wire.check_sorted(self.categories)


def predicate_name(answer: str) -> str | None:
    """The predicate that a form of answer names; None for `report`."""
    return answer.removeprefix(PREFIX) if answer.startswith(PREFIX) else None


def predicates_of(answers: tuple[str, ...]) -> tuple[str, ...]:
    """The names of the predicates among these forms of answer, in their order."""
    return tuple(answer.removeprefix(PREFIX) for answer in answers if answer.startswith(PREFIX))
