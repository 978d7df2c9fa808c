"""Purposes (查询用途): for what a recipient may ask, for how long, how often, and with which categories.

Invariant: a purpose nobody has checked against its statute is off unless the whole bundle is for
demonstration; what is not listed is off too. The codes are those of the consent form; a code is never reused
for another purpose.
"""

from __future__ import annotations

from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

from consent import wire

Title = Annotated[str, Meta(min_length=1, max_length=120)]
Basis = Annotated[str, Meta(min_length=1, max_length=300)]
Days = Annotated[int, Meta(ge=1, le=3_650)]


class Purpose(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One purpose. CIR art. 18, 20: agreed with the person, and nothing beyond it.

    `max_days` bounds a consent's validity in days, `max_uses` its count, `max_retention_days` how long the
    recipient may keep the answer; `necessary` is the part of `permitted` without which the purpose cannot be
    served (PIPL art. 16); `answers` are the forms an answer may take; `checked` says that somebody has read
    `basis` at its source.
    """

    code: wire.PurposeCode
    zh: Title
    en: Title
    basis: Basis
    checked: bool
    max_days: Days
    max_uses: Annotated[int, Meta(ge=1, le=1_000)]
    max_retention_days: Days
    permitted: Annotated[tuple[wire.CategoryCode, ...], Meta(min_length=1)]
    necessary: tuple[wire.CategoryCode, ...]
    answers: Annotated[tuple[wire.AnswerName, ...], Meta(min_length=1)]

    def __post_init__(self) -> None:
        for names in (self.permitted, self.necessary, self.answers):
            wire.check_sorted(names)
        if not set(self.necessary) <= set(self.permitted):
            raise ValueError("a necessary category is not permitted")


class _Bundle(Protocol):
    """What of a policy bundle this needs."""

    @property
    def demo(self) -> bool: ...

    def purpose(self, code: str) -> Purpose | None: ...


def purpose_is_on(bundle: _Bundle, code: str) -> bool:
    """Listed, and checked at its source (or the bundle is for demonstration)."""
    purpose = bundle.purpose(code)
    return purpose is not None and (purpose.checked or bundle.demo)
