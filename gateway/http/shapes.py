"""The shapes of what the gateway replies: one struct a body, for the API document and whoever reads it.

Invariant: a reply has exactly the members of its shape, optional ones absent rather than null. Replies are
not made from these structs but tested against them, every endpoint, refusals included.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from gateway.query.request import AnswerKind, Categories, CategoryCode, PurposeCode, StatuteCode, Uuid

Hex32 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z", description="SHA-256, lower-case hex")]
Instant = Annotated[
    str,
    msgspec.Meta(
        pattern=r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z\Z",
        description="RFC 3339, UTC, milliseconds",
    ),
]
Day = Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\Z", description="a day in China")]
Index = Annotated[int, msgspec.Meta(ge=0, description="index of a leaf in the ledger")]
Receipt = Annotated[
    str,
    msgspec.Meta(
        pattern=r"\A[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\Z",
        description="compact JWS, typ receipt+jwt, by the gateway's receipt key: it names the leaf that "
        "records this, and covers the answer by answer_sha256 = SHA-256(JCS(answer))",
    ),
]
Jwe = Annotated[
    str,
    msgspec.Meta(
        pattern=r"\A[A-Za-z0-9_-]+\.\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\Z",
        description="compact JWE (RFC 7516), ECDH-ES and A256GCM, of JCS(answer), to the institution's key",
    ),
]
B64u = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]+\Z", description="base64url without padding")]
Thumbprint = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]{43}\Z", description="RFC 7638")]
Uscc = Annotated[str, msgspec.Meta(pattern=r"\A[0-9A-Z]{18}\Z", description="统一社会信用代码")]
Jwk = dict[str, str]
Record = dict[str, Any]
UNSET: Any = msgspec.UNSET
Unset = msgspec.UnsetType


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A reply's body: nothing but its members."""


# --- asking for consent ---


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


# --- consents ---


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


# --- queries ---


class Report(Shape, frozen=True, tag_field="type", tag="chengxin/answer/v1"):
    """The records that consent or statute, purpose and catalogue all allow, by category."""

    query_id: Uuid
    purpose: PurposeCode
    as_of: Instant
    records: dict[CategoryCode, list[Record]]


class RuleText(Shape, frozen=True):
    """What a predicate asks, in words."""

    en: str
    zh: str


class YesOrNo(Shape, frozen=True, tag_field="type", tag="chengxin/predicate-answer/v1"):
    """The answer to a predicate (判断): yes or no and the rule, nothing else."""

    predicate: str
    rule: RuleText
    as_of: Day
    answer: Literal["yes", "no"]


class Answered(Shape, frozen=True):
    """An answer and the receipt that covers it."""

    answer: Report | YesOrNo
    receipt: Receipt


class AnsweredSealed(Shape, frozen=True):
    """The same for an institution with an encryption key: the answer is inside `jwe` and nowhere else."""

    jwe: Jwe
    receipt: Receipt


class Pending(Shape, frozen=True):
    """A statutory query that was recorded: what its approver signs for, and until when."""

    query_id: Uuid
    state: Literal["pending", "approved", "denied", "lapsed", "refused"]
    request_sha256: Hex32
    approve_before: Instant
    index: Index


class Settled(Shape, frozen=True):
    """What became of a statutory query by its approver's word. No data is shown to the approver."""

    query_id: Uuid
    state: Literal["approved", "denied"]
    index: Index


# --- what institutions are told ---


class Event(Shape, frozen=True):
    """One event: its number, the leaf it tells of (for `expired` the grant's), the consent or own query."""

    seq: Annotated[int, msgspec.Meta(ge=1)]
    kind: Literal["granted", "declined", "withdrawn", "expired", "suspended", "resumed", "corrected"]
    index: Index
    at: Instant
    consent_id: Uuid | Unset = UNSET
    query_id: Uuid | Unset = UNSET


class Events(Shape, frozen=True):
    """A page of events; `next` is the number to go on after."""

    type: Literal["chengxin/events/v1"]
    events: list[Event]
    next: Annotated[int, msgspec.Meta(ge=0)]


# --- a citizen's own ---


