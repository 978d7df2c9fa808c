"""Bodies of what concerns a person outside of queries: enrolment, consents, records.

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


class SubjectRead(Body, frozen=True):
    """`subject.read`: a citizen's own reading."""

    what: Literal["report", "accesses"]


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


class ConsentWithdrawn(Body, frozen=True):
    """`consent.withdrawn`: `grant` is the index of the grant's leaf."""

    grant: Count
    by: Literal["citizen"]


class RecordIngested(Body, frozen=True):
    """`record.ingested`: `root` is the RFC 6962 root of the revision hashes of one person and chunk."""

    batch: Uuid
    source: Uscc
    count: Positive
    root: Hex32
