"""The lanes of the common leaves: replay at a fraction of the cost of the rules, and never instead of them.

Invariant: a lane takes a leaf over only where every rule of `chain` and of the leaf's row in `replay` would
say that nothing is wrong; where it cannot tell, it says no, changes nothing that a rule sees, and the rules
decide. So no finding is made here, and none is lost.

A lane divides the rules of its type by what they rest on. Those of the `frame` (policy, sealing key, day), of
the `actor` and of the `scope` (what is asked for) are run, as they are, once for each of these, and hold
until the next leaf about nobody: only such a leaf changes a policy, a party's standing or a key, and who
stands keeps standing. The `rest` depends on the person, the consent and the count, and is what the lane's
method does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ledger.entries import Leaf
from ledger.verify.judged import Actor, Frame, Judge, Scope
from ledger.verify.parts import Part
from ledger.verify.persons import LINK
from ledger.verify.spellings import FORMS
from ledger.verify.state import World
from ledger.verify.taking import Taking

_END_OF_TIME: Final = b"~"
_LINK: Final = LINK.size
_MOST: Final = 100_000
"""Frames, actors and scopes that are remembered at a time."""


class Lanes:
    """Takes over what it can of each part, leaf by leaf. `taken` counts the leaves of each form."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._judge = Judge(world)
        self._taking = Taking(world, self._judge)
        self._frames: dict[tuple[Any, ...], Frame] = {}
        self._actors: dict[tuple[Any, ...], Actor] = {}
        self._scopes: dict[tuple[Any, ...], Scope] = {}
        self._part: tuple[list[Frame], list[Actor], list[Scope]] = ([], [], [])
        self.taken = [0] * len(FORMS)
        self.at = b""
        """Time of the last leaf."""

    def begin(self, part: Part) -> None:
        """Look up what the plain leaves of a part share."""
        if len(self._scopes) + len(self._actors) + len(self._frames) > _MOST:
            self._frames, self._actors, self._scopes = {}, {}, {}
        self._taking.forget()
        self._part = (
            [_known(self._frames, tuple(key), Frame) for key in part.frames],
            [_known(self._actors, tuple(key), Actor) for key in part.actors],
            [_known(self._scopes, tuple(key), Scope) for key in part.scopes],
        )

    def changed(self, leaf: Leaf) -> None:
        """The rules took a leaf over: of nobody, it may have changed the house; a new window may have
        begun.
        """
        self.at = leaf.at.encode()
        self._taking.changed(leaf)
        if leaf.subject is None:
            self._judge.house += 1
        else:
            subjects = self._world.subjects
            subjects.fold(subjects[leaf.subject.tag].slot)

    def take(self, leaves: list[Any], start: int, first: int) -> int:
        """Take over leaves of a bundle, which begins at index `first`, from place `start` on; the place of
        the first that is left to the rules.
        """
        world, lanes = self._world, self._taking.lanes
        if world.suspending:
            return start
        house, holds = self._judge.house, self._judge.holds
        frames, actors, scopes = self._part
        subjects, last = world.subjects, self.at
        seen, links, odd = subjects.seen, subjects.links, subjects.odd
        end = world.deadlines[0][0].encode() if world.deadlines else _END_OF_TIME
        place = start
        for place, plain in enumerate(leaves[start:], start):
            if type(plain) is bytes:
                break
            form, actor_, scope_, frame_, at, link, next_link, tag = plain[:8]
            actor, scope, frame = actors[actor_], scopes[scope_], frames[frame_]
            if not (actor.held == scope.held == frame.held == house) and not (
                holds(frame, at) and holds(actor, at) and holds(scope, at)
            ):
                break
            if not last <= at <= end:
                break
            slot = seen.get(tag)
            if slot is None:
                slot = subjects.slot(tag)
            where = _LINK * slot
            if not links.startswith(link, where) or odd[slot]:
                break
            if not lanes[form](first + place, plain, slot, actor, scope):
                break
            links[where : where + _LINK] = next_link
            last = at
        else:
            place = len(leaves)
        self.at = last
        for plain in leaves[start:place]:
            self.taken[plain[0]] += 1
        return place


def _known(known: dict[tuple[Any, ...], Any], key: tuple[Any, ...], make: Callable[..., Any]) -> Any:
    found = known.get(key)
    if found is None:
        found = known[key] = make(*key)
    return found
