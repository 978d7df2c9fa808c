"""What an auditor remembers of consents, requests and answers, packed: some hundred bytes of the first two.

Invariant: nothing is forgotten that a rule may look back to. Rules see records (`Grant`) that read and write
the columns here; what an answer was is read again from its leaf.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import Final, NamedTuple

from ledger.verify.packed import Interned, Numbers
from ledger.verify.persons import Subject, Subjects

_NONE: Final = 0xFFFF_FFFF
_PART: Final = 8
"""Leaves that are looked through at once for a consent, as a power of two."""


class Granted(NamedTuple):
    """What recurs in consents: to whom, for what, which categories, in which form."""

    recipient: str
    purpose: str
    categories: frozenset[str]
    answer: str


class Grants:
    """All consents, by the index of their leaf, with a column for each thing that is known of all of them.

    `bounds` holds `not_before` and `not_after` as 48 characters; `ended` is not 0 for one that was withdrawn
    (1) or is suspended (2).
    """

    def __init__(self) -> None:
        self.terms: Interned[Granted] = Interned()
        self.term, self.subject, self.before = array("I"), array("I"), array("I")
        self.leaf, self.most, self.uses = array("Q"), array("Q"), array("Q")
        self.bounds, self.ended = bytearray(), bytearray()
        self.suspended: dict[int, int] = {}
        self.consent_ids: dict[int, str] = {}
        self._last, self._starts = array("I"), array("I")

    def add(self, index: int, subject: int, term: int, bounds: bytes, most: int) -> None:
        """The consent of leaf `index`, by the person of this slot."""
        slot = len(self.term)
        while len(self._starts) <= index >> _PART:
            self._starts.append(slot)
        self.term.append(term)
        self.subject.append(subject)
        self._last.extend([_NONE] * (subject + 1 - len(self._last)))
        self.before.append(self._last[subject])
        self._last[subject] = slot
        self.leaf.append(index)
        self.most.append(most)
        self.uses.append(0)
        self.bounds += bounds
        self.ended.append(0)

    def of(self, subject: int) -> list[int]:
        """Leaves of the consents of one person, in order."""
        found, slot = list[int](), self._last[subject] if subject < len(self._last) else _NONE
        while slot != _NONE:
            found.append(self.leaf[slot])
            slot = self.before[slot]
        return found[::-1]

    def find(self, index: int) -> int | None:
        """Place of the consent of a leaf, if the leaf is one: leaves come in order."""
        part, starts, leaves = index >> _PART, self._starts, self.leaf
        if part >= len(starts):
            return None
        end = starts[part + 1] if part + 1 < len(starts) else len(leaves)
        slot = bisect_left(leaves, index, starts[part], end)
        return slot if slot < end and leaves[slot] == index else None

    def __contains__(self, index: int | None) -> bool:
        return index is not None and self.find(index) is not None

    def void(self, since: int) -> None:
        """Those from this leaf on count as withdrawn."""
        for slot, index in enumerate(self.leaf):
            if index >= since:
                self.ended[slot] |= 1


class Grant:
    """A consent in force or no longer: what bounds its uses, and how often it was used.

    `suspended` is the index of the leaf that suspended it, None while it is not; `consent_id` is known only
    when sealed details are opened.
    """

    __slots__ = ("_all", "_slot", "_subjects")

    def __init__(self, all_: Grants, slot: int, subjects: Subjects) -> None:
        self._all, self._slot, self._subjects = all_, slot, subjects

    @property
    def subject(self) -> Subject:
        return Subject(self._subjects, self._all.subject[self._slot])

    @property
    def terms(self) -> Granted:
        return self._all.terms.values[self._all.term[self._slot]]

    @property
    def not_before(self) -> str:
        return self._bound(48 * self._slot)

    @property
    def not_after(self) -> str:
        return self._bound(48 * self._slot + 24)

    @property
    def max_uses(self) -> int:
        return self._all.most[self._slot]

    @property
    def uses(self) -> int:
        return self._all.uses[self._slot]

    @uses.setter
    def uses(self, count: int) -> None:
        self._all.uses[self._slot] = count

    @property
    def withdrawn(self) -> bool:
        return bool(self._all.ended[self._slot] & 1)

    def withdraw(self) -> None:
        """Nothing stands under it any more."""
        self._all.ended[self._slot] |= 1

    @property
    def suspended(self) -> int | None:
        return self._all.suspended.get(self._slot)

    @suspended.setter
    def suspended(self, index: int | None) -> None:
        if index is None:
            self._all.suspended.pop(self._slot, None)
            self._all.ended[self._slot] &= ~2
        else:
            self._all.suspended[self._slot] = index
            self._all.ended[self._slot] |= 2

    @property
    def consent_id(self) -> str:
        return self._all.consent_ids.get(self._slot, "")

    @consent_id.setter
    def consent_id(self, name: str) -> None:
        self._all.consent_ids[self._slot] = name

    def _bound(self, at: int) -> str:
        return self._all.bounds[at : at + 24].decode()


class Requests:
    """All requests for consent, by the recipient and the raw id, open or no longer."""

    def __init__(self) -> None:
        self.slots = Numbers(4 + 16)
        self.recipients: Interned[str] = Interned()
        self.asked: Interned[tuple[str, tuple[str, ...]]] = Interned()
        self.subject, self.scope, self.leaf = array("I"), array("I"), array("Q")
        self.open = bytearray()

    def key(self, recipient: str, request: bytes) -> bytes:
        """What a request goes by here; `request` is the raw UUID."""
        return self.recipients.number(recipient).to_bytes(4, "big") + request

    def add(self, key: bytes, index: int, subject: int, scope: int) -> None:
        """The request of leaf `index` to the person of this slot."""
        self.slots.add(key, len(self.leaf))
        self.leaf.append(index)
        self.subject.append(subject)
        self.scope.append(scope)
        self.open.append(1)

    def forget(self, since: int) -> None:
        """Those from this leaf on were lost with the log's end."""
        self.slots.keep(lambda slot: self.leaf[slot] < since)


class Answers:
    """Leaves that are answers, or redeliveries of one. What they were is read again from the log."""

    def __init__(self) -> None:
        self.given = bytearray()

    def add(self, index: int) -> None:
        """Leaf `index` is one."""
        self.given += bytes(max(0, index + 1 - len(self.given)))
        self.given[index] = 1

    def __contains__(self, index: int) -> bool:
        return index < len(self.given) and bool(self.given[index])
