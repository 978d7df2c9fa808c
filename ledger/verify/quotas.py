"""Rules of quotas (查询限额): how often may be asked, and what is said of those who asked more often.

Invariant: within each window of the policy in force no operator, institution or purpose has more asks in the
log than its quota. An ask is a leaf by an institution's operator that requests a consent, puts a statutory
query, answers a query under a consent, refuses anything but a waiting query, or gives an answer again; asks
that were turned away stand in `query.throttled`, as a number. Only the current windows are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from keys.instant import DAY, HOUR, MINUTE, parse_instant
from ledger.bodies import (
    Answered,
    Body,
    ConsentAsked,
    QueryPending,
    QueryRedelivered,
    QueryRefused,
    QueryThrottled,
)
from ledger.entries import Leaf
from ledger.verify.policy import Quota
from ledger.verify.rules import Rule
from ledger.verify.state import Window, World

WINDOWS: Final = {"minute": MINUTE, "hour": HOUR, "day": DAY}
"""Milliseconds; a window's number is its time since the epoch divided by them."""


def _quota_kept(leaf: Leaf, body: Body, world: World) -> str | None:
    for quota, name in counted(leaf, body, world):
        if _window(leaf, quota, world).counts[name] >= quota.limit:
            return f"more was asked in one {quota.per} than the quota of the {quota.scope} allows"
    return None


def _throttled_operator(_: Leaf, body: QueryThrottled, world: World) -> str | None:
    return None if body.operator in world.operators else "the operator was never registered"


def _throttled_over(leaf: Leaf, body: QueryThrottled, _: World) -> str | None:
    over = leaf.instant >= parse_instant(body.minute) + MINUTE
    return None if over else "the minute was not yet over"


def _throttled_once(_: Leaf, body: QueryThrottled, world: World) -> str | None:
    """Minutes are reported in their order, so that the last one is all that has to be remembered."""
    later = body.minute > world.operators[body.operator].throttled
    return None if later else "the operator's minute, or a later one, was reported before"


def _throttled_quota(_: Leaf, body: QueryThrottled, world: World) -> str | None:
    if world.policy.quotas or body.minute <= world.quotas_until:
        return None
    return "an operator was turned away where no quota was in force"


QUOTA_KEPT = Rule("quota-kept", _quota_kept)
THROTTLED_OPERATOR = Rule("throttled-operator", _throttled_operator)
THROTTLED_OVER = Rule("throttled-minute-over", _throttled_over)
THROTTLED_ONCE = Rule("throttled-once", _throttled_once)
THROTTLED_QUOTA = Rule("throttled-quota", _throttled_quota)


def count(leaf: Leaf, world: World) -> None:
    """Count a leaf that held in each quota that it falls under."""
    for quota, name in counted(leaf, leaf.body, world):
        _window(leaf, quota, world).counts[name] += 1


def apply_throttled(_: Leaf, body: QueryThrottled, world: World) -> None:
    """`query.throttled`."""
    world.operators[body.operator].throttled = body.minute


def counted(leaf: Leaf, body: Any, world: World) -> Iterator[tuple[Quota, str]]:
    """The quotas that a leaf counts in, each with the name of its count; no identifier holds a space."""
    if leaf.by is None or leaf.by.institution is None or leaf.by.operator is None or not _is_ask(body):
        return
    purpose = getattr(body, "purpose", None)
    for quota in world.policy.quotas:
        if quota.scope == "operator":
            yield quota, f"operator {leaf.by.operator}"
        elif quota.scope == "institution":
            yield quota, f"institution {leaf.by.institution}"
        elif quota.purpose == purpose:
            yield quota, f"purpose {leaf.by.institution} {quota.purpose}"


def _is_ask(body: Body) -> bool:
    """An answer under a statute was counted when it was put, and the refusal of one that waited too."""
    if isinstance(body, Answered):
        return body.statute is None
    if isinstance(body, QueryRefused):
        return body.pending is None
    return isinstance(body, ConsentAsked | QueryPending | QueryRedelivered)


def _window(leaf: Leaf, quota: Quota, world: World) -> Window:
    """The window of a quota that a leaf falls in; the one before is forgotten, as time only goes on."""
    number = leaf.instant // WINDOWS[quota.per]
    window = world.windows.get(quota.per)
    if window is None or window.number != number:
        window = world.windows[quota.per] = Window(number)
    return window
