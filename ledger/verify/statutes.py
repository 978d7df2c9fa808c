"""Rules of queries under a statute (法定查询): asked by one operator, approved by another, shown in time.

Invariant: an answer without the person's consent stood under a statute of the policy in force, held by the
institution that asked, within its purpose, categories and answers; another operator of that institution
approved that very query in time; and where the person was not told at once, a later leaf tells them, no more
than `GRACE` after the time that the policy allowed.
"""

from __future__ import annotations

import heapq
from typing import Final, TypeAlias

from keys.instant import DAY, HOUR, LAST_INSTANT, format_instant, parse_instant
from ledger.bodies import (
    Answered,
    Body,
    NamedStatute,
    QueryDisclosed,
    QueryPending,
    QueryPredicate,
    QueryRefused,
    QueryUnsealed,
)
from ledger.entries import Leaf
from ledger.verify import documents as d
from ledger.verify.consents import subject_of
from ledger.verify.parties import approver_of
from ledger.verify.policy import Statute
from ledger.verify.queries import answer_of
from ledger.verify.rules import Rule
from ledger.verify.state import Asked, Deferred, Pending, Terms, World

GRACE: Final = DAY
"""How long after `deferred_until` the gateway may take to tell the person; ms."""

Statutory: TypeAlias = QueryPending | QueryDisclosed | QueryPredicate
Scoped: TypeAlias = Statutory | Terms
Ending: TypeAlias = Answered | QueryRefused
"""What ends the wait of a query."""


def _asked(body: Statutory) -> Asked:
    statute = body.statute
    code, document = ("", "") if statute is None else (statute.code, statute.document)
    return Asked(body.query, code, document, body.purpose, body.categories, answer_of(body))


def _code(body: Scoped) -> str:
    """The statute that a body names; no statute's code where it names none."""
    named = body.statute
    return named.code if isinstance(named, NamedStatute) else named or ""


def _held(body: Scoped, world: World) -> Statute:
    """Once a rule has made sure that the statute is on."""
    return world.policy.statutes[_code(body)]


# --- the statute


def _statute_on(_: Leaf, body: Scoped, world: World) -> str | None:
    known = _code(body) in world.policy.statutes
    return None if known else "the policy in force does not know or allow the statute"


def _statute_holder(leaf: Leaf, body: Scoped, world: World) -> str | None:
    statute, holder = _held(body, world), "" if leaf.by is None else leaf.by.institution or ""
    institution = world.institutions.get(holder)
    if institution is not None and (holder in statute.institutions or institution.sector in statute.sectors):
        return None
    return "the statute is not one of the institution's"


def _statute_scope(_: Leaf, body: Scoped, world: World) -> str | None:
    statute = _held(body, world)
    if body.purpose != statute.purpose:
        return "the statute is for another purpose"
    if not (statute.categories & world.policy.categories).issuperset(body.categories):
        return "a category is not one of the statute's, or is off"
    return None if answer_of(body) in statute.answers else "the statute does not offer this kind of answer"


# --- the query that waits


def _deferral(leaf: Leaf, body: QueryPending, world: World) -> str | None:
    if body.deferred_until is None:
        return None
    until = parse_instant(body.deferred_until)
    allowed = leaf.instant + _held(body, world).deferral_days * DAY
    if leaf.instant < until <= allowed:
        return None
    return "the statute does not allow to keep the query from the person for that long"


def _deferral_tag(leaf: Leaf, body: QueryPending, world: World) -> str | None:
    """Under a tag of the person's the query would show; under another's, it would show to somebody else."""
    if body.deferred_until is None or subject_of(leaf, world).n == 0:
        return None
    return "a deferred query is not under a tag of its own"


# --- its end


def _pending_open(_: Leaf, body: Ending, world: World) -> str | None:
    named = _pending_index(body)
    if named is None or named in world.pending:
        return None
    return "no open query waits at the leaf that this one names"


def _pending_subject(leaf: Leaf, body: Ending, world: World) -> str | None:
    pending = _pending(body, world)
    if pending is None or pending.subject == subject_of(leaf, world):
        return None
    return "the query that waited was about another person"


def _pending_asker(leaf: Leaf, body: Ending, world: World) -> str | None:
    """A refusal may come from the approver, or from nobody; an answer goes to whoever asked."""
    pending = _pending(body, world)
    if pending is None or (leaf.by is None and isinstance(body, QueryRefused)):
        return None
    asker = (pending.institution, pending.operator)
    by = None if leaf.by is None else (leaf.by.institution, leaf.by.operator)
    if by == asker or (isinstance(body, QueryRefused) and by is not None and by[0] == asker[0]):
        return None
    return "the query that waited was another's"


def _pending_same(_: Leaf, body: Ending, world: World) -> str | None:
    pending = _pending(body, world)
    if pending is None:
        return None
    if isinstance(body, QueryDisclosed | QueryPredicate):
        same = _asked(body) == pending.asked
    else:
        same = (body.query, body.purpose) == (pending.asked.query, pending.asked.purpose)
    return None if same else "the query was another when it was put"


def _approved_in_time(leaf: Leaf, body: Answered, world: World) -> str | None:
    pending = _pending(body, world)
    in_time = pending is not None and leaf.at < pending.lapses
    return None if in_time else "the approval came too late"


def _approver(leaf: Leaf, body: Answered, world: World) -> str | None:
    pending = _pending(body, world)
    if pending is None or body.statute is None:
        return None
    return approver_of(pending, body.statute.approver, leaf.at, world)


def _denied_by(leaf: Leaf, body: QueryRefused, world: World) -> str | None:
    pending = _pending(body, world)
    if pending is None or body.reason != "approval-denied":
        return None
    operator = None if leaf.by is None else leaf.by.operator
    return approver_of(pending, operator or "", leaf.at, world)


