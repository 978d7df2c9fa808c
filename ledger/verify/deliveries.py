"""Rules of what became of an answer after its leaf: it did not leave, or it left again.

Invariant: an answer leaves again only to the institution that had asked, while the policy then in
force allows what it covers, and not once its consent was withdrawn or is over; under a statute, only to the
operator who had asked. That it did not leave is said once of each time that it left.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from keys.instant import HOUR, parse_instant
from ledger.bodies import QueryRedelivered, QueryUndelivered
from ledger.entries import Leaf
from ledger.verify import consents as c
from ledger.verify import queries as q
from ledger.verify import statutes as st
from ledger.verify.consents import subject_of
from ledger.verify.rules import Rule, Rules
from ledger.verify.state import World

Delivery: TypeAlias = QueryRedelivered | QueryUndelivered


def _answer_exists(_: Leaf, body: Delivery, world: World) -> str | None:
    return None if body.of in world.answers else "no earlier leaf is the answer that this one names"


def _answer_subject(leaf: Leaf, body: Delivery, world: World) -> str | None:
    if q.answered(body.of, world).subject == subject_of(leaf, world):
        return None
    return "the answer was about another person"


def _undelivered_once(_: Leaf, body: QueryUndelivered, world: World) -> str | None:
    return "the answer was reported as undelivered before" if body.of in world.undelivered else None


def _redelivered_original(_: Leaf, body: QueryRedelivered, world: World) -> str | None:
    """Else a chain of redeliveries would stretch the time of the first."""
    original = q.answered(body.of, world).index == body.of
    return None if original else "the leaf names a redelivery instead of the answer"


def _redelivered_to(leaf: Leaf, body: QueryRedelivered, world: World) -> str | None:
    if leaf.by is not None and leaf.by.institution == q.answered(body.of, world).institution:
        return None
    return "the answer left again to another institution than the one that had asked"


def _redelivered_in_time(leaf: Leaf, body: QueryRedelivered, world: World) -> str | None:
    hours = world.policy.retention.redelivery_hours
    in_time = leaf.instant < parse_instant(q.answered(body.of, world).at) + hours * HOUR
    return None if in_time else "the answer left again later than the policy allows"


def _redelivered_live(leaf: Leaf, body: QueryRedelivered, world: World) -> str | None:
    """Its uses do not matter: the first delivery was one."""
    grant = q.answered(body.of, world).grant
    if grant is None or (not grant.withdrawn and grant.suspended is None and leaf.at < grant.not_after):
        return None
    return "the answer left again after its consent was withdrawn, suspended or over"


def _redelivered_asker(leaf: Leaf, body: QueryRedelivered, world: World) -> str | None:
    """Under a consent a colleague may send the same again; what a statute opens is its asker's alone."""
    first, operator = q.answered(body.of, world), None if leaf.by is None else leaf.by.operator
    if first.terms.statute is None or operator == first.operator:
        return None
    return "a statutory answer left again to another operator than the one who had asked"


def _redelivered_scope(leaf: Leaf, body: QueryRedelivered, world: World) -> str | None:
    """By the policy in force now, as the answer itself was by the one of then."""
    terms = q.answered(body.of, world).terms
    for rule in _BY_CONSENT if terms.statute is None else _BY_STATUTE:
        wrong = rule.check(leaf, terms, world)
        if wrong is not None:
            return f"what left again may be answered no longer: {wrong}"
    return None


_PREDICATE: Final[Rules] = (q.PREDICATE_ON, q.PREDICATE_CATEGORIES)
_BY_CONSENT: Final[Rules] = (
    c.PURPOSE_USABLE,
    c.CATEGORIES_PERMITTED,
    q.ANSWER_OFFERED,
    q.PREDICATE_SUFFICES,
    *_PREDICATE,
)
_BY_STATUTE: Final[Rules] = (st.STATUTE_ON, st.STATUTE_HOLDER, st.STATUTE_SCOPE, *_PREDICATE)

ANSWER_EXISTS = Rule("answer-exists", _answer_exists)
ANSWER_SUBJECT = Rule("answer-subject", _answer_subject)
UNDELIVERED_ONCE = Rule("undelivered-once", _undelivered_once)
REDELIVERED_ORIGINAL = Rule("redelivered-original", _redelivered_original)
REDELIVERED_TO = Rule("redelivered-to", _redelivered_to)
REDELIVERED_IN_TIME = Rule("redelivered-in-time", _redelivered_in_time)
REDELIVERED_LIVE = Rule("redelivered-live", _redelivered_live)
REDELIVERED_ASKER = Rule("redelivered-asker", _redelivered_asker)
REDELIVERED_SCOPE = Rule("redelivered-scope", _redelivered_scope)


def apply_undelivered(_: Leaf, body: QueryUndelivered, world: World) -> None:
    """`query.undelivered`."""
    world.undelivered.add(body.of)


def apply_redelivered(leaf: Leaf, _: QueryRedelivered, world: World) -> None:
    """`query.redelivered`: it may turn out not to have left, as the answer itself may."""
    world.answers.add(leaf.index)
