"""What each lane does: the rules of a common leaf that rest on its person, its consent and its count.

Invariant: a lane that says no has changed nothing that a rule sees; one that says yes has changed what the
rules would have changed. The lanes stand for the rules that `judged.REST` names.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import lru_cache
from typing import Final, TypeAlias

from keys.instant import HOUR, parse_instant
from ledger.bodies import ConsentAsked, ConsentGranted, RecordIngested, SubjectEnrolled
from ledger.entries import Leaf
from ledger.verify.granted import Granted
from ledger.verify.judged import Actor, Judge, Scope
from ledger.verify.persons import OneKey
from ledger.verify.shorts import Plain
from ledger.verify.state import World
from ledger.verify.tally import Tally

_DAY: Final = 10
"""Letters of a time that are its day; the rest are the time of that day."""
_RECENT: Final = 16_384
"""Answers that are remembered, at least, so that they need not be read again; at most some more than twice
as many.
"""

Lane: TypeAlias = Callable[[int, Plain, int, Actor, Scope], bool]
"""(index, leaf in short, place of its person, actor, scope) -> whether the leaf was taken over."""

_Given: TypeAlias = tuple[int, int, bytes, str, Scope]
"""An answer under a consent: places of its person and its consent, its time, the institution that asked, and
what for.
"""


class Taking:
    """The lanes, by their forms."""

    def __init__(self, world: World, judge: Judge) -> None:
        self._world, self._judge = world, judge
        self._tally = Tally(world)
        self._recipients: set[bytes] = set()
        self._asked_by: dict[bytes, bytes] = {}
        self._recent: dict[int, _Given] = {}
        self._older: dict[int, _Given] = {}
        self.lanes: tuple[Lane, ...] = (  # in the order of `spellings.FORMS`
            self._answered,
            self._answered,
            self._refused,
            self._requested,
            self._declined,
            self._granted,
            self._withdrawn,
            self._enrolled,
            self._ingested,
            self._read,
            self._redelivered,
            self._undelivered,
        )

    def forget(self) -> None:
        """Let go of answers that were given long ago."""
        if len(self._recent) > _RECENT:
            self._recent, self._older = {}, self._recent

    def changed(self, leaf: Leaf) -> None:
        """The rules took a leaf over."""
        self._tally.changed()
        if leaf.subject is None:
            self._recipients.clear()

    # --- what each lane does

    def _answered(self, index: int, plain: Plain, slot: int, actor: Actor, scope: Scope) -> bool:
        world, grants, at, use = self._world, self._world.grants, plain[4], plain[9]
        grant = grants.find(plain[8])
        if grant is None or grants.subject[grant] != slot or grants.ended[grant]:
            return False
        if use != grants.uses[grant] + 1 or use > grants.most[grant]:
            return False
        bounds, begin, term = grants.bounds, 48 * grant, grants.term[grant]
        if not bounds[begin : begin + 24] <= at < bounds[begin + 24 : begin + 48]:
            return False
        terms = grants.terms.values[term]
        if actor.institution != terms.recipient or not (term in scope.fits or scope.fit(term, terms)):
            return False
        if not self._tally.ask(at, actor, scope.purpose):
            return False
        if not world.asked.add(actor.queries + plain[10]):
            self._tally.take_back(actor, scope.purpose)
            return False
        grants.uses[grant] = use
        world.answers.given[index] = 1
        self._recent[index] = (slot, grant, at, actor.institution, scope)
        return True

    def _refused(self, _: int, plain: Plain, __: int, actor: Actor, scope: Scope) -> bool:
        return self._tally.ask(plain[4], actor, scope.purpose)

    def _requested(self, index: int, plain: Plain, slot: int, actor: Actor, scope: Scope) -> bool:
        asked, key = self._world.requests, self._request_key(plain)
        if plain[9] != actor.code or asked.slots.get(key) is not None:
            return False
        if not self._tally.ask(plain[4], actor, scope.purpose):
            return False
        asked.add(key, index, slot, self._scope_number(scope))
        return True

    def _declined(self, _: int, plain: Plain, slot: int, __: Actor, scope: Scope) -> bool:
        asked = self._world.requests
        found = asked.slots.get(self._request_key(plain))
        if found is None or not asked.open[found] or asked.subject[found] != slot:
            return False
        if asked.scope[found] != self._scope_number(scope):
            return False
        asked.open[found] = 0
        return True

    def _granted(self, index: int, plain: Plain, slot: int, _: Actor, scope: Scope) -> bool:
        world, body, key = self._world, scope.body, self._world.subjects.keys[slot]
        at, commitment, consent, most, before, after, recipient = plain[4], *plain[8:14]
        assert isinstance(body, ConsentGranted)
        if not isinstance(key, OneKey) or key.commitment != commitment or at < key.since:
            return False
        if not _lasts(before, after, world.policy.usable[body.purpose].max_days):
            return False
        if not self._is_known(recipient) or not world.consents.add(consent):
            return False
        term = scope.terms.get(recipient)
        if term is None:
            terms = Granted(recipient.decode(), body.purpose, frozenset(body.categories), body.answer)
            term = scope.terms[recipient] = world.grants.terms.number(terms)
        world.grants.add(index, slot, term, before + after, most)
        return True

    def _withdrawn(self, _: int, plain: Plain, slot: int, __: Actor, ___: Scope) -> bool:
        grants = self._world.grants
        grant = grants.find(plain[8])
        if grant is None or grants.subject[grant] != slot or grants.ended[grant] & 1:
            return False
        if not self._acts(slot, plain[4]):
            return False
        grants.ended[grant] |= 1
        return True

    def _enrolled(self, index: int, plain: Plain, slot: int, actor: Actor, scope: Scope) -> bool:
        world, body = self._world, scope.body
        assert isinstance(body, SubjectEnrolled)
        if world.subjects.keys[slot] is not None or actor.registrar != body.registrar:
            return False
        if not world.certificates.add(plain[8]):
            return False
        world.subjects.keys[slot] = OneKey.pack(plain[9], plain[8], plain[4], index, actor.registrar)
        return True

    def _ingested(self, _: int, plain: Plain, slot: int, actor: Actor, scope: Scope) -> bool:
        assert isinstance(scope.body, RecordIngested)
        if actor.institution not in ("", scope.body.source):
            return False
        self._world.subjects.held[slot] += plain[8]
        return True

    def _read(self, _: int, plain: Plain, slot: int, __: Actor, ___: Scope) -> bool:
        return self._acts(slot, plain[4])

    def _redelivered(self, index: int, plain: Plain, slot: int, actor: Actor, scope: Scope) -> bool:
        """An answer of before, under a consent: what it covers is judged as it was then, by the policy of
        now.
        """
        world, at, given = self._world, plain[4], self._given(plain[8], slot)
        if given is None:
            return False
        _, grant, first, institution, covered = given
        if institution != actor.institution or not self._judge.holds(covered, at):
            return False
        if world.grants.ended[grant] or at >= world.grants.bounds[48 * grant + 24 : 48 * grant + 48]:
            return False
        hours = world.policy.retention.redelivery_hours
        if parse_instant(at.decode()) >= parse_instant(first.decode()) + hours * HOUR:
            return False
        if not self._tally.ask(at, actor, scope.purpose):
            return False
        world.answers.given[index] = 1
        return True

    def _undelivered(self, _: int, plain: Plain, slot: int, __: Actor, ___: Scope) -> bool:
        undelivered = self._world.undelivered
        if self._given(plain[8], slot) is None or plain[8] in undelivered:
            return False
        undelivered.add(plain[8])
        return True

    # --- what they look up

    def _given(self, index: int, slot: int) -> _Given | None:
        """The answer of a leaf, if it is one of the last ones and of this person."""
        given = self._recent.get(index) or self._older.get(index)
        return given if given is not None and given[0] == slot else None

    def _acts(self, slot: int, at: bytes) -> bool:
        """Whether somebody has one key, which is live and in effect."""
        key = self._world.subjects.keys[slot]
        return isinstance(key, OneKey) and at >= key.since

    def _is_known(self, recipient: bytes) -> bool:
        """Whether an institution of this code is registered."""
        if recipient in self._recipients:
            return True
        if recipient.decode() not in self._world.institutions:
            return False
        self._recipients.add(recipient)
        return True

    def _request_key(self, plain: Plain) -> bytes:
        """What a request goes by, of a leaf that ends with its id and its recipient."""
        recipient: bytes = plain[9]
        head = self._asked_by.get(recipient)
        if head is None:
            head = self._asked_by[recipient] = self._world.requests.key(recipient.decode(), b"")
        request: bytes = plain[8]
        return head + request

    def _scope_number(self, scope: Scope) -> int:
        """The number of what a request asks for."""
        if scope.number < 0:
            body = scope.body
            assert isinstance(body, ConsentAsked)
            scope.number = self._world.requests.asked.number((body.purpose, body.categories))
        return scope.number


def _lasts(begin: bytes, end: bytes, days: int) -> bool:
    """Whether a time is after another, by so many days at most; by text, as times have one length."""
    between = _day(end[:_DAY]) - _day(begin[:_DAY])
    return begin < end and (between, end[_DAY:]) <= (days, begin[_DAY:])


@lru_cache(maxsize=1024)
def _day(day: bytes) -> int:
    """The number of a day that exists."""
    return date.fromisoformat(day.decode()).toordinal()
