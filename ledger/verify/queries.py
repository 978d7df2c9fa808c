"""Rules of answers, refusals and records: the replay of enforcement proper.

Invariant: every answer stood under a live consent of that person, given to the institution that asked, for
its purpose, no categories but its own, within its time, and no more often than it allows
(征信业管理条例, Regulation on the Administration of the Credit Reporting Industry, art. 18 and 20).
"""

from __future__ import annotations

from ledger.bodies import Body, QueryDisclosed, QueryUndelivered, RecordIngested
from ledger.entries import Leaf
from ledger.verify.consents import subject_of
from ledger.verify.rules import Rule
from ledger.verify.state import World


def _grant_begun(leaf: Leaf, body: QueryDisclosed, world: World) -> str | None:
    return None if leaf.at >= world.grants[body.grant].not_before else "the consent was not yet valid"


def _grant_not_over(leaf: Leaf, body: QueryDisclosed, world: World) -> str | None:
    return None if leaf.at < world.grants[body.grant].not_after else "the consent had expired"


def _grant_recipient(leaf: Leaf, body: QueryDisclosed, world: World) -> str | None:
    if leaf.by is not None and leaf.by.institution == world.grants[body.grant].recipient:
        return None
    return "the consent was given to another recipient"


def _grant_purpose(_: Leaf, body: QueryDisclosed, world: World) -> str | None:
    return (
        None
        if body.purpose == world.grants[body.grant].purpose
        else "the consent was given for another purpose"
    )


def _grant_categories(_: Leaf, body: QueryDisclosed, world: World) -> str | None:
    if world.grants[body.grant].categories.issuperset(body.categories):
        return None
    return "the answer covers a category that the consent does not"


def _grant_answer(_: Leaf, body: QueryDisclosed, world: World) -> str | None:
    if world.grants[body.grant].answer == "report":
        return None
    return "a report was given where the consent allows a yes or no only"


def _use_number(_: Leaf, body: QueryDisclosed, world: World) -> str | None:
    if body.use == world.grants[body.grant].uses + 1:
        return None
    return "the uses of the consent are not counted one by one"


def _use_limit(_: Leaf, body: QueryDisclosed, world: World) -> str | None:
    return (
        None
        if body.use <= world.grants[body.grant].max_uses
        else "the consent was used more often than it allows"
    )


def _query_once(leaf: Leaf, body: QueryDisclosed, world: World) -> str | None:
    if leaf.by is None or leaf.by.institution is None:
        return None
    answered = world.institutions[leaf.by.institution].answered
    return "the query was answered before" if body.query in answered else None


def _answer_exists(_: Leaf, body: QueryUndelivered, world: World) -> str | None:
    return None if body.of in world.answers else "no earlier leaf is the answer that this one names"


def _answer_subject(leaf: Leaf, body: QueryUndelivered, world: World) -> str | None:
    if world.answers[body.of] is subject_of(leaf, world):
        return None
    return "the answer was about another person"


def _undelivered_once(_: Leaf, body: QueryUndelivered, world: World) -> str | None:
    return "the answer was reported as undelivered before" if body.of in world.undelivered else None


def _source_known(_: Leaf, body: RecordIngested, world: World) -> str | None:
    return None if body.source in world.institutions else "the source was never registered"


def _source_role(_: Leaf, body: RecordIngested, world: World) -> str | None:
    return (
        None
        if "source" in world.institutions[body.source].roles
        else "the institution is no source of records"
    )


def _source_standing(leaf: Leaf, body: RecordIngested, world: World) -> str | None:
    return (
        None if world.institutions[body.source].stands(leaf.at) else "the source was suspended at that time"
    )


def _source_acts(leaf: Leaf, body: RecordIngested, _: World) -> str | None:
    if leaf.by is None or leaf.by.institution == body.source:
        return None
    return "the records came from another institution than their source"


GRANT_BEGUN = Rule("grant-begun", _grant_begun)
GRANT_NOT_OVER = Rule("grant-not-over", _grant_not_over)
GRANT_RECIPIENT = Rule("grant-recipient", _grant_recipient)
GRANT_PURPOSE = Rule("grant-purpose", _grant_purpose)
GRANT_CATEGORIES = Rule("grant-categories", _grant_categories)
GRANT_ANSWER = Rule("grant-answer", _grant_answer)
USE_NUMBER = Rule("use-number", _use_number)
USE_LIMIT = Rule("use-limit", _use_limit)
QUERY_ONCE = Rule("query-once", _query_once)
ANSWER_EXISTS = Rule("answer-exists", _answer_exists)
ANSWER_SUBJECT = Rule("answer-subject", _answer_subject)
UNDELIVERED_ONCE = Rule("undelivered-once", _undelivered_once)
SOURCE_KNOWN = Rule("source-known", _source_known)
SOURCE_ROLE = Rule("source-role", _source_role)
SOURCE_STANDING = Rule("source-standing", _source_standing)
SOURCE_ACTS = Rule("source-acts", _source_acts)


def apply_disclosed(leaf: Leaf, body: QueryDisclosed, world: World) -> None:
    """`query.disclosed`."""
    world.grants[body.grant].uses = body.use
    world.answers[leaf.index] = subject_of(leaf, world)
    if leaf.by is not None and leaf.by.institution is not None:
        world.institutions[leaf.by.institution].answered.add(body.query)


def apply_undelivered(_: Leaf, body: QueryUndelivered, world: World) -> None:
    """`query.undelivered`."""
    world.undelivered.add(body.of)


def apply_nothing(_: Leaf, __: Body, ___: World) -> None:
    """A leaf that later rules never look back to."""
