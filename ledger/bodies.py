"""Bodies of the leaf types: the closed table of FORMATS, one frozen struct each.

Invariant, the rule of evolution: a type or member is never renamed, reused or given another meaning. New ones
are added, in `LEAF_TYPES`, together with a replay rule in `ledger.verify`; an unknown member or type is
refused by every parser. A member that is not used is absent, never null.

Hashes of what is kept elsewhere, hex in leaves: a key commitment is SHA-256(16-byte salt || raw RFC 7638
thumbprint); a revisions commitment SHA-256(salt || revision hashes, raw and sorted); a request hash
SHA-256(salt || JCS(body)).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

import msgspec

from ledger.members import (
    Answer,
    Blob,
    Categories,
    Code,
    Count,
    Hex32,
    Instant,
    OperatorId,
    Origin,
    PartyId,
    Positive,
    Purpose,
    Roles,
    Sector,
    Thumbprint,
    Uscc,
    Uuid,
    check_instants,
    check_jwk,
    check_sorted,
)


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What every body shares: no member but its own, and none that is null."""


class Previous(Body, frozen=True):
    """The last checkpoint of the log that this one continues."""

    origin: Origin
    size: Count
    root: Hex32


class LogOpened(Body, frozen=True):
    """`log.opened`, index 0 and nowhere else."""

    origin: Origin
    previous: Previous | None = None


class LogClosed(Body, frozen=True):
    """`log.closed`: nothing follows."""

    reason: Code


class PolicyChanged(Body, frozen=True):
    """`policy.changed`: the policy bundle named is in force from here, this leaf included."""

    policy: Hex32
    replaces: Hex32 | None = None


class KeyPublished(Body, frozen=True):
    """`key.published`: a public key and whose it is. `kid` is its RFC 7638 thumbprint."""

    use: Literal["checkpoint", "receipt", "registrar", "regulator"]
    kid: Thumbprint
    public: dict[str, str]
    holder: PartyId

    def __post_init__(self) -> None:
        """Refuse what is no bare public key, or another's name for it."""
        check_jwk(self.public, self.kid)


class SealedKey(Body, frozen=True):
    """One regulator's copy of a sealing key: HPKE to the X25519 key `kid`."""

    kid: Thumbprint
    sealed: Blob


class KeySealing(Body, frozen=True):
    """`key.sealing`: a worker's key of the day for details, sealed to each regulator before its first use."""

    id: Uuid
    sha256: Hex32
    sealed: tuple[SealedKey, ...]

    def __post_init__(self) -> None:
        """At least one regulator can read; ordered by key."""
        if not self.sealed:
            raise ValueError("sealed to nobody")
        check_sorted([copy.kid for copy in self.sealed])


class KeyEpoch(Body, frozen=True):
    """`key.epoch`."""

    epoch: Positive
    event: Literal["opened"]


class InstitutionRegistered(Body, frozen=True):
    """`institution.registered`."""

    institution: Uscc
    sector: Sector
    roles: Roles

    def __post_init__(self) -> None:
        """Roles are a set."""
        check_sorted(self.roles)


class InstitutionSuspended(Body, frozen=True):
    """`institution.suspended`; `until`, exclusive, lapses by the leaves' `at`, without a leaf."""

    institution: Uscc
    reason: Code
    until: Instant | None = None

    def __post_init__(self) -> None:
        """The time exists."""
        check_instants(self.until)


class InstitutionReinstated(Body, frozen=True):
    """`institution.reinstated`."""

    institution: Uscc
    reason: Code


class OperatorRegistered(Body, frozen=True):
    """`operator.registered`: a person at an institution (查询用户), under an opaque id."""

    operator: OperatorId
    institution: Uscc
    roles: Roles

    def __post_init__(self) -> None:
        """Roles are a set."""
        check_sorted(self.roles)


class OperatorSuspended(Body, frozen=True):
    """`operator.suspended`; `until` as for an institution."""

    operator: OperatorId
    institution: Uscc
    reason: Code
    until: Instant | None = None

    def __post_init__(self) -> None:
        """The time exists."""
        check_instants(self.until)


class OperatorReinstated(Body, frozen=True):
    """`operator.reinstated`."""

    operator: OperatorId
    institution: Uscc
    reason: Code


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
    kind: Literal["jws"]

    def __post_init__(self) -> None:
        """Categories are a set; the times exist."""
        check_sorted(self.categories)
        check_instants(self.not_before, self.not_after)


class ConsentWithdrawn(Body, frozen=True):
    """`consent.withdrawn`: `grant` is the index of the grant's leaf."""

    grant: Count
    by: Literal["citizen"]


class QueryDisclosed(Body, frozen=True):
    """`query.disclosed`: released for delivery. `use` counts from 1 under the grant."""

    query: Uuid
    grant: Count
    purpose: Purpose
    categories: Categories
    use: Positive
    commitment: Hex32
    request: Hex32

    def __post_init__(self) -> None:
        """Categories are a set."""
        check_sorted(self.categories)


class QueryRefused(Body, frozen=True):
    """`query.refused`; of a consent request too, whose id then stands in `query`."""

    query: Uuid
    reason: Code
    purpose: Purpose


class QueryUndelivered(Body, frozen=True):
    """`query.undelivered`: the answer of leaf `of` did not leave."""

    of: Count


class RecordIngested(Body, frozen=True):
    """`record.ingested`: `root` is the RFC 6962 root of the revision hashes of one person and chunk."""

    batch: Uuid
    source: Uscc
    count: Positive
    root: Hex32


LEAF_TYPES: Final[Mapping[str, type[Body]]] = MappingProxyType(
    {
        "log.opened": LogOpened,
        "log.closed": LogClosed,
        "policy.changed": PolicyChanged,
        "key.published": KeyPublished,
        "key.sealing": KeySealing,
        "key.epoch": KeyEpoch,
        "institution.registered": InstitutionRegistered,
        "institution.suspended": InstitutionSuspended,
        "institution.reinstated": InstitutionReinstated,
        "operator.registered": OperatorRegistered,
        "operator.suspended": OperatorSuspended,
        "operator.reinstated": OperatorReinstated,
        "subject.enrolled": SubjectEnrolled,
        "subject.read": SubjectRead,
        "consent.requested": ConsentAsked,
        "consent.declined": ConsentAsked,
        "consent.lapsed": ConsentAsked,
        "consent.granted": ConsentGranted,
        "consent.withdrawn": ConsentWithdrawn,
        "query.disclosed": QueryDisclosed,
        "query.refused": QueryRefused,
        "query.undelivered": QueryUndelivered,
        "record.ingested": RecordIngested,
    }
)
"""Type of leaf -> its body. Closed."""

ABOUT_A_PERSON: Final = frozenset({"subject", "consent", "query", "record"})
"""Nouns whose leaves carry the person's tag; no other leaf carries one."""
BY_REGISTRAR: Final = frozenset({"subject.enrolled"})
"""Types whose actor is a registrar."""
BY_INSTITUTION: Final = frozenset({"consent.requested", "query.disclosed"})
"""Types whose actor is always an institution's operator."""
BY_NOBODY: Final = frozenset(
    {"subject.read", "consent.declined", "consent.lapsed", "consent.granted", "consent.withdrawn"}
)
"""Types whose actor is the citizen, or time: `by` is absent."""
