"""What the API document says of one operation, as a value beside its route.

Invariant: an operation names every reply it can give: each status with its shape, each problem by its name in
the problem table. Problems that follow from the guard, the body or the ledger need not be repeated: they are
added by `problems_of`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import msgspec

from gateway.http.problems import PROBLEMS

JSON: Final = "application/json"
HTML: Final = "text/html"
TEXT: Final = "text/plain"
CSS: Final = "text/css"
OCTETS: Final = "application/octet-stream"

SIGNED: Final = (
    "not-signed",
    "bad-signature",
    "stale-signature",
    "unknown-key",
    "target-refused",
    "too-many-bad-signatures",
)
"""What a guard refuses before the view runs."""
ONCE: Final = ("replayed-nonce",)
"""And what the ledger's transaction refuses of a signed request that was seen before."""
BODY: Final = ("malformed-body", "body-too-large", "unsupported-media-type")
LEDGER: Final = ("not-ready", "ledger-unavailable", "evidence-damaged")
ALWAYS: Final = ("internal",)


@dataclass(frozen=True, slots=True)
class Text:
    """A reply that is no JSON: its media type, and what it holds."""

    media_type: str
    zh: str
    en: str
    pattern: str | None = None


Shape = type[msgspec.Struct] | Text
Replies = Mapping[int, tuple[Shape, ...]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation in Chinese and English: its body, its query parameters, its replies and its problems.

    `body_rule` is JSON Schema for what a struct checks beyond its members' types. `replies` maps a status to
    the shapes that its body may have. `records` says that it writes to the ledger or
    reads what must match it.
    """

    name: str
    zh: str
    en: str
    replies: Replies
    body: type[msgspec.Struct] | None = None
    body_rule: Mapping[str, Any] | None = None
    query: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    problems: tuple[str, ...] = ()
    records: bool = True

    def __post_init__(self) -> None:
        unknown = set(self.problems) - PROBLEMS.keys()
        if unknown:
            raise ValueError(f"no such problem: {', '.join(sorted(unknown))}")

    def problems_of(self, *, signed: bool, proves: bool) -> tuple[str, ...]:
        """Every problem that this operation can answer with, behind a guard that asks for that."""
        named = [*self.problems, *ALWAYS]
        if signed:
            named += SIGNED
        if signed and self.records:
            named += ONCE
        if proves:
            named += ("too-many-bad-signatures",)
        if self.body is not None:
            named += BODY
        if self.records:
            named += LEDGER
        return tuple(dict.fromkeys(named))
