"""What the turnstile ruled: the values that the hot path hands from the lock to the delivery.

Invariant: every one but `Throttled` (and what is an error) stands in the ledger; a `Disclosed` holds all that
its answer is made of, so that making it again, from the same revisions and as of the same instant, gives the
same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from consent.asks import Reason
from consent.predicates import PredicateRule
from gateway.errors import EvidenceBroken, ReplayedNonce
from keys.signing import Jwk
from keys.values import Value
from ledger.fixed import Row
from ledger.log import Entry


class Disclosed(Value, frozen=True):
    """Permitted and recorded. `entry` is the leaf that the receipt names, `at` (ms) what the answer is as of.

    The two differ when an answer is given again: `at` is the first leaf's. `scope` is what may be shown,
    `revisions` the stored rows that the first leaf commits to, all of `subject`; `rule` the predicate's, as
    the policy of that leaf states it, None for a report. `wrapped` are the person's wrapped data keys, by
    class. `seal_to` is the institution's own encryption key (public X25519 JWK), None for one that registered
    none: its answers go out in clear.
    """

    entry: Entry
    decision: Literal["disclosed", "predicate", "redelivered"]
    institution: str
    query: str
    purpose: str
    answer: str
    scope: tuple[str, ...]
    tag: bytes
    subject: bytes
    revisions: tuple[Row, ...]
    wrapped: Mapping[str, Row]
    at: int
    rule: PredicateRule | None
    seal_to: Jwk | None


@dataclass(frozen=True, slots=True)
class Refused:
    """Refused and recorded: its entry and why."""

    entry: Entry
    reason: Reason


@dataclass(frozen=True, slots=True)
class Throttled:
    """Beyond a quota: no leaf but a count. `retry_after_s` is when there is room again, in whole seconds."""

    retry_after_s: int


@dataclass(frozen=True, slots=True)
class Moved:
    """What was looked up is no longer so (the person's keys were replaced, say): look up again."""


Ruled: TypeAlias = Disclosed | Refused | Throttled | ReplayedNonce | EvidenceBroken | Moved
