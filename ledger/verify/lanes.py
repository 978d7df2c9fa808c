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

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from keys.errors import KeysError
from keys.instant import parse_instant
from ledger.bodies import (
    ConsentAsked,
    ConsentGranted,
    QueryDisclosed,
    QueryPredicate,
    RecordIngested,
    SubjectEnrolled,
)
from ledger.entries import By, Leaf
from ledger.verify import quotas
from ledger.verify.granted import Granted
from ledger.verify.judged import Actor, Frame, Judged, Scope, bare_leaf
from ledger.verify.parts import Part
from ledger.verify.persons import OneKey
from ledger.verify.policy import PREDICATE
from ledger.verify.state import Window, World

_NEVER: Final = timedelta(0)
_MOST: Final = 100_000
"""Frames, actors and scopes that are remembered at a time."""


class Lanes:
    """Takes over what it can of each part, leaf by leaf."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._house = 1
        self._frames: dict[tuple[Any, ...], Frame] = {}
        self._actors: dict[tuple[Any, ...], Actor] = {}
        self._scopes: dict[tuple[Any, ...], Scope] = {}
        self._part: tuple[list[Frame], list[Actor], list[Scope]] = ([], [], [])
        self._minute = b""
        self._lanes: tuple[Callable[[int, list[Any], int, Actor, Scope], bool], ...] = (
            self._answered,
            self._answered,
            self._refused,
            self._requested,
            self._declined,
            self._granted,
            self._withdrawn,
            self._enrolled,
            self._ingested,
        )
        self.at = b""
        """Time of the last leaf."""

    def begin(self, part: Part) -> None:
        """Look up what the plain leaves of a part share."""
        if len(self._scopes) + len(self._actors) + len(self._frames) > _MOST:
            self._frames, self._actors, self._scopes = {}, {}, {}
        self._part = (
            [_known(self._frames, tuple(key), Frame) for key in part.frames],
            [_known(self._actors, tuple(key), Actor) for key in part.actors],
            [_known(self._scopes, tuple(map(_plain, key)), _scope) for key in part.scopes],
        )

    def changed(self, leaf: Leaf) -> None:
        """The rules took a leaf over: of nobody, it may have changed the house; a new window may have
        begun.
        """
        self.at, self._minute = leaf.at.encode(), b""
        if leaf.subject is None:
            self._house += 1
        else:
            subjects = self._world.subjects
            subjects.fold(subjects.slots[leaf.subject.tag.encode()])

    def take(self, index: int, plain: list[Any], digest: bytes) -> bool:
        """Whether a plain leaf was taken over; `digest` is its hash."""
        form, actor_, scope_, frame_, at, n, prev, tag = plain[:8]
        world, house = self._world, self._house
        frame, actor, scope = self._part[0][frame_], self._part[1][actor_], self._part[2][scope_]
        if (frame.held != house or actor.held != house or scope.held != house) and not (
            self._holds(frame, at) and self._holds(actor, at) and self._holds(scope, at)
        ):
            return False
        if at < self.at or world.suspending or (world.deadlines and at.decode() > world.deadlines[0][0]):
            return False
        subjects = world.subjects
        slot = subjects.slot(tag)
        if subjects.n[slot] + 1 != n or subjects.heads[slot] != prev or subjects.odd[slot]:
            return False
        if not self._lanes[form](index, plain, slot, actor, scope):
            return False
        subjects.n[slot] = n
        subjects.heads[slot] = digest
        self.at = at
        return True

    def _holds(self, judged: Judged, at: bytes) -> bool:
        """Whether all rules hold of what recurs; then they need not be asked again until the house
        changes.
        """
        if judged.held == self._house:
            return True
        leaf, world = judged.sample, self._world
        if not isinstance(judged, Frame):
            leaf = msgspec.structs.replace(leaf, at=at.decode())
        try:
            wrong = any(rule.check(leaf, leaf.body, world) is not None for rule in judged.rules)
        except KeysError:
            return False
        if wrong:
            return False
        if isinstance(judged, Actor):
            party = world.institutions.get(judged.institution)
            judged.names.clear()
            judged.queries = b"" if party is None else party.index.to_bytes(8, "big")
        judged.held = self._house
        return True

    # --- what each lane does

    def _answered(self, index: int, plain: list[Any], slot: int, actor: Actor, scope: Scope) -> bool:
        world, grants, at = self._world, self._world.grants, plain[4]
        grant = grants.find(plain[8])
        if grant is None or grants.subject[grant] != slot or grants.ended[grant]:
            return False
        use, term, begin = plain[9], grants.term[grant], 48 * grant
        if use != grants.uses[grant] + 1 or use > grants.most[grant]:
            return False
        if not grants.bounds[begin : begin + 24] <= at < grants.bounds[begin + 24 : begin + 48]:
            return False
        terms = grants.terms.values[term]
        if actor.institution != terms.recipient or not (term in scope.fits or _fits(scope, term, terms)):
            return False
        counts = self._counts(at, actor, scope)
        if counts is None or not world.asked.add(actor.queries + plain[10]):
            return False
        for each, name in counts:
            each[name] += 1
        grants.uses[grant] = use
        world.answers.given[index] = 1
        return True

    def _refused(self, _: int, plain: list[Any], __: int, actor: Actor, scope: Scope) -> bool:
        return self._asked(plain[4], actor, scope)

    def _requested(self, index: int, plain: list[Any], slot: int, actor: Actor, scope: Scope) -> bool:
        asked, body = self._world.requests, scope.body
        assert isinstance(body, ConsentAsked)
        key = asked.key(body.recipient, plain[8])
        if body.recipient != actor.institution or key in asked.slots:
            return False
        if not self._asked(plain[4], actor, scope):
            return False
        asked.add(key, index, slot, self._scope_number(scope))
        return True

    def _declined(self, _: int, plain: list[Any], slot: int, __: Actor, scope: Scope) -> bool:
        asked, body = self._world.requests, scope.body
        assert isinstance(body, ConsentAsked)
        found = asked.slots.get(asked.key(body.recipient, plain[8]))
        if found is None or not asked.open[found] or asked.subject[found] != slot:
            return False
        if asked.scope[found] != self._scope_number(scope):
            return False
        asked.open[found] = 0
        return True

    def _granted(self, index: int, plain: list[Any], slot: int, _: Actor, scope: Scope) -> bool:
        world, body, key = self._world, scope.body, self._world.subjects.keys[slot]
        at, commitment, consent, most, before, after = plain[4], *plain[8:13]
        assert isinstance(body, ConsentGranted)
        if not isinstance(key, OneKey) or key.commitment != commitment or at < key.since:
            return False
        length = datetime.fromisoformat(after[:23].decode()) - datetime.fromisoformat(before[:23].decode())
        if not _NEVER < length <= timedelta(days=world.policy.usable[body.purpose].max_days):
            return False
        if not world.consents.add(consent):
            return False
        if scope.number < 0:
            terms = Granted(body.recipient, body.purpose, frozenset(body.categories), body.answer)
            scope.number = world.grants.terms.number(terms)
        world.grants.add(index, slot, scope.number, before + after, most)
        return True

    def _withdrawn(self, _: int, plain: list[Any], slot: int, __: Actor, ___: Scope) -> bool:
        grants, key = self._world.grants, self._world.subjects.keys[slot]
        grant = grants.find(plain[8])
        if grant is None or grants.subject[grant] != slot or grants.ended[grant] & 1:
            return False
        if not isinstance(key, OneKey) or plain[4] < key.since:
            return False
        grants.ended[grant] |= 1
        return True

    def _enrolled(self, index: int, plain: list[Any], slot: int, actor: Actor, scope: Scope) -> bool:
        world, body = self._world, scope.body
        assert isinstance(body, SubjectEnrolled)
        if world.subjects.keys[slot] is not None or actor.registrar != body.registrar:
            return False
        if not world.certificates.add(plain[8]):
            return False
        world.subjects.keys[slot] = OneKey.pack(plain[9], plain[8], plain[4], index, actor.registrar)
        return True

    def _ingested(self, _: int, plain: list[Any], slot: int, actor: Actor, scope: Scope) -> bool:
        assert isinstance(scope.body, RecordIngested)
        if actor.institution not in ("", scope.body.source):
            return False
        self._world.subjects.held[slot] += plain[8]
        return True

    # --- quotas

    def _asked(self, at: bytes, actor: Actor, scope: Scope) -> bool:
        """Count an ask; False where a quota would be passed."""
        counts = self._counts(at, actor, scope)
        for each, name in counts or ():
            each[name] += 1
        return counts is not None

    def _counts(
        self, at: bytes, actor: Actor, scope: Scope
    ) -> list[tuple[Counter[tuple[str, ...]], tuple[str, ...]]] | None:
        """Where an ask counts; None where a quota would be passed, or the rules had better look."""
        names = actor.names.get(scope.purpose)
        if names is None:
            names = actor.names[scope.purpose] = self._names(actor, scope.purpose)
        if at[:16] != self._minute:
            self._turn(at)
        windows, counts = self._world.windows, []
        for per, name, limit in names:
            count = windows[per].counts
            if count.get(name, 0) >= limit:
                return None
            counts.append((count, name))
        return counts

    def _names(self, actor: Actor, purpose: str) -> list[tuple[str, tuple[str, ...], int]]:
        """Each quota that an ask falls under: its window, the name of its count, its limit."""
        by = By(institution=actor.institution, operator=actor.operator) if actor.operator else None
        ask = ConsentAsked(request="", recipient="", purpose=purpose, categories=())
        leaf = bare_leaf("consent.requested", ask, by=by)
        return [(quota.per, name, quota.limit) for quota, name in quotas.counted(leaf, ask, self._world)]

    def _turn(self, at: bytes) -> None:
        """Begin the windows of a minute that were not begun."""
        instant, windows = parse_instant(at.decode()), self._world.windows
        for per, length in quotas.WINDOWS.items():
            window = windows.get(per)
            if window is None or window.number != instant // length:
                windows[per] = Window(instant // length)
        self._minute = at[:16]

    def _scope_number(self, scope: Scope) -> int:
        """The number of what a request asks for."""
        if scope.number < 0:
            body = scope.body
            assert isinstance(body, ConsentAsked)
            scope.number = self._world.requests.asked.number((body.purpose, body.categories))
        return scope.number


def _fits(scope: Scope, term: int, terms: Granted) -> bool:
    """Whether a consent's terms, but for their recipient, cover what is asked; remembered if so."""
    body = scope.body
    assert isinstance(body, QueryDisclosed | QueryPredicate)
    answer = PREDICATE + body.predicate if isinstance(body, QueryPredicate) else "report"
    if (body.purpose, answer) != (terms.purpose, terms.answer) or not terms.categories.issuperset(
        body.categories
    ):
        return False
    scope.fits.add(term)
    return True


def _known(known: dict[tuple[Any, ...], Any], key: tuple[Any, ...], make: Callable[..., Any]) -> Any:
    found = known.get(key)
    if found is None:
        found = known[key] = make(*key)
    return found


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def _scope(form: int, *asked: Any) -> Scope:
    return Scope(form, list(asked))