def _lapsed(leaf: Leaf, body: QueryRefused, world: World) -> str | None:
    pending = _pending(body, world)
    if pending is None or body.reason != "approval-lapsed":
        return None
    if leaf.by is not None:
        return "a query lapses by time alone, and somebody acted"
    return None if leaf.at >= pending.lapses else "the query lapsed before its time"


# --- telling the person


def _covert_tag(leaf: Leaf, _: Body, world: World) -> str | None:
    """Else a record or consent under such a tag would stay out of the person's chain."""
    subject = None if leaf.subject is None else world.subjects.get(leaf.subject.tag)
    if subject is None or not subject.covert or leaf.type in _UNDER_COVERT_TAG:
        return None
    return "the tag of a deferred query serves something else"


def _unsealed_in_time(leaf: Leaf, _: Body, world: World) -> str | None:
    """Before any leaf: nothing deferred is over its time by more than the grace."""
    while world.deadlines and world.deadlines[0][1] not in world.deferred:
        heapq.heappop(world.deadlines)
    if not world.deadlines or leaf.at <= world.deadlines[0][0]:
        return None
    index = world.deadlines[0][1]
    return f"the deferred query of leaf {index} is not unsealed, more than a day after its time"


def _unsealed_open(_: Leaf, body: QueryUnsealed, world: World) -> str | None:
    return None if body.of in world.deferred else "no deferred query waits at the leaf that this one names"


def _unsealed_due(leaf: Leaf, body: QueryUnsealed, world: World) -> str | None:
    return None if leaf.at >= world.deferred[body.of].until else "the query was unsealed before its time"


def _unsealed_person(leaf: Leaf, body: QueryUnsealed, world: World) -> str | None:
    """As far as details were opened: the request's, and those of the enrolment."""
    number = world.deferred[body.of].number
    return None if number is None else misplaced(number, leaf, world)


def misplaced(number: str, leaf: Leaf, world: World) -> str | None:
    """What is wrong when a leaf about the person of a citizen number stands under the tag of another, or
    under a tag of its own while the person is enrolled: they would never see it.

    Certificates are salted, so that looking for somebody takes a hash for each person enrolled.
    """
    named, persons = d.citizen_number(number), subject_of(leaf, world).persons
    if persons:
        same = all(d.is_person(person, named) for person in persons)
        return None if same else "the leaf is about another person than the request names"
    if any(d.is_person(person, named) for each in world.subjects.opened() for person in each.persons):
        return "the person named is enrolled, and the leaf is not under their tag"
    return None


def _later(at: str, ms: int) -> str:
    """A time after `at`; the last of all times where there is none so late."""
    return format_instant(min(parse_instant(at) + ms, LAST_INSTANT))


def _pending_index(body: Ending) -> int | None:
    if isinstance(body, QueryRefused):
        return body.pending
    return None if body.statute is None else body.statute.pending


def _pending(body: Ending, world: World) -> Pending | None:
    index = _pending_index(body)
    return None if index is None else world.pending[index]


_UNDER_COVERT_TAG: Final = frozenset(
    {"query.disclosed", "query.predicate", "query.refused", "query.redelivered", "query.undelivered"}
)

STATUTE_ON = Rule("statute-on", _statute_on)
STATUTE_HOLDER = Rule("statute-holder", _statute_holder)
STATUTE_SCOPE = Rule("statute-scope", _statute_scope)
DEFERRAL = Rule("deferral", _deferral)
DEFERRAL_TAG = Rule("deferral-tag", _deferral_tag)
PENDING_OPEN = Rule("pending-open", _pending_open)
PENDING_SUBJECT = Rule("pending-subject", _pending_subject)
PENDING_ASKER = Rule("pending-asker", _pending_asker)
PENDING_SAME = Rule("pending-same", _pending_same)
APPROVED_IN_TIME = Rule("approved-in-time", _approved_in_time)
APPROVER = Rule("approver", _approver)
DENIED_BY = Rule("denied-by-approver", _denied_by)
LAPSED = Rule("lapsed-in-time", _lapsed)
COVERT_TAG = Rule("covert-tag", _covert_tag)
UNSEALED_IN_TIME = Rule("unsealed-in-time", _unsealed_in_time)
UNSEALED_OPEN = Rule("unsealed-open", _unsealed_open)
UNSEALED_DUE = Rule("unsealed-due", _unsealed_due)
UNSEALED_PERSON = Rule("unsealed-person", _unsealed_person)


def apply_pending(leaf: Leaf, body: QueryPending, world: World) -> None:
    """`query.pending`."""
    if leaf.by is None or leaf.by.institution is None or leaf.by.operator is None:
        return
    subject = subject_of(leaf, world)
    lapses = _later(leaf.at, world.policy.retention.approval_hours * HOUR)
    world.asked.add(world.query_key(leaf.by.institution, body.query))
    world.pending[leaf.index] = Pending(subject, leaf.by.institution, leaf.by.operator, _asked(body), lapses)
    if body.deferred_until is not None:
        subject.covert = True
        world.deferred[leaf.index] = Deferred(subject, body.deferred_until)
        deadline = _later(body.deferred_until, GRACE)
        heapq.heappush(world.deadlines, (deadline, leaf.index))


def apply_refused(_: Leaf, body: QueryRefused, world: World) -> None:
    """`query.refused`: the query that waited no longer does."""
    if body.pending is not None:
        del world.pending[body.pending]


def apply_unsealed(leaf: Leaf, body: QueryUnsealed, world: World) -> None:
    """`query.unsealed`."""
    world.deferred.pop(body.of).subject.joined = subject_of(leaf, world)
