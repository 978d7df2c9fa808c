"""What an auditor has to remember while reading a log once, from its first leaf to its last.

Invariant: every value here follows from leaves that were already checked, and from nothing else. Leaves are
not kept: a person costs one small record, a grant another, an answer one entry in a set. Times stay text,
which compares as time does because it has fixed width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from keys.signing import PublicKey
from ledger.members import ZERO_HASH
from ledger.verify.policy import NO_POLICY, Policy


@dataclass(slots=True)
class Subject:
    """One tag: where its chain stands and, once enrolled, the commitment to its only key.

    `key` and `person` (salt and hash of the certificate, as they stand there) are known only when sealed
    details are opened.
    """

    tag: str
    n: int = 0
    head: str = ZERO_HASH
    commitment: str | None = None
    certificate: str | None = None
    key: PublicKey | None = None
    person: tuple[str, str] | None = None


@dataclass(slots=True)
class Party:
    """An institution or one of its operators, and its standing. `until` is exclusive, None open-ended."""

    institution: str
    roles: frozenset[str]
    sector: str = ""
    suspended: bool = False
    until: str | None = None
    answered: set[str] = field(default_factory=set)

    def stands(self, at: str) -> bool:
        """Not suspended at `at`: a suspension lapses at its `until` without a leaf."""
        return not self.suspended or (self.until is not None and at >= self.until)


@dataclass(slots=True)
class Grant:
    """A consent in force or no longer: what bounds its uses, and how often it was used."""

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


@dataclass(frozen=True, slots=True)
class Request:
    """An open request for consent."""

    subject: Subject
    purpose: str
    categories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """A `key.published` leaf."""

    index: int
    holder: str
    public: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class World:
    """All of it.

    `checkpoint_key` is the thumbprint of the pinned key; `find_policy` reads a published bundle by its hash,
    or says in words why it cannot; `pins` are the registrars' keys that the auditor trusts, by registrar, or
    None without any.
    """

    origin: str
    checkpoint_key: str
    find_policy: Callable[[str], Policy | str]
    pins: Mapping[str, tuple[PublicKey, ...]] | None = None
    size: int = 0
    head: str = ZERO_HASH
    at: str = ""
    closed: bool = False
    policy_hash: str = ""
    policy: Policy = NO_POLICY
    epoch: int = 0
    keys: dict[tuple[str, str], PublishedKey] = field(default_factory=dict)
    sealing: dict[str, str] = field(default_factory=dict)
    """Sealing keys that every regulator of now can open -> the day (UTC, as text) of their announcement."""
    sealing_ids: set[str] = field(default_factory=set)
    institutions: dict[str, Party] = field(default_factory=dict)
    operators: dict[str, Party] = field(default_factory=dict)
    subjects: dict[str, Subject] = field(default_factory=dict)
    certificates: set[str] = field(default_factory=set)
    citizen_keys: set[str] = field(default_factory=set)
    """Thumbprints of the citizens' keys that opened details told of."""
    requests: dict[tuple[str, str], Request] = field(default_factory=dict)
    requested: set[tuple[str, str]] = field(default_factory=set)
    grants: dict[int, Grant] = field(default_factory=dict)
    consents: set[str] = field(default_factory=set)
    answers: dict[int, Subject] = field(default_factory=dict)
    undelivered: set[int] = field(default_factory=set)
