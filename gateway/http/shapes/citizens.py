"""What a citizen reads of their own, and a counter for them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from gateway.http.shapes.consents import ConsentState
from gateway.http.shapes.forms import UNSET, B64u, Index, Instant, Record, Shape, Thumbprint, Unset, Uscc
from gateway.query.request import CategoryCode, PurposeCode, StatuteCode, Uuid


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
