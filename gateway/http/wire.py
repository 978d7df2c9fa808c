"""Bodies in and bodies out: strict JSON in, canonical JSON and problem+json out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec
from flask import request
from werkzeug.wrappers import Response

from gateway.errors import Rejected
from gateway.http.problems import MEDIA_TYPE, problem
from keys.canonical import canonical, parse_json_strict
from keys.errors import KeysError

B = TypeVar("B")
JSON = "application/json"
_PATH = re.compile(r" - at `(\$[A-Za-z0-9_.\[\]]*)`\Z")
_MISSING = re.compile(r"Object missing required field `([a-z0-9_]+)`(?: - at `(\$[A-Za-z0-9_.\[\]]*)`)?")
_UNKNOWN = "Object contains unknown field"
RULES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "name exactly one of consent_id and statute": ("$", "consent-or-statute"),
        "a query under a statute names its person": ("$.person_check", "required"),
        "categories must be sorted and without duplicates": ("$.categories", "sorted"),
        "not_before and not_after must look like 2026-11-21T08:00:00.000Z": ("$", "instants"),
        "not_after must be later than not_before": ("$.not_after", "order"),
        "an address is name@host for email, and +86 with eleven digits for sms": ("$.address", "address"),
        "give a proof, or signatures, officers and citizen_number": ("$", "proof-or-order"),
    }
)
"""What the shapes themselves say of a body -> the JSON path and the rule's code."""


class MalformedBody(Rejected):
    """A body that does not parse; `field` is the JSON path that is wrong, if it is one of ours.

    `rule` is the code of what it should keep to, where the path alone does not say.
    """

    def __init__(self, field: str = "$", rule: str | None = None) -> None:
        super().__init__("malformed-body")
        self.field = field
        self.rule = rule

    def members(self) -> Mapping[str, str]:
        """What is added to the problem."""
        return {"field": self.field} | ({} if self.rule is None else {"rule": self.rule})


def read_body(shape: type[B]) -> tuple[B, dict[str, Any]]:
    """The request's body as a value of `shape` and as the JSON object it was. Raises `Rejected`."""
    return parse_body(shape, request.headers.get("Content-Type"), request.get_data(cache=True))


def parse_body(shape: type[B], content_type: str | None, data: bytes) -> tuple[B, dict[str, Any]]:
    """A body as a value of `shape` and as the JSON object it was. Raises `Rejected`."""
    if content_type != JSON:
        raise Rejected("unsupported-media-type")
    try:
        members = parse_json_strict(data)
    except KeysError as error:
        raise MalformedBody from error
    if not isinstance(members, dict):
        raise MalformedBody
    try:
        return msgspec.convert(members, shape, strict=True), members
    except msgspec.ValidationError as error:
        raise MalformedBody(*_wrong(str(error))) from error


def _wrong(message: str) -> tuple[str, str | None]:
    """The JSON path that msgspec's message is about, and the rule.

    Before the path that ends it may stand text of the request, a value or the name of an unknown member,
    which could be written to look like a path; the latter may even end it. A missing member's name is ours.
    """
    if message in RULES:
        return RULES[message]
    if message.startswith(_UNKNOWN):
        return "$", "unknown-member"
    missing = _MISSING.fullmatch(message)
    if missing is not None:
        return f"{missing[2] or '$'}.{missing[1]}", "missing"
    found = _PATH.search(message)
    return (found[1] if found else "$"), None


def reply(members: Mapping[str, Any], status: int = 200) -> Response:
    """A JSON object (RFC 8785 bytes)."""
    return Response(canonical(members), status, content_type=JSON)


def problem_reply(
    name: str,
    receipt: str | None = None,
    extra: Mapping[str, str | int] | None = None,
    retry_after: int | None = None,
) -> Response:
    """A problem of the table. `retry_after` is in seconds, where the table cannot know it."""
    found = problem(name)
    if retry_after is not None:
        found = replace(found, retry_after=retry_after)
    response = Response(found.to_json(receipt, extra), found.status, content_type=MEDIA_TYPE)
    response.headers.update(found.headers())
    return response
