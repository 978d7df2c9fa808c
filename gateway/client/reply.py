"""Replies of the gateway as values: read strictly, refusals included.

Invariant: text that a person will read comes from our own problem table wherever the problem is known, so
that a reply cannot put words, or control characters, into a terminal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

import msgspec

from consent.receipt import Receipt
from gateway.client.errors import UnexpectedReply
from gateway.http.problems import EXTRA, PROBLEMS, Problem, name_of
from keys.canonical import parse_json_strict
from keys.errors import KeysError

T = TypeVar("T")

JSON: Final = "application/json"
PROBLEM_JSON: Final = "application/problem+json"
_LONGEST_WAIT: Final = 3600


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, media type without parameters, body and Retry-After (seconds) of one HTTP response."""

    status: int
    media_type: str
    body: bytes
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class Signed:
    """A verified receipt and the token it came in, which is what to keep."""

    token: str
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Refused:
    """The gateway said no. `problem` says why and what to do.

    `signed` is the verified receipt of a refusal that stands in the ledger; `extra` holds codes and
    identifiers such as `why`.
    """

    problem: Problem
    signed: Signed | None = None
    extra: Mapping[str, str | int] = field(default_factory=dict)

    @property
    def receipt(self) -> Receipt | None:
        return self.signed.receipt if self.signed else None


def json_object(reply: Reply, *statuses: int) -> dict[str, Any]:
    """The JSON object of a reply with one of these statuses. Raises UnexpectedReply."""
    if reply.status not in statuses or reply.media_type != JSON:
        raise UnexpectedReply(f"the gateway replied {reply.status} {reply.media_type or 'without a type'}")
    return _object(reply.body)


def read_as(value: Any, shape: type[T]) -> T:
    """`value` as a msgspec Struct; members it does not know are left aside. Raises UnexpectedReply."""
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError:
        # Without its cause: msgspec's messages may quote what stands in the reply.
        raise UnexpectedReply("a member of the reply is missing or of another form") from None


def is_problem(reply: Reply) -> bool:
    """Whether the reply is a problem object (RFC 9457)."""
    return reply.media_type == PROBLEM_JSON


def read_problem(reply: Reply) -> tuple[Problem, str | None, dict[str, str | int]]:
    """Problem, receipt token (unverified) and extra members of a problem reply. Raises UnexpectedReply."""
    body = _object(reply.body)
    name = name_of(str(body.get("type", "")))
    if name is None or reply.status < 400:
        raise UnexpectedReply(f"the gateway replied {reply.status} with a problem that is none of its own")
    known = PROBLEMS.get(name)
    if known is not None and known.status != reply.status:
        raise UnexpectedReply("the problem does not belong to the status of the reply")
    problem = replace(known or _foreign(name, reply.status, body), retry_after=reply.retry_after)
    receipt = body.get("receipt")
    if receipt is not None and not isinstance(receipt, str):
        raise UnexpectedReply("a receipt is a compact JWS")
    extra = {key: body[key] for key in EXTRA & body.keys() if isinstance(body[key], str | int)}
    return problem, receipt, extra


def retry_after(header: str | None) -> int | None:
    """Seconds of a Retry-After header in its numeric form, at most an hour."""
    if header is None or not header.isascii() or not header.isdigit():
        return None
    return min(int(header[:9]), _LONGEST_WAIT)


def _foreign(name: str, status: int, body: Mapping[str, Any]) -> Problem:
    """A problem that a newer gateway knows and we do not."""

    def text(member: str) -> str:
        value = body.get(member)
        return "".join(c for c in value if c.isprintable())[:200] if isinstance(value, str) else ""

    return Problem(name, status, text("title_zh"), text("title"), text("hint_zh"), text("hint"))


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = parse_json_strict(body)
    except KeysError:
        raise UnexpectedReply("the reply is not JSON of this API") from None
    if not isinstance(value, dict):
        raise UnexpectedReply("the reply is no JSON object")
    return value
