"""Rules of erasure (删除): how many records of a person there must be, and that nothing follows the last one.

Invariant: what is held of a person is what was ingested less what was erased, and every statement of it
says so; after the erasure of class `link` nothing more is said of that tag but that its consents and requests
ended with it, that an answer did not arrive, or that a query under way was refused. Nothing is erased while a
case that is known to be about it is open.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Final

from keys.canonical import sha256_hex, unb64u
from ledger.bodies import (
    Body,
    CaseClosed,
    CaseOpened,
    ConsentWithdrawn,
    RecordErased,
    RecordIngested,
    RecordRestated,
)
from ledger.entries import Leaf
from ledger.errors import Finding
from ledger.verify.consents import subject_of
from ledger.verify.details import HeldCase
from ledger.verify.persons import Subject
from ledger.verify.recovery import lost_in
from ledger.verify.rules import Rule
from ledger.verify.state import Case, World

LINK: Final = "link"
IDENTITY: Final = "identity"

_AFTERWARDS: Final = frozenset({"consent.lapsed", "consent.withdrawn", "query.refused", "query.undelivered"})


def _erased_silent(leaf: Leaf, _: Body, world: World) -> str | None:
    if leaf.subject is None or leaf.type in _AFTERWARDS or subject_of(leaf, world).erased is None:
        return None
    return "something happens to a person of whom everything was erased"


def _erased_restated(leaf: Leaf, body: Body, world: World) -> str | None:
    if leaf.subject is None or not subject_of(leaf, world).restates:
        return None
    if isinstance(body, RecordRestated) and body.cause == "erasure":
        return None
    return "records were erased, and what is left was not stated"


def _restated_count(leaf: Leaf, body: RecordRestated, world: World) -> str | None:
    held = subject_of(leaf, world).held
    if body.count == held or (body.cause == "recovery" and body.count < held and world.recovered):
        return None
    if body.cause == "recovery" and world.previous is not None and subject_of(leaf, world).held == 0:
        return None  # what the log before this one held of them
    return "more or fewer records are stated than are held"


def _restated_cause(leaf: Leaf, body: RecordRestated, world: World) -> str | None:
    if (body.cause == "erasure") == subject_of(leaf, world).restates:
        return None
    return "records are stated anew for an erasure that there was not"


def _erasure_once(_: Leaf, body: RecordErased, world: World) -> str | None:
    return "an erasure of this id was made before" if body.erasure in world.erasures else None


def _erased_held(leaf: Leaf, body: RecordErased, world: World) -> str | None:
    if body.count <= subject_of(leaf, world).held:
        return None
    return "more records were erased than were held"


def _erased_whole(leaf: Leaf, body: RecordErased, world: World) -> str | None:
    """Link goes last: without it nobody could tell whose the rest is."""
    if LINK not in body.classes and IDENTITY not in body.classes:
        return None
    if {LINK, IDENTITY} <= set(body.classes) and body.count == subject_of(leaf, world).held:
        return None
    return "who a person is was erased, and not everything of theirs"


def _erased_epoch(_: Leaf, body: RecordErased, world: World) -> str | None:
    return None if body.epoch == world.epoch else "the erasure names another epoch than the one that was open"


def _erased_ground(_: Leaf, body: RecordErased, world: World) -> str | None:
    if body.authority in world.policy.retention.erasure_grounds:
        return None
    return "the policy in force does not know the ground of the erasure"


def _case_holds(leaf: Leaf, _: Body, world: World) -> str | None:
    """With a regulator's key only: without it nobody can tell whose a case is."""
    tag = "" if leaf.subject is None else leaf.subject.tag
    held = any(case.open and case.tag == tag for case in world.cases.values())
    return "records were erased while a case about their person was open" if held else None


def _withdrawn_erased(leaf: Leaf, body: ConsentWithdrawn, world: World) -> str | None:
    if (body.by == "erasure") == (subject_of(leaf, world).erased is not None):
        return None
    return "a consent ended with an erasure that there was not, or after one in another way"


def _case_once(_: Leaf, body: CaseOpened, world: World) -> str | None:
    return "the case was opened before" if body.case in world.cases else None


