"""What an auditor has to remember while reading a log once, from its first leaf to its last.

Invariant: every value here follows from leaves that were already checked, and from nothing else. Leaves are
not kept, and what there is much of is packed (`store`). Times stay text, which compares as time does because
it has fixed width.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from keys.signing import PublicKey
from ledger.entries import Leaf
from ledger.members import ZERO_HASH
from ledger.merkle import HASH_SIZE
from ledger.verify.granted import Answers, Grant, Grants, Requests
from ledger.verify.packed import Once, raw_uuid
from ledger.verify.persons import Subject, Subjects
from ledger.verify.policy import NO_POLICY, Policy


@dataclass(slots=True)
class Party:
    """An institution or one of its operators, and its standing. `until` is exclusive, None open-ended.

    `index` is the leaf that registered it. Of an operator `throttled` is the last minute reported as one in
    which it was turned away.
    """

    institution: str
    roles: frozenset[str]
    sector: str = ""
    suspended: bool = False
    until: str | None = None
    throttled: str = ""
    index: int = 0

    def stands(self, at: str) -> bool:
        """Not suspended at `at`: a suspension lapses at its `until` without a leaf."""
        return not self.suspended or (self.until is not None and at >= self.until)


@dataclass(slots=True)
class Case:
    """A case (`case.opened`); whose it is (a tag) is known only when sealed details are opened."""

    scope: str
    index: int
    open: bool = True
    tag: str | None = None


@dataclass(slots=True)
class Copy:
    """A copy of custody with the keys of these epochs; `kept` until it is attested as destroyed."""

    epochs: frozenset[int]
    kept: bool = True


class Terms(NamedTuple):
    """What an answer covers, as the rules of its scope take it; `statute` is the code, None under a grant."""

    purpose: str
    categories: tuple[str, ...]
    answer: str
    statute: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that was given: where, about whom, to whom, when, and under which grant, if under one.

    `operator` asked for it: a leaf of an answer is by whoever asked.
    """

    index: int
    subject: Subject
    institution: str
    operator: str
    at: str
    grant: Grant | None
    terms: Terms


@dataclass(slots=True)
class Pending:
    """A statutory query that waits for its approval, until `lapses`, exclusive.

    `asked` is what its answer must repeat; `request`, the SHA-256 of its body's JCS, is known only when
    sealed details are opened.
    """

    subject: Subject
    institution: str
    operator: str
    asked: Asked
    lapses: str
    request: bytes | None = None


@dataclass(slots=True)
class Deferred:
    """A statutory query that its person does not see yet; `until` is exclusive.

    `number`, whom its request names, is known only when sealed details are opened.
    """

    subject: Subject
    until: str
    number: str | None = None


class Asked(NamedTuple):
    """What a statutory query asks, and its answer repeats; `document` is the salted hash of its number."""

    query: str
    statute: str
    document: str
    purpose: str
    categories: tuple[str, ...]
    answer: str


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """A key and the leaf that brought it; `ended` is the leaf from which on it no longer counts, if any.

    `revoked`: a `key.revoked` said so, after a rotation or without one.
    """

    index: int
    holder: str
    public: tuple[tuple[str, str], ...]
    ended: int | None = None
    revoked: bool = False


@dataclass(slots=True)
class Window:
    """A window of time, by its number since the epoch, and the asks counted in it."""

    number: int
    counts: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Turns:
    """Keys that take turns: the newest one opened, the last that all was moved to, and those destroyed."""

    newest: int
    moved: int = 1
    destroyed: set[int] = field(default_factory=set)


@dataclass(slots=True)
class World:
    """All of it.

    `find_policy` reads a published bundle by its hash, or says in words why it cannot; `find_leaf` reads a
    leaf of before once more, by its index; `pins` are the
    registrars' keys that the auditor trusts, by registrar, or None without any, and `predecessors` names
    those that a registrar's pinned keys replaced.
    """

    origin: str
    find_policy: Callable[[str], Policy | str]
    find_leaf: Callable[[int], Leaf]
    pins: Mapping[str, tuple[PublicKey, ...]] | None = None
    predecessors: Callable[[str], frozenset[str]] = lambda _registrar: frozenset()
    size: int = 0
    head: str = ZERO_HASH
    at: str = ""
    closed: bool = False
    previous: str | None = None
    """Origin of the log that this one continues (`log.opened`)."""
    recovered: list[range] = field(default_factory=list)
    """Leaves whose documents were lost, by each `log.recovered`."""
    policy_hash: str = ""
    policy: Policy = NO_POLICY
    quotas_until: str = ""
    """When a policy with quotas was last replaced."""
    epoch: int = 0
    epochs: Turns = field(default_factory=lambda: Turns(0))
    indexes: Turns = field(default_factory=lambda: Turns(1))
    keys: dict[tuple[str, str], PublishedKey] = field(default_factory=dict)
    sealing: dict[str, str] = field(default_factory=dict)
    """Sealing keys that every regulator of now can open -> the day (UTC, as text) of their announcement."""
    sealing_ids: set[str] = field(default_factory=set)
    institutions: dict[str, Party] = field(default_factory=dict)
    operators: dict[str, Party] = field(default_factory=dict)
    grants: Grants = field(default_factory=Grants)
    subjects: Subjects = field(init=False)
    certificates: Once = field(default_factory=lambda: Once(HASH_SIZE))
    """Raw hashes of those that enrolled somebody."""
    certified: dict[str, str] = field(default_factory=dict)
    """Certificate (hash) -> the registrar's key (thumbprint) that was in force when it enrolled somebody."""
    citizen_keys: dict[str, int] = field(default_factory=dict)
    """Thumbprints of the citizens' keys that opened details told of."""
    requests: Requests = field(default_factory=Requests)
    suspending: dict[int, int] = field(default_factory=dict)
    """Consents that must be suspended by the very next leaves -> the leaf that said their key compromised."""
    consents: Once = field(default_factory=lambda: Once(HASH_SIZE))
    """Raw hashes of those that were granted."""
    asked: Once = field(default_factory=lambda: Once(8 + 16))
    """Queries that were answered or wait, by `query_key`."""
    answers: Answers = field(default_factory=Answers)
    undelivered: set[int] = field(default_factory=set)
    pending: dict[int, Pending] = field(default_factory=dict)
    """Open ones only, by the index of their leaf."""
    deferred: dict[int, Deferred] = field(default_factory=dict)
    """Deferred ones that are not yet unsealed, by the same index."""
    deadlines: list[tuple[str, int]] = field(default_factory=list)
    """A heap of (last moment to unseal it, index); what was unsealed goes when it comes to the top."""
    windows: dict[str, Window] = field(default_factory=dict)
    """Per minute, hour and day: asks of the current one."""

    erasures: set[str] = field(default_factory=set)
    cases: dict[str, Case] = field(default_factory=dict)
    copies: dict[str, Copy] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Persons find their consents."""
        self.subjects = Subjects(self.grants)

    def granted(self, index: int | None) -> Grant:
        """The consent that a leaf names, once a rule has made sure that it is there."""
        slot = None if index is None else self.grants.find(index)
        assert slot is not None
        return Grant(self.grants, slot, self.subjects)

    def requested(self, recipient: str, request: str) -> int | None:
        """The place of a request of this id to this recipient, if there was one."""
        return self.requests.slots.get(self.requests.key(recipient, raw_uuid(request)))

    def query_key(self, institution: str, query: str) -> bytes:
        """A query's id among those of the institution, as it is registered now."""
        return self.institutions[institution].index.to_bytes(8, "big") + raw_uuid(query)
