"""What an auditor remembers of persons, consents, answers and requests, packed: some hundred bytes of each.

Invariant: nothing is forgotten that a rule may look back to. Rules see records (`Subject`, `Grant`,
`Request`) that read and write the columns here; two records of one person are equal, not the same. What few
persons have (a second key, an erasure, a deferral) is kept as objects; what an answer was is read again from
its leaf.
"""

from __future__ import annotations

from array import array
from binascii import unhexlify
from bisect import bisect_left
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Final, Generic, NamedTuple, TypeVar

from keys.signing import PublicKey

T = TypeVar("T", bound=Hashable)

_ZERO: Final = bytes(32)
_NONE: Final = 0xFFFF_FFFF


@dataclass(slots=True)
class CitizenKey:
    """A key of a person, by its commitment: its leaf, and `since` when it may act, at the earliest.

    `further`: another key of the person came before it. `cause` is why it was revoked, empty while it is
    live. `grants` are the indexes of what was granted under it. `public` and `person` (salt and hash of the
    certificate) are known only when sealed details are opened.
    """

    index: int
    registrar: str
    certificate: str
    since: str
    further: bool
    cause: str = ""
    grants: list[int] = field(default_factory=list)
    public: PublicKey | None = None
    person: tuple[bytes, bytes] | None = None

    def acts(self, at: str) -> bool:
        """Whether it signs anything at `at`."""
        return not self.cause and at >= self.since

    @property
    def plain(self) -> bool:
        """The first and only key of somebody, live, its certificate not opened."""
        return not (self.further or self.cause or self.public or self.person)


class OneKey(bytes):
    """A plain key, packed as most persons have it: hashes raw, `since` in ASCII, the leaf in 8 bytes."""

    __slots__ = ()

    @classmethod
    def pack(cls, commitment: bytes, certificate: bytes, since: bytes, leaf: int, registrar: str) -> OneKey:
        """One of these members."""
        return cls(commitment + certificate + since + leaf.to_bytes(8, "big") + registrar.encode())

    @property
    def commitment(self) -> bytes:
        """Of 32 bytes."""
        return self[:32]

    @property
    def certificate(self) -> bytes:
        """Its hash."""
        return self[32:64]

    @property
    def since(self) -> bytes:
        """A time, as leaves write it."""
        return self[64:88]

    @property
    def leaf(self) -> int:
        """The index of its enrolment."""
        return int.from_bytes(self[88:96], "big")

    @property
    def registrar(self) -> str:
        """Who certified it."""
        return self[96:].decode()