class Identity(Shape, frozen=True):
    """Whose report it is."""

    citizen_number: str
    name: str | Unset = UNSET


class OwnKey(Shape, frozen=True):
    """One of a person's keys: `state` is live, or why it was revoked; the leaf that last changed it."""

    key: Thumbprint
    state: Literal["compromised", "live", "lost", "refused"]
    effective: Instant
    registrar: str
    index: Index


class OwnKeys(Shape, frozen=True):
    """Every key that a citizen has or had."""

    type: Literal["chengxin/keys/v1"]
    as_of: Instant
    index: Index
    keys: list[OwnKey]


class CounterConsent(Shape, frozen=True):
    """One consent as the counter is told of it: enough to know which to withdraw."""

    consent_id: Uuid
    state: Literal["exhausted", "granted", "suspended"]
    recipient: Uscc
    recipient_name: str
    purpose: PurposeCode
    categories: list[CategoryCode]
    not_before: Instant
    not_after: Instant


class CounterConsents(Shape, frozen=True):
    """Keys and live consents of the person at the counter."""

    type: Literal["chengxin/counter-consents/v1"]
    as_of: Instant
    index: Index
    keys: list[OwnKey]
    consents: list[CounterConsent]


class OwnReport(Shape, frozen=True):
    """Everything held about a citizen, shown to that citizen alone."""

    type: Literal["chengxin/report/v1"]
    as_of: Instant
    index: Index
    person: Identity
    records: dict[CategoryCode, list[Record]]
    consents: list[ConsentState]


class Access(Shape, frozen=True):
    """One leaf under the citizen's tag: in plain members, as the bytes that were hashed, and proved.

    `joined`: the leaves of the deferred query that a `query.unsealed` names.
    """

    index: Index
    n: Annotated[int, msgspec.Meta(ge=1)]
    at: Instant
    type: str
    leaf: B64u
    proof: str
    institution: Uscc | Unset = UNSET
    institution_name: str | Unset = UNSET
    purpose: PurposeCode | Unset = UNSET
    reason: str | Unset = UNSET
    query: Uuid | Unset = UNSET
    request: Uuid | Unset = UNSET
    what: str | Unset = UNSET
    cause: str | Unset = UNSET
    registrar: str | Unset = UNSET
    categories: list[CategoryCode] | Unset = UNSET
    statute: StatuteCode | Unset = UNSET
    joined: list[Access] | Unset = UNSET


class Accesses(Shape, frozen=True):
    """A page of everything that happened under a citizen's tag; `next` is the number to go on after."""

    type: Literal["chengxin/accesses/v1"]
    accesses: list[Access]
    next: int | Unset = UNSET


class OwnContact(Shape, frozen=True):
    """Where a citizen is notified on one channel, shown to that citizen alone."""

    channel: Literal["email", "sms"]
    address: str
    language: Literal["en", "zh-CN"]


class OwnContacts(Shape, frozen=True):
    """All of them."""

    contacts: list[OwnContact]


# --- the log ---


class Signatures(Shape, frozen=True):
    """Compact JWS by the old and by the new key, over one statement of rotation."""

    old: str
    new: str


class PublishedKey(Shape, frozen=True):
    """One published key, the leaf from which on it counts, and the one at which it no longer did.

    `signatures`, of one that was rotated to, let whoever pinned the key before follow to this one.
    """

    use: Literal["checkpoint", "encryption", "receipt", "registrar", "regulator"]
    kid: Thumbprint
    public: Jwk
    holder: str
    index: Index
    ended: Index | Unset = UNSET
    signatures: Signatures | Unset = UNSET


class Keys(Shape, frozen=True):
    """The log's name, its verifier key and the published keys. Pin what you got elsewhere, not this."""

    origin: str
    vkey: str
    keys: list[PublishedKey]


# --- the machine ---


class Healthy(Shape, frozen=True):
    """The process runs."""

    status: Literal["ok"]


class Ready(Shape, frozen=True):
    """The gateway serves."""

    status: Literal["ready"]


class ApiDocument(msgspec.Struct, frozen=True):
    """This document (OpenAPI 3.1)."""

    openapi: str
    info: dict[str, Any]
    paths: dict[str, Any]
