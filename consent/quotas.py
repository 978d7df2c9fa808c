"""Quotas (配额): how many asks a window of time takes, per operator, institution, or institution and purpose.

Invariant: a window is a whole minute, hour or day of UTC, counted from the epoch by the `at` of leaves alone,
so that whoever replays the log counts what the gateway counted. What counts is decided where leaves are
written; a rule here only says how many.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from consent import wire
from keys.instant import DAY, HOUR, MINUTE

Scope = Literal["operator", "institution", "purpose"]
Per = Literal["minute", "hour", "day"]

WINDOW_MS: Mapping[Per, int] = MappingProxyType({"minute": MINUTE, "hour": HOUR, "day": DAY})
"""Length of each window in ms."""


class Quota(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """At most `limit` asks in each window of `per`.

    `scope` says whose: each operator's, each institution's, or each institution's for one `purpose` (a
    purpose's or a statute's code, named with that scope and with no other).
    """

    scope: Scope
    purpose: wire.PurposeCode | None = None
    per: Per
    limit: Annotated[int, Meta(ge=1, le=10**9)]

    def __post_init__(self) -> None:
        if (self.scope == "purpose") != (self.purpose is not None):
            raise ValueError("a quota of scope purpose names its purpose, no other does")

    @property
    def key(self) -> tuple[str, str, str]:
        """What a bundle's rows are sorted by, and what stands once: scope, purpose ("" for none), per."""
        return self.scope, self.purpose or "", self.per


def window(per: Per, at: int) -> int:
    """The number of the window in which `at` (ms) lies."""
    return at // WINDOW_MS[per]


def window_end(per: Per, at: int) -> int:
    """When (ms) the next window begins: until then a full one stays full."""
    return (window(per, at) + 1) * WINDOW_MS[per]


def quotas_for(
    quotas: tuple[Quota, ...], institution: str, operator: str, purpose: str
) -> tuple[tuple[Quota, str], ...]:
    """The quotas that an ask counts against, each with the name it is counted under, in the bundle's order.

    The name is the operator's id for scope operator, else the institution's; a quota of a purpose is counted
    under the institution and `quota.purpose`.
    """
    return tuple(
        (quota, operator if quota.scope == "operator" else institution)
        for quota in quotas
        if quota.purpose is None or quota.purpose == purpose
    )
