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


class Acted(Details, frozen=True):
    """What a citizen signed, the proof as of a grant; or what two officers ordered, and for whom.

    `order` is `{document, signatures, officers}`.
    """

    document: Object | None = None
    proof: str | Object | None = None
    order: Object | None = None
    citizen_number: str | None = None

    def __post_init__(self) -> None:
        """Exactly one of the two."""
        signed = [part is not None for part in (self.document, self.proof)]
        ordered = [part is not None for part in (self.order, self.citizen_number)]
        if signed[0] != signed[1] or ordered != [not signed[0]] * 2:
            raise ValueError("neither signed by the citizen nor ordered at the counter, or both")


class Withdrawn(Acted, frozen=True):
    """`consent.withdrawn`."""


class Read(Acted, frozen=True):
    """`subject.read`, at the counter alone."""


class Revoked(Acted, frozen=True, kw_only=True):
    """`subject.key_revoked`: with the thumbprint of the key and the salt of its commitment."""

    key: str
    commitment_salt: str


class Resumed(Details, frozen=True):
    """`consent.resumed`."""

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


class Corrected(Details, frozen=True):
    """`record.corrected`: the record's raw id, and the salt of the leaf's commitment to it."""

    record: str
    record_salt: str


class HeldCase(Details, frozen=True):
    """`case.opened`: whose it is, and the salt of its scope."""

    tag: str
    salt: str


class Refused(Details, frozen=True):
    """`query.refused`."""

    request: Object
    request_salt: str
