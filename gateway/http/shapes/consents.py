"""Consents: asked for, given, declined, withdrawn, confirmed again."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from gateway.http.shapes.forms import (
    UNSET,
    B64u,
    Hex32,
    Index,
    Instant,
    Receipt,
    Shape,
    Thumbprint,
    Unset,
    Uscc,
)
from gateway.query.request import AnswerKind, Categories, PurposeCode, Uuid


class Notice(Shape, frozen=True):
    """Which notice (告知) the citizen is shown, and the hash of its text."""

    language: Literal["en", "zh-CN"]
    template: str
    sha256: Hex32


class Document(Shape, frozen=True):
    """The consent (授权书), to be signed or signed. `subject` is left to the wallet to fill in."""

    type: Literal["chengxin/consent/v1"]
    consent_id: Uuid
    gateway: str
    recipient: Uscc
    purpose: PurposeCode
    categories: Categories
    answer: AnswerKind
    not_before: Instant
    not_after: Instant
    max_uses: int
    retention_days: int
    notice: Notice
    nonce: B64u
    subject: Thumbprint | Unset = UNSET
    case_ref_sha256: Hex32 | Unset = UNSET


class ConsentAsked(Shape, frozen=True):
    """A recorded request for consent: the document to sign and the notice to show. The same for anybody."""

    request_id: Uuid
    consent_id: Uuid
    document: Document
    document_sha256: Hex32
    notice_text: str
    index: Index


class RequestState(Shape, frozen=True):
    """What became of a request for consent."""

    request_id: Uuid
    consent_id: Uuid
    state: Literal["requested", "granted", "declined", "lapsed"]
    document: Document


class Declined(Shape, frozen=True):
    """A declined request; no reason is asked for."""

    request_id: Uuid
    state: Literal["declined"]
    index: Index


class Granted(Shape, frozen=True):
    """A recorded consent and its receipt."""

    consent_id: Uuid
    state: Literal["granted"]
    receipt: Receipt


class Withdrawn(Shape, frozen=True):
    """A recorded withdrawal and its receipt: no later entry discloses under that consent."""

    consent_id: Uuid
    state: Literal["withdrawn"]
    receipt: Receipt


class ConsentState(Shape, frozen=True):
    """A consent as it stands: how often it was used, the leaf that granted it, the one that suspended it."""

    consent_id: Uuid
    state: Literal["granted", "withdrawn", "expired", "exhausted", "suspended"]
    uses: Annotated[int, msgspec.Meta(ge=0)]
    index: Index
    document: Document
    suspension: Index | Unset = UNSET


class Challenged(Shape, frozen=True):
    """What a passkey signs for one document, good once and for five minutes."""

    server_nonce: B64u
    challenge: B64u
    rp_id: str
    expires: Instant


class Enrolled(Shape, frozen=True):
    """The leaf under which a key was enrolled, and from when it acts: a further key of one person waits."""

    index: Index
    effective: Instant


class RevokedKey(Shape, frozen=True):
    """One key that acts no more, the leaf that says so, and how many consents it took along."""

    key: Thumbprint
    index: Index
    suspended: Annotated[int, msgspec.Meta(ge=0)]


class Revoked(Shape, frozen=True):
    """The keys that were revoked: one by its citizen, at the counter perhaps several."""

    revoked: list[RevokedKey]


class Resumed(Shape, frozen=True):
    """A suspended consent that its citizen confirmed, and its receipt."""

    consent_id: Uuid
    state: Literal["granted"]
    receipt: Receipt
