"""One request as whoever sent it sees it, and as whoever watches the machine does.

Invariant: what is masked is named here, its length is kept, and nothing else is left out of a comparison.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from structlog.testing import capture_logs

from gateway.evidence import EvidenceCache
from keys.canonical import canonical, parse_canonical, unb64u
from keys.signing import PrivateKey
from tests.attacks.trace import Step, Tracer
from tests.gateway.kit import prepare
from tests.gateway.world import World

RANDOM = frozenset(
    {
        "query_id",
        "request_id",
        "consent_id",
        "document_sha256",  # of a document with a random id and nonce
        "case_ref_sha256",  # salted with the document's nonce
        "nonce",
        "index",
        "leaf",
        "as_of",
        "at",
        "answer_sha256",
        "approve_before",
        "request_sha256",  # of a request with an id of its own
    }
)
"""Members that differ between any two requests, about whomever they are."""

HEADERS = frozenset({"date", "x-request-id"})


@dataclass(frozen=True)
class Got:
    """One HTTP response, headers in their order."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def send(
    world: World, method: str, path: str, body: object = None, key: PrivateKey | None = None, **options: str
) -> Got:
    """Send one request, by the bank unless another key is given."""
    reply = prepare(world, key or world.bank_key, method, path, body, **options).send()
    headers = [(name.decode("ascii"), value.decode("ascii")) for name, value in reply.headers.raw]
    return Got(reply.status_code, headers, reply.content)


Case: TypeAlias = Callable[[], Got]
"""Sends one request; each time with fresh ids."""


class Seen:
    """One request as an observer sees it: response, trace and log, masked as the docstring says."""

    def __init__(self, got: Got, steps: list[Step], logged: list[Any]) -> None:
        self.status = got.status
        self.headers = [
            (name, "*" * len(value) if name.lower() in HEADERS else value) for name, value in got.headers
        ]
        self.body = parse_canonical(got.body)
        assert canonical(self.body) == got.body
        self.masked = canonical(masked(self.body))
        self.steps = steps
        self.logged = [
            {name: value for name, value in event.items() if name not in ("request_id", "ms")}
            for event in logged
        ]

    def differs(self, other: Seen) -> list[str]:
        """In what two differ, by name."""
        names = ("status", "headers", "masked", "steps", "logged")
        return [name for name in names if getattr(self, name) != getattr(other, name)]

    def __repr__(self) -> str:
        return f"Seen({self.status}, {self.headers}, {self.masked!r}, {len(self.steps)} steps, {self.logged})"


def masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _mask(name, member) for name, member in value.items()}
    return [masked(one) for one in value] if isinstance(value, list) else value


def _mask(name: str, member: Any) -> Any:
    if name == "receipt":
        header, payload, signature = member.split(".")
        return [header, masked(parse_canonical(unb64u(payload))), len(signature)]
    return "*" * len(str(member)) if name in RANDOM else masked(member)


def observe(world: World, tracer: Tracer, cases: list[Case], *, cold: bool) -> list[Seen]:
    """Each case as it is seen, all with caches in the same state: everything warm that a request before
    warms, but for the verified evidence, which is forgotten each time when `cold`.
    """
    for case in cases:
        case()
    seen = []
    for case in cases:
        if cold:
            world.house.evidence = EvidenceCache(world.house.origin)
            world.house.registrars.clear()
        with tracer.record() as steps, capture_logs() as logged:
            got = case()
        assert any(step[0] == "commit" for step in steps)
        seen.append(Seen(got, steps, list(logged)))
    return seen
