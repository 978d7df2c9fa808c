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
    LogRecovered,
    OperatorRegistered,
    OperatorReinstated,
    OperatorSuspended,
    PolicyChanged,
    Previous,
    SealedKey,
)
from ledger.bodies.keys import BothSignatures, KeyBackup, KeyData, KeyIndex, KeyRevoked, KeyRotated
from ledger.bodies.people import (
    ConsentAsked,
    ConsentCarried,
    ConsentGranted,
    ConsentResumed,
    ConsentSuspended,
    ConsentWithdrawn,
    SubjectEnrolled,
    SubjectKeyRevoked,
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
from ledger.bodies.records import (
    CaseClosed,
    CaseOpened,
    RecordCorrected,
    RecordErased,
    RecordIngested,
    RecordRestated,
)

__all__ = [
    "ABOUT_A_PERSON",
    "ABOUT_NOBODY",
    "BY_INSTITUTION",
    "BY_NOBODY",
    "BY_REGISTRAR",
    "BY_REGISTRAR_OR_NOBODY",
    "LEAF_TYPES",
    "Answered",
    "ApprovedStatute",
    "Body",
    "BothSignatures",
    "CaseClosed",
    "CaseOpened",
    "ConsentAsked",
    "ConsentCarried",
    "ConsentGranted",
    "ConsentResumed",
    "ConsentSuspended",
    "ConsentWithdrawn",
    "InstitutionRegistered",
    "InstitutionReinstated",
    "InstitutionSuspended",
    "KeyBackup",
    "KeyData",
    "KeyEpoch",
    "KeyIndex",
    "KeyPublished",
    "KeyRevoked",
    "KeyRotated",
    "KeySealing",
    "LogClosed",
    "LogOpened",
    "LogRecovered",
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
    "RecordCorrected",
    "RecordErased",
    "RecordIngested",
    "RecordRestated",
    "SealedKey",
    "SubjectEnrolled",
    "SubjectKeyRevoked",
    "SubjectRead",
]

LEAF_TYPES: Final[Mapping[str, type[Body]]] = MappingProxyType(
    {
        "log.opened": LogOpened,
        "log.closed": LogClosed,
        "log.recovered": LogRecovered,
        "policy.changed": PolicyChanged,
        "key.published": KeyPublished,
        "key.sealing": KeySealing,
        "key.epoch": KeyEpoch,
        "key.rotated": KeyRotated,
        "key.revoked": KeyRevoked,
        "key.index": KeyIndex,
        "key.data": KeyData,
        "key.backup": KeyBackup,
        "institution.registered": InstitutionRegistered,
        "institution.suspended": InstitutionSuspended,
        "institution.reinstated": InstitutionReinstated,
        "operator.registered": OperatorRegistered,
        "operator.suspended": OperatorSuspended,
        "operator.reinstated": OperatorReinstated,
        "subject.enrolled": SubjectEnrolled,
        "subject.key_revoked": SubjectKeyRevoked,
        "subject.read": SubjectRead,
        "consent.requested": ConsentAsked,
        "consent.declined": ConsentAsked,
        "consent.lapsed": ConsentAsked,
        "consent.granted": ConsentGranted,
        "consent.carried": ConsentCarried,
        "consent.withdrawn": ConsentWithdrawn,
        "consent.suspended": ConsentSuspended,
        "consent.resumed": ConsentResumed,
        "query.disclosed": QueryDisclosed,
        "query.predicate": QueryPredicate,
        "query.pending": QueryPending,
        "query.refused": QueryRefused,
        "query.throttled": QueryThrottled,
        "query.redelivered": QueryRedelivered,
        "query.undelivered": QueryUndelivered,
        "query.unsealed": QueryUnsealed,
        "record.ingested": RecordIngested,
        "record.restated": RecordRestated,
        "record.corrected": RecordCorrected,
        "record.erased": RecordErased,
        "case.opened": CaseOpened,
        "case.closed": CaseClosed,
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
BY_REGISTRAR_OR_NOBODY: Final = frozenset({"subject.key_revoked", "subject.read", "consent.withdrawn"})
"""Types whose actor is the citizen, or a registrar where its `by` says `counter`."""
BY_NOBODY: Final = frozenset(
    {
        "consent.declined",
        "consent.lapsed",
        "consent.granted",
        "consent.carried",
        "consent.suspended",
        "consent.resumed",
        "query.throttled",
        "query.unsealed",
    }
)
"""Types whose actor is the citizen, or time: `by` is absent."""
