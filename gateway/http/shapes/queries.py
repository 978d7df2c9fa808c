"""Queries and their answers, and what institutions are told afterwards."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from gateway.http.shapes.forms import UNSET, Day, Hex32, Index, Instant, Jwe, Receipt, Record, Shape, Unset
from gateway.query.request import CategoryCode, PurposeCode, Uuid


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
