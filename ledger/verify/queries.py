"""Rules of answers under a consent: the replay of enforcement proper.

Invariant: every answer but a statutory one stood under a live consent of that person, given to the
institution that asked, for its purpose, no categories but its own, in the form that it names, within its
time, and no more often than it allows (征信业管理条例, Regulation on the Administration of the Credit
Reporting Industry, art. 18 and 20). A yes or no read exactly the categories of its rule, whatever it stood
under.
"""

from __future__ import annotations

from typing import TypeAlias

from ledger.bodies import (
    Answered,
    Body,
    ConsentGranted,
    QueryDisclosed,
    QueryPending,
    QueryPredicate,
    QueryRedelivered,
)
from ledger.entries import Leaf
from ledger.verify.consents import subject_of
from ledger.verify.policy import PREDICATE
from ledger.verify.rules import Rule
from ledger.verify.state import Answer, Terms, World

Answering: TypeAlias = QueryDisclosed | QueryPredicate
Answerable: TypeAlias = Answering | QueryPending | ConsentGranted | Terms


def answer_of(body: Answerable | Answered) -> str:
    """`report` or `predicate:<name>`."""
    if isinstance(body, QueryPending | ConsentGranted | Terms):
        return body.answer
    return PREDICATE + body.predicate if isinstance(body, QueryPredicate) else "report"


def _query_once(leaf: Leaf, body: Answering | QueryPending, world: World) -> str | None:
    if leaf.by is None or leaf.by.institution is None:
        return None
    asked = world.query_key(leaf.by.institution, body.query) in world.asked
    return "the query was answered before, or waits under the same id" if asked else None


def _grant_begun(leaf: Leaf, body: Answering, world: World) -> str | None:
    return None if leaf.at >= world.granted(body.grant).not_before else "the consent was not yet valid"


def _grant_not_over(leaf: Leaf, body: Answering, world: World) -> str | None:
    return None if leaf.at < world.granted(body.grant).not_after else "the consent had expired"


def _grant_recipient(leaf: Leaf, body: Answering, world: World) -> str | None:
    if leaf.by is not None and leaf.by.institution == world.granted(body.grant).terms.recipient:
        return None
    return "the consent was given to another recipient"


def _grant_purpose(_: Leaf, body: Answering, world: World) -> str | None:
    if body.purpose == world.granted(body.grant).terms.purpose:
        return None
    return "the consent was given for another purpose"


def _grant_categories(_: Leaf, body: Answering, world: World) -> str | None:
    if world.granted(body.grant).terms.categories.issuperset(body.categories):
        return None
    return "the answer covers a category that the consent does not"


def _grant_answer(_: Leaf, body: Answering, world: World) -> str | None:
    if answer_of(body) == world.granted(body.grant).terms.answer:
        return None
    return "the consent was given for another kind of answer: a report, or another yes or no"


def _answer_offered(_: Leaf, body: Answering | ConsentGranted | Terms, world: World) -> str | None:
    offered = answer_of(body) in world.policy.usable[body.purpose].answers
    return None if offered else "the policy does not offer this kind of answer for the purpose"


def _predicate_suffices(_: Leaf, body: Answering | Terms, world: World) -> str | None:
    if answer_of(body) != "report" or not world.policy.usable[body.purpose].yes_or_no:
        return None
    return "a report was given for a purpose that a yes or no serves"


def _predicate_on(_: Leaf, body: Answerable, world: World) -> str | None:
    name = answer_of(body).removeprefix(PREDICATE)
    if name == "report" or name in world.policy.predicates:
        return None
    return "the policy in force does not know or allow the rule that answers yes or no"


def _predicate_categories(_: Leaf, body: Answerable, world: World) -> str | None:
    name = answer_of(body).removeprefix(PREDICATE)
    if name == "report" or world.policy.predicates[name] == frozenset(body.categories):
        return None
    return "the categories are not exactly those that the rule reads"


def _use_number(_: Leaf, body: Answering, world: World) -> str | None:
    if body.use == world.granted(body.grant).uses + 1:
        return None
    return "the uses of the consent are not counted one by one"


def _use_limit(_: Leaf, body: Answering, world: World) -> str | None:
    grant = world.granted(body.grant)
    return "the consent was used more often than it allows" if grant.uses >= grant.max_uses else None


QUERY_ONCE = Rule("query-once", _query_once)
GRANT_BEGUN = Rule("grant-begun", _grant_begun)
GRANT_NOT_OVER = Rule("grant-not-over", _grant_not_over)
GRANT_RECIPIENT = Rule("grant-recipient", _grant_recipient)
GRANT_PURPOSE = Rule("grant-purpose", _grant_purpose)
GRANT_CATEGORIES = Rule("grant-categories", _grant_categories)
GRANT_ANSWER = Rule("grant-answer", _grant_answer)
ANSWER_OFFERED = Rule("answer-offered", _answer_offered)
PREDICATE_SUFFICES = Rule("predicate-suffices", _predicate_suffices)
PREDICATE_ON = Rule("predicate-on", _predicate_on)
PREDICATE_CATEGORIES = Rule("predicate-categories", _predicate_categories)
USE_NUMBER = Rule("use-number", _use_number)
USE_LIMIT = Rule("use-limit", _use_limit)


def apply_answered(leaf: Leaf, body: Answering, world: World) -> None:
    """`query.disclosed`, `query.predicate`: one use of a consent, or the end of a wait."""
    if leaf.by is None or leaf.by.institution is None:
        return
    if body.statute is not None:
        del world.pending[body.statute.pending]
    else:
        world.granted(body.grant).uses += 1
        world.asked.add(world.query_key(leaf.by.institution, body.query))
    world.answers.add(leaf.index)


def answered(index: int, world: World) -> Answer:
    """The answer of a leaf, or the one that it delivered again, read from the log once more."""
    leaf = world.find_leaf(index)
    while isinstance(leaf.body, QueryRedelivered):
        leaf = world.find_leaf(leaf.body.of)
    body, by = leaf.body, leaf.by
    assert isinstance(body, Answered)
    assert by is not None
    grant = None if body.statute is not None else world.granted(body.grant)
    code = None if body.statute is None else body.statute.code
    terms = Terms(body.purpose, body.categories, answer_of(body), code)
    subject = subject_of(leaf, world)
    return Answer(leaf.index, subject, by.institution or "", by.operator or "", leaf.at, grant, terms)


def apply_nothing(_: Leaf, __: Body, ___: World) -> None:
    """A leaf that later rules never look back to."""
