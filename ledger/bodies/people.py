"""Bodies of what concerns a person outside of queries and records: enrolment, keys, consents.

Invariant: the person is in the leaf's tag, the key in a salted commitment, the documents in hashes.
"""

from __future__ import annotations

from typing import Literal

from ledger.bodies.base import Body
from ledger.members import (
    Answer,
    Categories,
    Count,
    Hex32,
    Instant,
    PartyId,
    Positive,
    Purpose,
    Uscc,
    Uuid,
    check_instants,
    check_sorted,
)


class SubjectEnrolled(Body, frozen=True):
    """`subject.enrolled`: a registrar certified a key of this person (信息主体)."""

    commitment: Hex32
    registrar: PartyId
    assurance: Literal["in-person", "eid", "guardian"]
    certificate_sha256: Hex32


class SubjectKeyRevoked(Body, frozen=True):
    """`subject.key_revoked`: a key of this person counts no more; `by` as of a withdrawal.

    `lost` keeps what was granted under it, `compromised` suspends it, `refused` is a further key that the
    holder of an earlier one objected to before it took effect. A key that was lost may be found compromised.
    """

    commitment: Hex32
    cause: Literal["compromised", "lost", "refused"]
    by: Literal["citizen", "counter"]


class SubjectRead(Body, frozen=True):
    """`subject.read`: a citizen's own reading, or that of two officers of the registrar for one."""

    what: Literal["accesses", "consents-at-counter", "keys", "report"]

    @property
    def by(self) -> Literal["citizen", "counter"]:
        """Who read, as in the other bodies of a person's own acts."""
        return "counter" if self.what == "consents-at-counter" else "citizen"


class ConsentAsked(Body, frozen=True):
    """`consent.requested`, `consent.declined`, `consent.lapsed`."""

    request: Uuid
    recipient: Uscc
    purpose: Purpose
    categories: Categories

    def __post_init__(self) -> None:
        """Categories are a set."""
        check_sorted(self.categories)


class ConsentGranted(Body, frozen=True):
    """`consent.granted`: what the citizen signed, without who it is; `not_after` is exclusive."""

    consent_hash: Hex32
    recipient: Uscc
    purpose: Purpose
    categories: Categories
    answer: Answer
    not_before: Instant
    not_after: Instant
    max_uses: Positive
    retention_days: Count
    commitment: Hex32
    proof_sha256: Hex32
    kind: Literal["jws", "webauthn"]

    def __post_init__(self) -> None:
        """Categories are a set; the times exist."""
        check_sorted(self.categories)
        check_instants(self.not_before, self.not_after)


class ConsentCarried(Body, frozen=True):
    """`consent.carried`: a consent of the log that this one continues, suspended until its citizen resumes.

    As `consent.granted`; `grant` is its index there and `uses` how often it had been used.
    """

    consent_hash: Hex32
    recipient: Uscc
    purpose: Purpose
    categories: Categories
    answer: Answer
    not_before: Instant
    not_after: Instant
    max_uses: Positive
    retention_days: Count
    commitment: Hex32
    proof_sha256: Hex32
    kind: Literal["jws", "webauthn"]
    grant: Count
    uses: Count

    def __post_init__(self) -> None:
        """Categories are a set; the times exist."""
        check_sorted(self.categories)
        check_instants(self.not_before, self.not_after)


class ConsentWithdrawn(Body, frozen=True):
    """`consent.withdrawn`: `grant` is the index of the grant's leaf.

    `counter`: two officers of the registrar that the leaf is by, for a citizen who came without a key.
    `erasure`: everything of this person was erased by the `record.erased` before it, the consent too.
    """

    grant: Count
    by: Literal["citizen", "counter", "erasure"]


class ConsentSuspended(Body, frozen=True):
    """`consent.suspended`: nothing is answered under it until its citizen resumes it.

    `key` is the index of the `subject.key_revoked` that was its cause.
    """

    grant: Count
    cause: Literal["key-compromised"]
    key: Count


class ConsentResumed(Body, frozen=True):
    """`consent.resumed`: its citizen confirmed a suspended consent, by a live key."""

    grant: Count
    by: Literal["citizen"]
