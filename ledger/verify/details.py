"""What is sealed with a leaf of each type, once opened: closed sets of members.

Invariant: nothing may be hidden in sealed details beside what is checked; an unknown member is refused.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

Object: TypeAlias = dict[str, Any]


class Details(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Sealed details: a closed set of members for each type of leaf."""


class Enrolled(Details, frozen=True):
    """`subject.enrolled`."""

    certificate: Object
    commitment_salt: str


class Requested(Details, frozen=True):
    """`consent.requested`."""

    document: Object


class Granted(Details, frozen=True):
    """`consent.granted`; the proof is a compact JWS, or the kept set of a passkey's assertion."""

    document: Object
    proof: str | Object
    commitment_salt: str
    certificate: Object


class Withdrawn(Details, frozen=True):
    """`consent.withdrawn`; the proof as of a grant."""

    document: Object
    proof: str | Object


class Asked(Details, frozen=True):
    """`query.pending`."""

    request: Object
    request_salt: str
    document_salt: str


class Answered(Details, frozen=True):
    """`query.disclosed`, `query.predicate`; `document_salt` under a statute, and only there."""

    request: Object
    request_salt: str
    revisions: list[str]
    revisions_salt: str
    document_salt: str | None = None


class Refused(Details, frozen=True):
    """`query.refused`."""

    request: Object
    request_salt: str
