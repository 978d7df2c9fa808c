"""What an auditor remembers of persons, packed: some hundred bytes of each.

Invariant: nothing is forgotten that a rule may look back to. Rules see records (`Subject`) that read and
write the columns here; two records of one person are equal, not the same. What few persons have (a second
key, an erasure, a deferral) is kept as objects.
"""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import Struct
from typing import TYPE_CHECKING, Final

from keys.signing import PublicKey
from ledger.verify.packed import Numbers

if TYPE_CHECKING:
    from ledger.verify.granted import Grants

LINK: Final = Struct(">Q32s")
"""Where a person's chain stands: the number of their last leaf and its hash; zeros before the first."""
_TAG: Final = 22
"""Length of a tag."""
_SEEN: Final = 65_536


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


class Subjects:
    """All tags, with a column for each thing that is known of all of them.

    `links` has a `LINK` for each. `odd` marks those of whom something is due or over: a tag of a deferred
    query, an erasure, a correction. `keys` is None for nobody enrolled, a packed key, or the keys themselves.
    `seen` has the places of some tags that were met lately.
    """

    def __init__(self, grants: Grants) -> None:
        self._slots = Numbers(_TAG)
        self.seen: dict[bytes, int] = {}
        self.links = bytearray()
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
        slot = self._slots.get(tag)
        if len(self.seen) == _SEEN:
            self.seen.clear()
        if slot is None:
            slot = len(self.held)
            self._slots.add(tag, slot)
            self.links += bytes(LINK.size)
            self.held.append(0)
            self.odd.append(0)
            self.keys.append(None)
        self.seen[tag] = slot
        return slot

    def get(self, tag: str) -> Subject | None:
        """The record of a tag that was met before."""
        slot = self._slots.get(tag.encode())
        return None if slot is None else Subject(self, slot)

    def __getitem__(self, tag: str) -> Subject:
        slot = self._slots.get(tag.encode())
        if slot is None:
            raise KeyError("nobody was met under this tag")
        return Subject(self, slot)

    def __contains__(self, tag: str) -> bool:
        return self._slots.get(tag.encode()) is not None

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
        return self._link()[0]

    @property
    def head(self) -> str:
        """Hash of the last of them."""
        return self._link()[1].hex()

    def advance(self, leaf_hash: str) -> None:
        """One leaf more."""
        LINK.pack_into(self._all.links, LINK.size * self.slot, self.n + 1, bytes.fromhex(leaf_hash))

    def _link(self) -> tuple[int, bytes]:
        number, head = LINK.unpack_from(self._all.links, LINK.size * self.slot)
        return number, head

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