class Interned(Generic[T]):
    """Values that recur, each by a number."""

    def __init__(self) -> None:
        self.values: list[T] = []
        self._numbers: dict[T, int] = {}

    def number(self, value: T) -> int:
        """The number of a value, given when it is met first."""
        number = self._numbers.setdefault(value, len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number


class Once:
    """Keys of one length, of which each may be said once: packed into as many buckets as keep them short."""

    def __init__(self, size: int) -> None:
        """`size` is the length of a key in bytes, at least 4."""
        self._size = size
        self._count = 0
        self._mask = 255
        self._buckets = [bytearray() for _ in range(self._mask + 1)]

    def __contains__(self, key: bytes) -> bool:
        bucket = self._buckets[hash(key) & self._mask]
        at = bucket.find(key)
        while at % self._size and at >= 0:  # across two keys
            at = bucket.find(key, at + 1)
        return at >= 0

    def add(self, key: bytes) -> bool:
        """Whether the key was not there before; now it is."""
        bucket = self._buckets[hash(key) & self._mask]
        if key in bucket and key in self:
            return False
        bucket += key
        self._count += 1
        if self._count > 64 * self._mask:
            self._spread()
        return True

    def _spread(self) -> None:
        """Four times as many buckets."""
        old, self._mask = self._buckets, 4 * self._mask + 3
        self._buckets = [bytearray() for _ in range(self._mask + 1)]
        while old:
            bucket = old.pop()
            for at in range(0, len(bucket), self._size):
                key = bytes(bucket[at : at + self._size])
                self._buckets[hash(key) & self._mask] += key


class Subjects:
    """All tags, with a column for each thing that is known of all of them.

    `odd` marks those of whom something is due or over: a tag of a deferred query, an erasure, a correction.
    `keys` is None for nobody enrolled, an index into `packed` keys, or the keys themselves.
    """

    def __init__(self, grants: Grants) -> None:
        self.slots: dict[bytes, int] = {}
        self.n = array("I")
        self.heads: list[bytes] = []
        self.held: list[int] = []
        self.odd = bytearray()
        self.keys: list[OneKey | dict[str, CitizenKey] | None] = []
        self.restates: set[int] = set()
        self.corrects: set[int] = set()
        self.covert: set[int] = set()
        self.erased: dict[int, int] = {}
        self.joined: dict[int, Subject] = {}
        self._grants = grants

    def seat(self, tag: str) -> Subject:
        """The record of a tag, new if need be."""
        return Subject(self, self.slot(tag.encode()))

    def slot(self, tag: bytes) -> int:
        """Its place in the columns, new if need be."""
        slot = self.slots.setdefault(tag, len(self.n))
        if slot == len(self.n):
            self.n.append(0)
            self.heads.append(_ZERO)
            self.held.append(0)
            self.odd.append(0)
            self.keys.append(None)
        return slot

    def get(self, tag: str) -> Subject | None:
        """The record of a tag that was met before."""
        slot = self.slots.get(tag.encode())
        return None if slot is None else Subject(self, slot)

    def __getitem__(self, tag: str) -> Subject:
        return Subject(self, self.slots[tag.encode()])

    def __contains__(self, tag: str) -> bool:
        return tag.encode() in self.slots

    def opened(self) -> Iterator[Subject]:
        """Those with more than one packed key."""
        return (Subject(self, slot) for slot, keys in enumerate(self.keys) if isinstance(keys, dict))

    def unfold(self, slot: int) -> dict[str, CitizenKey]:
        """The keys of somebody as objects, from now on."""
        keys = self.keys[slot]
        if keys is None:
            keys = {}
        elif isinstance(keys, OneKey):
            key = CitizenKey(keys.leaf, keys.registrar, keys.certificate.hex(), keys.since.decode(), False)
            key.grants.extend(self._grants.of(slot))
            keys = {keys.commitment.hex(): key}
        self.keys[slot] = keys
        return keys

    def fold(self, slot: int) -> None:
        """Pack the keys of somebody again who has none, or one plain one."""
        keys = self.keys[slot]
        if not isinstance(keys, dict) or len(keys) > 1:
            return
        if not keys:
            self.keys[slot] = None
        for commitment, key in keys.items():
            if key.plain and key.grants == self._grants.of(slot):
                raw, certificate = unhexlify(commitment), unhexlify(key.certificate)
                self.keys[slot] = OneKey.pack(raw, certificate, key.since.encode(), key.index, key.registrar)

    def forget_keys(self, since: int) -> None:
        """Keys that were enrolled from this leaf on were lost with the log's end; one that ended stays so."""
        for slot, keys in enumerate(self.keys):
            if isinstance(keys, OneKey) and keys.leaf >= since:
                self.keys[slot] = None
            elif isinstance(keys, dict):
                self.keys[slot] = {name: key for name, key in keys.items() if key.index < since or key.cause}

    def mark(self, slot: int) -> None:
        """Write down anew whether somebody is odd."""
        sets = (self.restates, self.corrects, self.covert, self.erased)
        self.odd[slot] = any(slot in each for each in sets)


class Subject:
    """One tag: where its chain stands and, once enrolled, the keys of its person, by their commitments.

    `covert`: the one-time tag of a deferred query; `joined` the person that its `query.unsealed` names.
    `held` counts the records there must be, `restates` (after an erasure) and `corrects` (after a
    correction) say that a statement of them must come next, and `erased` is the leaf after which nothing is
    left of the person here.
    """

    __slots__ = ("_all", "slot")

    def __init__(self, all_: Subjects, slot: int) -> None:
        self._all, self.slot = all_, slot

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Subject) and self.slot == other.slot and self._all is other._all

    def __hash__(self) -> int:
        return hash(self.slot)

    @property
    def n(self) -> int:
        """How many leaves there are of the person."""
        return self._all.n[self.slot]

    @property
    def head(self) -> str:
        """Hash of the last of them."""
        return self._all.heads[self.slot].hex()

    def advance(self, leaf_hash: str) -> None:
        """One leaf more."""
        self._all.n[self.slot] += 1
        self._all.heads[self.slot] = bytes.fromhex(leaf_hash)

    @property
    def keys(self) -> dict[str, CitizenKey]:
        """By commitment."""
        return self._all.unfold(self.slot)

    @property
    def persons(self) -> tuple[tuple[bytes, bytes], ...]:
        """Who the person is by each certificate that was opened: (salt, hash of salt and number)."""
        keys = self._all.keys[self.slot]
        if not isinstance(keys, dict):
            return ()
        return tuple(key.person for key in keys.values() if key.person is not None)

    @property
    def held(self) -> int:
        return self._all.held[self.slot]

    @held.setter
    def held(self, count: int) -> None:
        self._all.held[self.slot] = count

    @property
    def covert(self) -> bool:
        return self.slot in self._all.covert

    @covert.setter
    def covert(self, true: bool) -> None:
        self._put(self._all.covert, true)

    @property
    def restates(self) -> bool:
        return self.slot in self._all.restates

    @restates.setter
    def restates(self, true: bool) -> None:
        self._put(self._all.restates, true)

    @property
    def corrects(self) -> bool:
        return self.slot in self._all.corrects

    @corrects.setter
    def corrects(self, true: bool) -> None:
        self._put(self._all.corrects, true)

    @property
    def erased(self) -> int | None:
        return self._all.erased.get(self.slot)

    @erased.setter
    def erased(self, index: int) -> None:
        self._all.erased[self.slot] = index
        self._all.mark(self.slot)

    @property
    def joined(self) -> Subject | None:
        return self._all.joined.get(self.slot)

    @joined.setter
    def joined(self, other: Subject) -> None:
        self._all.joined[self.slot] = other

    def _put(self, slots: set[int], true: bool) -> None:
        if true:
            slots.add(self.slot)
        else:
            slots.discard(self.slot)
        self._all.mark(self.slot)


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
        self._last = array("I")

    def add(self, index: int, subject: int, term: int, bounds: bytes, most: int) -> None:
        """The consent of leaf `index`, by the person of this slot."""
        slot = len(self.term)
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
        slot = bisect_left(self.leaf, index)
        return slot if slot < len(self.leaf) and self.leaf[slot] == index else None

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
        self.slots: dict[bytes, int] = {}
        self.recipients: Interned[str] = Interned()
        self.asked: Interned[tuple[str, tuple[str, ...]]] = Interned()
        self.subject, self.scope, self.leaf = array("I"), array("I"), array("Q")
        self.open = bytearray()

    def key(self, recipient: str, request: bytes) -> bytes:
        """What a request goes by here; `request` is the raw UUID."""
        return self.recipients.number(recipient).to_bytes(4, "big") + request

    def add(self, key: bytes, index: int, subject: int, scope: int) -> None:
        """The request of leaf `index` to the person of this slot."""
        self.slots[key] = len(self.leaf)
        self.leaf.append(index)
        self.subject.append(subject)
        self.scope.append(scope)
        self.open.append(1)

    def forget(self, since: int) -> None:
        """Those from this leaf on were lost with the log's end."""
        self.slots = {key: slot for key, slot in self.slots.items() if self.leaf[slot] < since}


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


def raw_uuid(text: str) -> bytes:
    """The 16 bytes of a UUID as leaves write it."""
    return unhexlify(text.replace("-", ""))
