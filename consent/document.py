"""What a citizen signs: consent, its template, withdrawal, decline.

Invariant: a consent has one byte form, and the citizen's document differs from the template that
the recipient asked for only by its `subject` and by optional categories that the citizen left
out. CIR (征信业管理条例, Regulation on the Administration of the Credit Reporting Industry) art. 18
asks for written consent and an agreed purpose; PIPL (个人信息保护法) art. 14-16 for consent that is
informed, specific and withdrawable.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from consent import wire
from consent.errors import MalformedDocument
from keys.canonical import sha256_hex, tagged_hash

CONSENT_TYPE = "chengxin/consent/v1"
WITHDRAWAL_TYPE = "chengxin/withdrawal/v1"

# A printable sentence: no control characters (C0, DEL, C1), no line separators, no bidirectional overrides.
_Sentence = Annotated[
    str,
    Meta(
        min_length=1, max_length=200, pattern="\\A[^\\x00-\\x1f\\x7f-\\x9f\\u2028-\\u202e\\u2066-\\u2069]*\\Z"
    ),
]


class Notice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which text the citizen was shown: BCP 47 language, template name, SHA-256 (hex) of the text."""

    language: Annotated[str, Meta(pattern=r"\A[a-z]{2}(?:-[A-Z]{2})?\Z")]
    template: Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9-]{0,47}/v[1-9][0-9]{0,3}\Z")]
    sha256: wire.Hex32


class Template(wire.Document, frozen=True, kw_only=True, tag_field="type", tag=CONSENT_TYPE):
    """What a recipient asks for: a consent without its `subject`, the same for a person who is unknown.

    `not_before` and `not_after` (exclusive) are milliseconds since the Unix epoch; `categories` are strictly
    ascending; `nonce` is 16 bytes, `case_ref_sha256` the salted hash (hex) of the recipient's file number.
    """

    TIMES: ClassVar[tuple[str, ...]] = ("not_before", "not_after")

    consent_id: wire.Uuid
    gateway: wire.Origin
    recipient: wire.Uscc
    purpose: wire.PurposeCode
    categories: Annotated[tuple[wire.CategoryCode, ...], Meta(min_length=1, max_length=64)]
    answer: wire.AnswerName
    not_before: wire.Instant
    not_after: wire.Instant
    max_uses: Annotated[int, Meta(ge=1, le=100_000)]
    retention_days: Annotated[int, Meta(ge=1, le=36_500)]
    notice: Notice
    case_ref_sha256: wire.Hex32
    nonce: str

    def __post_init__(self) -> None:
        wire.check_sorted(self.categories)
        wire.check_base64url(self.nonce, 16)
        if self.not_after <= self.not_before:
            raise ValueError("not_after is not after not_before")


class Consent(Template, frozen=True, kw_only=True, tag_field="type", tag=CONSENT_TYPE):
    """The document a citizen signs: its template with `subject`, the RFC 7638 thumbprint of their key."""

    subject: str

    def __post_init__(self) -> None:
        Template.__post_init__(self)
        wire.check_base64url(self.subject, 32)


class Withdrawal(wire.Document, frozen=True, kw_only=True, tag_field="type", tag=WITHDRAWAL_TYPE):
    """A citizen's withdrawal. `subject` is the thumbprint of the key that signs; no reason is needed."""

    consent_id: wire.Uuid
    gateway: wire.Origin
    subject: str
    reason: _Sentence | None = None
    nonce: str

    def __post_init__(self) -> None:
        wire.check_base64url(self.subject, 32)
        wire.check_base64url(self.nonce, 16)


class Decline(wire.Document, frozen=True, kw_only=True):
    """A citizen's no: the request and the hex SHA-256 of JCS(template), so that it answers this text only."""

    request_id: wire.Uuid
    document_sha256: wire.Hex32


def parse_consent(data: bytes) -> Consent:
    """Raises MalformedDocument for anything that `format_consent` would not emit."""
    return wire.parse_struct(data, Consent)


def format_consent(consent: Consent) -> bytes:
    """JCS bytes. Raises MalformedDocument for a value that no parser would accept."""
    return wire.format_struct(consent)


def parse_template(data: bytes) -> Template:
    """Raises MalformedDocument for anything that `format_template` would not emit."""
    return wire.parse_struct(data, Template)


def format_template(template: Template) -> bytes:
    """JCS bytes of the document to sign, its `subject` absent. Raises MalformedDocument."""
    if type(template) is not Template:
        raise MalformedDocument("a signed consent is not a template")
    return wire.format_struct(template)


def parse_withdrawal(data: bytes) -> Withdrawal:
    """Raises MalformedDocument for anything that `format_withdrawal` would not emit."""
    return wire.parse_struct(data, Withdrawal)


def format_withdrawal(withdrawal: Withdrawal) -> bytes:
    """JCS bytes. Raises MalformedDocument."""
    return wire.format_struct(withdrawal)


def parse_decline(data: bytes) -> Decline:
    """Raises MalformedDocument for anything that `format_decline` would not emit."""
    return wire.parse_struct(data, Decline)


def format_decline(decline: Decline) -> bytes:
    """JCS bytes. Raises MalformedDocument."""
    return wire.format_struct(decline)


def consent_hash(consent: Consent | bytes) -> bytes:
    """SHA-256("chengxin/consent/v1" || 0x00 || JCS(document)), 32 bytes. Raises MalformedDocument."""
    data = consent if isinstance(consent, bytes) else format_consent(consent)
    parse_consent(data)
    return tagged_hash(CONSENT_TYPE, data)


def document_sha256(template: Template) -> str:
    """Hex SHA-256 of JCS(template): what a decline names."""
    return sha256_hex(format_template(template))


def with_subject(template: Template, subject: str, leave_out: Collection[str] = ()) -> Consent:
    """The document a citizen signs. `leave_out` names optional categories. Raises MalformedDocument."""
    members = wire.to_members(template)
    if not set(leave_out) <= set(template.categories):
        raise MalformedDocument("a category left out was never asked for")
    members["categories"] = [code for code in template.categories if code not in leave_out]
    return wire.from_members(members | {"subject": subject}, Consent)


def narrowed(template: Template, document: Consent, necessary: Collection[str]) -> None:
    """Check that a signed document is its template, narrowed at most. Raises MalformedDocument.

    Equal in every member but `subject` and `categories`; the categories are a subset of those asked for that
    keeps every necessary one (PIPL art. 16: what is not necessary is optional).
    """
    left_out = set(template.categories) - set(document.categories)
    if not set(necessary) <= set(document.categories):
        raise MalformedDocument("a necessary category was left out")
    if with_subject(template, document.subject, left_out) != document:
        raise MalformedDocument("the document is not the one that was asked for")
