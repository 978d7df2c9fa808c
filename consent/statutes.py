"""Statutes (法定查询): who may ask without consent, under which article, for what, and on which document.

Invariant: a statute is exactly its row. It serves the institutions and sectors that it lists, its own
purpose, its categories and answers, and documents whose whole number is of its pattern; an empty list serves
nobody. A statute nobody has checked at its source is off unless the bundle is for demonstration.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from consent import wire
from consent.patterns import MAX_PATTERN, check_pattern
from consent.purposes import Title

StatuteCode = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9-]{0,47}\Z")]
Sector = Literal[
    "agency",
    "apps",
    "data",
    "delivery",
    "e-commerce",
    "finance",
    "property",
    "registrar",
    "regulator",
    "source",
]
"""Sectors as institutions are registered under them; the ledger's own list is the same."""


class Statute(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One power to ask. CIR art. 18: no consent where a law or regulation says so.

    `law` and `article` name it; `institutions` (USCC) and `sectors` who holds it; `purpose` is its own code,
    never one that a consent can name; `document` the pattern of the whole document number
    (`consent.patterns`); `deferral_days` for how long the person's list may leave it out, 0 for never.
    """

    code: StatuteCode
    zh: Title
    en: Title
    law: Title
    article: Title
    checked: bool
    institutions: tuple[wire.Uscc, ...]
    sectors: tuple[Sector, ...]
    purpose: wire.PurposeCode
    categories: Annotated[tuple[wire.CategoryCode, ...], Meta(min_length=1)]
    answers: Annotated[tuple[wire.AnswerName, ...], Meta(min_length=1)]
    document: Annotated[str, Meta(min_length=1, max_length=MAX_PATTERN)]
    deferral_days: Annotated[int, Meta(ge=0, le=366)]

    def __post_init__(self) -> None:
        for names in (self.institutions, self.sectors, self.categories, self.answers):
            wire.check_sorted(names)
        check_pattern(self.document)

    def serves(self, institution: str, sector: str) -> bool:
        """Whether an institution (USCC) of a sector ("" when it has none) holds this power."""
        return institution in self.institutions or sector in self.sectors
