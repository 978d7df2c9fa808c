"""What an auditor has to remember while reading a log once, from its first leaf to its last.

Invariant: every value here follows from leaves that were already checked, and from nothing else. Leaves are
not kept: a person costs one small record, a grant another, an answer a third. Times stay text,
which compares as time does because it has fixed width.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from keys.signing import PublicKey
from ledger.members import ZERO_HASH
from ledger.verify.policy import NO_POLICY, Policy


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


@dataclass(slots=True)
class Subject:
    """One tag: where its chain stands and, once enrolled, the keys of its person, by their commitments.

    `covert`: the one-time tag of a deferred query; `joined` the person that its `query.unsealed` names.
    `held` counts the records there must be, `restates` (after an erasure) and `corrects` (after a
    correction) say that a statement of them must come next, and `erased` is the leaf after which nothing is
    left of the person here.
    """

    tag: str
    n: int = 0
    head: str = ZERO_HASH
    keys: dict[str, CitizenKey] = field(default_factory=dict)
    covert: bool = False
    joined: Subject | None = None
    held: int = 0
    restates: bool = False
    corrects: bool = False
    erased: int | None = None

    @property
    def persons(self) -> tuple[tuple[bytes, bytes], ...]:
        """Who the person is by each certificate that was opened: (salt, hash of salt and number)."""
        return tuple(key.person for key in self.keys.values() if key.person is not None)

    def forget_keys(self, since: int) -> None:
        """Keys that were enrolled from this leaf on were lost with the log's end; one that ended stays so."""
        self.keys = {name: key for name, key in self.keys.items() if key.index < since or key.cause}


@dataclass(slots=True)
class Party:
    """An institution or one of its operators, and its standing. `until` is exclusive, None open-ended.

    `index` is the leaf that registered it. Of an institution `asked` are the ids of its queries that were
    answered or wait, of an operator `throttled` the last minute reported as one in which it was turned away.
    """

    institution: str
    roles: frozenset[str]
    sector: str = ""
    suspended: bool = False
    until: str | None = None
    asked: set[str] = field(default_factory=set)
    throttled: str = ""
    index: int = 0

    def stands(self, at: str) -> bool:
        """Not suspended at `at`: a suspension lapses at its `until` without a leaf."""
        return not self.suspended or (self.until is not None and at >= self.until)


@dataclass(slots=True)
class Grant:
    """A consent in force or no longer: what bounds its uses, and how often it was used.

    `suspended` is the index of the leaf that suspended it, None while it is not.
    """

    subject: Subject
    recipient: str
    purpose: str
    categories: frozenset[str]
    answer: str
    not_before: str
    not_after: str
    max_uses: int
    uses: int = 0
    withdrawn: bool = False
    consent_id: str = ""
    suspended: int | None = None


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


@dataclass(frozen=True, slots=True)
class Request:
    """An open request for consent."""

    subject: Subject
    purpose: str
    categories: tuple[str, ...]
    index: int


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
    counts: Counter[tuple[str, ...]] = field(default_factory=Counter)


@dataclass(slots=True)
class Turns:
    """Keys that take turns: the newest one opened, the last that all was moved to, and those destroyed."""

    newest: int
    moved: int = 1
    destroyed: set[int] = field(default_factory=set)


@dataclass(slots=True)
class World:
    """All of it.

    `find_policy` reads a published bundle by its hash, or says in words why it cannot; `pins` are the
    registrars' keys that the auditor trusts, by registrar, or None without any, and `predecessors` names
    those that a registrar's pinned keys replaced.
    """

    origin: str
    find_policy: Callable[[str], Policy | str]
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
    subjects: dict[str, Subject] = field(default_factory=dict)
    certificates: dict[str, int] = field(default_factory=dict)
    certified: dict[str, str] = field(default_factory=dict)
    """Certificate (hash) -> the registrar's key (thumbprint) that was in force when it enrolled somebody."""
    citizen_keys: dict[str, int] = field(default_factory=dict)
    """Thumbprints of the citizens' keys that opened details told of."""
    requests: dict[tuple[str, str], Request] = field(default_factory=dict)
    requested: dict[tuple[str, str], int] = field(default_factory=dict)
    grants: dict[int, Grant] = field(default_factory=dict)
    suspending: dict[int, int] = field(default_factory=dict)
    """Consents that must be suspended by the very next leaves -> the leaf that said their key compromised."""
    consents: set[str] = field(default_factory=set)
    answers: dict[int, Answer] = field(default_factory=dict)
    """Index of an answer or of its redelivery -> the answer."""
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

    def granted(self, index: int | None) -> Grant:
        """The consent that a leaf names, once a rule has made sure that it is there."""
        return self.grants[-1 if index is None else index]
