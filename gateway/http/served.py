"""What is done around every request, whichever way it takes: id, headers, metrics, one log line.

Invariant: an answer of the express lane and one of Flask leave the same traces and carry the same headers.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import structlog

from gateway import logs, metrics
from gateway.ids import new_uuid
from keys.signing import Random

HEADERS: Final = MappingProxyType(
    {
        "Content-Security-Policy": "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
)
"""Of every response, unless it says otherwise itself."""
REQUEST_ID: Final = "X-Request-Id"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Served:
    """A request that is being served: its id, made here, and when it began (s, of a clock of its own)."""

    id: str
    began: float

    def over(self, method: str, route: str, status: int, *, quiet: bool = False) -> None:
        """Say so in the log unless it is one of a flood (`quiet`), and count it."""
        took = time.perf_counter() - self.began
        if not quiet:
            ms = round(took * 1000, 1)
            # By name: the front answers many in one thread, which is bound to none of them.
            log.info("request", request_id=self.id, method=method, route=route, status=status, ms=ms)
        metrics.requests(route, str(status)).inc()
        metrics.seconds(route).observe(took)


def arrive(random: Random) -> Served:
    """A request that came now, under an id of ours."""
    return Served(new_uuid(random), time.perf_counter())


def begin(random: Random, trace_id: str | None = None) -> Served:
    """From here on this thread serves a request; what a client or a proxy calls it is not asked."""
    served = arrive(random)
    logs.begin_request(served.id, trace_id)
    return served
