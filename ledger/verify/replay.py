"""Replay of enforcement: for each type of leaf, the rules that it must obey and what it changes.

Invariant: the table has a row for every type that `ledger.entries` can parse, so nothing passes without a
rule having been thought of; the rules of a row run in order, and one may rely on those before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from ledger.bodies import Body
from ledger.entries import Leaf
from ledger.verify import consents as c
from ledger.verify import house as h
from ledger.verify import parties as p
from ledger.verify import queries as q
from ledger.verify.rules import Apply, Rule, Rules, hold
from ledger.verify.state import World


def _details(leaf: Leaf, _: Body, __: World) -> str | None:
    return (
        None if leaf.sealed is not None else "the leaf comes without the sealed details that would prove it"
    )


DETAILS: Final = Rule("details-sealed", _details)
"""What makes a leaf provable to a regulator must be sealed with it, or leaving it out would be a way around.
"""

_OFFICE: Final[Rules] = (p.ACTOR_KNOWN, p.ACTOR_STANDING, p.ACTOR_OFFICE)
_ASKS: Final[Rules] = (p.ACTOR_KNOWN, p.ACTOR_STANDING, p.ACTOR_QUERIES)
_ABOUT_GRANT: Final[Rules] = (c.GRANT_EXISTS, c.GRANT_SUBJECT, c.GRANT_LIVE)
_SCOPE: Final[Rules] = (c.PURPOSE_USABLE, c.CATEGORIES_PERMITTED)


class Row(NamedTuple):
    """What a type of leaf must obey, and what it changes."""

    rules: Rules
    apply: Apply


REPLAY: Final[Mapping[str, Row]] = MappingProxyType(
    {
        "log.opened": Row((h.OPENED_ORIGIN, h.POLICY_PUBLISHED), h.apply_policy),
        "log.closed": Row(_OFFICE, h.apply_closed),
        "policy.changed": Row((*_OFFICE, h.POLICY_REPLACES, h.POLICY_PUBLISHED), h.apply_policy),
        "key.published": Row(
            (*_OFFICE, h.KEY_ONCE, h.KEY_KIND, h.KEY_CHECKPOINT, h.KEY_PINNED), h.apply_published
        ),
        "key.sealing": Row((*_OFFICE, h.SEALING_ONCE, h.SEALING_REGULATORS), h.apply_sealing),
        "key.epoch": Row((*_OFFICE, h.EPOCH_NEXT), h.apply_epoch),
        "institution.registered": Row((*_OFFICE, p.INSTITUTION_ONCE), p.apply_institution),
        "institution.suspended": Row(
            (*_OFFICE, p.INSTITUTION_KNOWN, p.STANDING_ACTIVE, p.UNTIL_LATER), p.apply_suspended
        ),
        "institution.reinstated": Row(
            (*_OFFICE, p.INSTITUTION_KNOWN, p.STANDING_SUSPENDED), p.apply_reinstated
        ),
        "operator.registered": Row((*_OFFICE, p.OPERATOR_ONCE, p.INSTITUTION_KNOWN), p.apply_operator),
        "operator.suspended": Row(
            (*_OFFICE, p.OPERATOR_KNOWN, p.STANDING_ACTIVE, p.UNTIL_LATER), p.apply_suspended
        ),
        "operator.reinstated": Row((*_OFFICE, p.OPERATOR_KNOWN, p.STANDING_SUSPENDED), p.apply_reinstated),
        "subject.enrolled": Row(
            (
                DETAILS,
                c.REGISTRAR_ACTS,
                c.REGISTRAR_PUBLISHED,
                c.REGISTRAR_STANDING,
                c.REGISTRAR_PINNED,
                c.ONE_LIVE_KEY,
                c.CERTIFICATE_ONCE,
            ),
            c.apply_enrolled,
        ),
        "subject.read": Row((c.SUBJECT_ENROLLED,), q.apply_nothing),
        "consent.requested": Row(
            (DETAILS, *_ASKS, c.REQUEST_RECIPIENT, c.REQUEST_ONCE, *_SCOPE, c.CATEGORIES_NECESSARY),
            c.apply_requested,
        ),
        "consent.declined": Row((c.REQUEST_OPEN, c.REQUEST_SAME), c.apply_closed_request),
        "consent.lapsed": Row((c.REQUEST_OPEN, c.REQUEST_SAME), c.apply_closed_request),
        "consent.granted": Row(
            (
                DETAILS,
                c.SUBJECT_ENROLLED,
                c.KEY_COMMITMENT,
                c.CONSENT_ONCE,
                c.RECIPIENT_KNOWN,
                *_SCOPE,
                c.CATEGORIES_NECESSARY,
                c.VALIDITY,
                c.USES_ALLOWED,
                c.RETENTION_ALLOWED,
                c.ANSWER_OFFERED,
            ),
            c.apply_granted,
        ),
        "consent.withdrawn": Row((DETAILS, *_ABOUT_GRANT), c.apply_withdrawn),
        "query.disclosed": Row(
            (
                DETAILS,
                *_ASKS,
                *_ABOUT_GRANT,
                q.GRANT_BEGUN,
                q.GRANT_NOT_OVER,
                q.GRANT_RECIPIENT,
                q.GRANT_PURPOSE,
                q.GRANT_CATEGORIES,
                q.GRANT_ANSWER,
                *_SCOPE,
                q.USE_NUMBER,
                q.USE_LIMIT,
                q.QUERY_ONCE,
            ),
            q.apply_disclosed,
        ),
        "query.refused": Row((DETAILS, p.ACTOR_KNOWN), q.apply_nothing),
        "query.undelivered": Row(
            (p.ACTOR_KNOWN, q.ANSWER_EXISTS, q.ANSWER_SUBJECT, q.UNDELIVERED_ONCE), q.apply_undelivered
        ),
        "record.ingested": Row(
            (
                p.ACTOR_KNOWN,
                p.ACTOR_STANDING,
                q.SOURCE_KNOWN,
                q.SOURCE_ROLE,
                q.SOURCE_STANDING,
                q.SOURCE_ACTS,
            ),
            q.apply_nothing,
        ),
    }
)
"""Type of leaf -> its row. Closed, like `ledger.bodies.LEAF_TYPES`."""


def check(index: int, leaf: Leaf, world: World) -> None:
    """Raise a Finding for the first rule of the leaf's type that does not hold."""
    hold(REPLAY[leaf.type].rules, index, leaf, leaf.body, world)


def apply(leaf: Leaf, world: World) -> None:
    """Take over what a leaf that held says."""
    REPLAY[leaf.type].apply(leaf, leaf.body, world)
