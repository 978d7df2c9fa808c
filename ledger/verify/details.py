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
    """`consent.granted`."""

    document: Object
    proof: str
    commitment_salt: str
    certificate: Object


class Withdrawn(Details, frozen=True):
    """`consent.withdrawn`."""

    document: Object
    proof: str


class Disclosed(Details, frozen=True):
    """`query.disclosed`."""

    request: Object
    request_salt: str
    revisions: list[str]
    revisions_salt: str


class Refused(Details, frozen=True):
    """`query.refused`."""

    request: Object
    request_salt: str