def _case_scope(_: Leaf, about: tuple[CaseOpened, HeldCase], world: World) -> str | None:
    body, held = about
    if sha256_hex(unb64u(held.salt, 16) + unb64u(held.tag, 16)) != body.scope:
        return "the case is about another person than the leaf says"
    return None if held.tag in world.subjects else "the case is about nobody"


def _case_open(_: Leaf, body: CaseClosed, world: World) -> str | None:
    case = world.cases.get(body.case)
    return None if case is not None and case.open else "the case was not open"


ERASED_SILENT = Rule("erased-silent", _erased_silent)
ERASED_RESTATED = Rule("erased-restated", _erased_restated)
RESTATED_COUNT = Rule("restated-count", _restated_count)
RESTATED_CAUSE = Rule("restated-cause", _restated_cause)
ERASURE_ONCE = Rule("erasure-once", _erasure_once)
ERASED_HELD = Rule("erased-held", _erased_held)
ERASED_WHOLE = Rule("erased-whole", _erased_whole)
ERASED_EPOCH = Rule("erased-epoch", _erased_epoch)
ERASED_GROUND = Rule("erased-ground", _erased_ground)
CASE_HOLDS = Rule("case-holds", _case_holds)
WITHDRAWN_ERASED = Rule("withdrawn-erased", _withdrawn_erased)
CASE_ONCE = Rule("case-once", _case_once)
CASE_SCOPE = Rule("case-scope", _case_scope)
CASE_OPEN = Rule("case-open", _case_open)

OF_EVERY_LEAF: Final = (ERASED_SILENT, ERASED_RESTATED)
"""Held before the rules of a leaf's own type."""


def apply_ingested(leaf: Leaf, body: RecordIngested, world: World) -> None:
    """`record.ingested`."""
    subject_of(leaf, world).held += body.count


def apply_restated(leaf: Leaf, body: RecordRestated, world: World) -> None:
    """`record.restated`."""
    subject = subject_of(leaf, world)
    subject.held, subject.restates = body.count, False


def apply_erased(leaf: Leaf, body: RecordErased, world: World) -> None:
    """`record.erased`. A person who is gone may be enrolled again, by a new tag, with the same key."""
    subject = subject_of(leaf, world)
    world.erasures.add(body.erasure)
    subject.held -= body.count
    if LINK not in body.classes:
        subject.restates = True
        return
    subject.erased = leaf.index
    for key in subject.keys.values():
        if key.public is not None:
            world.citizen_keys.pop(key.public.kid, None)
        key.public = key.person = None


def apply_opened(leaf: Leaf, body: CaseOpened, world: World) -> None:
    """`case.opened`."""
    world.cases[body.case] = Case(body.scope, leaf.index)


def apply_closed(_: Leaf, body: CaseClosed, world: World) -> None:
    """`case.closed`."""
    world.cases[body.case].open = False


def know_case(_: Leaf, about: tuple[CaseOpened, HeldCase], world: World) -> None:
    """Whose the case is, out of its opened details."""
    body, details = about
    world.cases[body.case].tag = details.tag


def check_end(world: World, unread: Iterable[tuple[int, str | None]], known: AbstractSet[int]) -> None:
    """Raise a Finding for what must have followed by the end of the log, and did not.

    `unread` are the leaves whose sealed details are missing, with their tags: gone with their persons, lost
    with a database that was put back (in one of the recoveries `known` to the auditor), or taken away.
    """
    if world.subjects.restates:
        raise Finding(None, "erased-restated", "records were erased, and what is left was not stated")
    for index, tag in unread:
        gone = tag is not None and _is_gone(world.subjects[tag])
        if gone:
            continue
        recovery = lost_in(index, world)
        if recovery is None:
            raise Finding(index, "blob-missing", "the sealed details are missing")
        if recovery not in known:
            raise Finding(
                recovery,
                "recovery-unknown",
                "details were lost with a database put back: if you know of it, say --recovered INDEX",
            )


def _is_gone(subject: Subject) -> bool:
    person = subject.joined or subject
    return person.erased is not None
