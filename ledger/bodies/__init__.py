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
from typing import Final

from ledger.bodies.base import Body
from ledger.bodies.house import (
    InstitutionRegistered,
    InstitutionReinstated,
    InstitutionSuspended,
    KeyEpoch,
    KeyPublished,
    KeySealing,
    LogClosed,
    LogOpened,
    OperatorRegistered,
    OperatorReinstated,
    OperatorSuspended,
    PolicyChanged,
    Previous,
    SealedKey,
)
from ledger.bodies.people import (
    ConsentAsked,
    ConsentGranted,
    ConsentWithdrawn,
    RecordIngested,
    SubjectEnrolled,
    SubjectRead,
)
from ledger.bodies.queries import (
    Answered,
    ApprovedStatute,
    NamedStatute,
    QueryDisclosed,
    QueryPending,
    QueryPredicate,
    QueryRedelivered,
    QueryRefused,
    QueryThrottled,
    QueryUndelivered,
    QueryUnsealed,
)

__all__ = [
    "ABOUT_A_PERSON",
    "ABOUT_NOBODY",
    "BY_INSTITUTION",
    "BY_NOBODY",
    "BY_REGISTRAR",
    "LEAF_TYPES",
    "Answered",
    "ApprovedStatute",
    "Body",
    "ConsentAsked",
    "ConsentGranted",
    "ConsentWithdrawn",
    "InstitutionRegistered",
    "InstitutionReinstated",
    "InstitutionSuspended",
    "KeyEpoch",
    "KeyPublished",
    "KeySealing",
    "LogClosed",
    "LogOpened",
    "NamedStatute",
    "OperatorRegistered",
    "OperatorReinstated",
    "OperatorSuspended",
    "PolicyChanged",
    "Previous",
    "QueryDisclosed",
    "QueryPending",
    "QueryPredicate",
    "QueryRedelivered",
    "QueryRefused",
    "QueryThrottled",
    "QueryUndelivered",
    "QueryUnsealed",
    "RecordIngested",
    "SealedKey",
    "SubjectEnrolled",
    "SubjectRead",
]

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
        "query.predicate": QueryPredicate,
        "query.pending": QueryPending,
        "query.refused": QueryRefused,
        "query.throttled": QueryThrottled,
        "query.redelivered": QueryRedelivered,
        "query.undelivered": QueryUndelivered,
        "query.unsealed": QueryUnsealed,
        "record.ingested": RecordIngested,
    }
)
"""Type of leaf -> its body. Closed."""

ABOUT_A_PERSON: Final = frozenset({"subject", "consent", "query", "record"})
"""Nouns whose leaves carry the person's tag; no other leaf carries one."""
ABOUT_NOBODY: Final = frozenset({"query.throttled"})
"""Types of such a noun that are about no person all the same."""
BY_REGISTRAR: Final = frozenset({"subject.enrolled"})
"""Types whose actor is a registrar."""
BY_INSTITUTION: Final = frozenset(
    {"consent.requested", "query.disclosed", "query.pending", "query.predicate", "query.redelivered"}
)
"""Types whose actor is always an institution's operator."""
BY_NOBODY: Final = frozenset(
    {
        "subject.read",
        "consent.declined",
        "consent.lapsed",
        "consent.granted",
        "consent.withdrawn",
        "query.throttled",
        "query.unsealed",
    }
)
"""Types whose actor is the citizen, or time: `by` is absent."""
