"""Logs: one event a line, by structlog. What is said while a request is served carries that request's id.

Invariant: events name nouns and codes; no value of a person ever reaches a call. A request's id is made here,
never taken from a client, and is bound to the thread that serves it; of a batch at the front, only while what
befell that query is said. Whoever leads a group commit speaks for everybody in it: what is said meanwhile
carries the ids of all of them (`requests`) and no single one.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, TextIO

import orjson
import structlog
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars, merge_contextvars
from structlog.typing import EventDict, Processor, WrappedLogger

from gateway.config import Settings

_CARRIED: Final[ContextVar[Sequence[str | None]]] = ContextVar("carried", default=())
_OF_ONE: Final = frozenset({"request_id", "trace_id"})
_BY_REPR: Final = (
    orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
)


def configure(settings: Settings, stream: TextIO | None = None) -> None:
    """Write events of the configured level to `stream` (standard error), as JSON or for people."""
    out = sys.stderr if stream is None else stream
    renderer: Processor = (
        structlog.processors.JSONRenderer(_as_json)
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=out.isatty())
    )
    structlog.configure(
        processors=[
            merge_contextvars,
            name_requests,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, settings.log_level.upper())),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=True,
    )


def _as_json(event: EventDict, default: Callable[[Any], Any]) -> str:
    """One line. What JSON has no form for is there by its repr: no value of ours is told by its members."""
    try:
        return orjson.dumps(event, default=default, option=_BY_REPR).decode()
    except TypeError:  # half a surrogate pair, a number beyond 64 bits: nothing may go unlogged
        return json.dumps(event, default=default)


def begin_request(request_id: str, trace_id: str | None = None) -> None:
    """From here on this thread serves this request; `trace_id` where it is traced."""
    clear_contextvars()
    bind_contextvars(request_id=request_id, **({} if trace_id is None else {"trace_id": trace_id}))


def end_request() -> None:
    """This thread serves no request any more."""
    clear_contextvars()


def current_request() -> str | None:
    """The id of the request that this thread serves, None in a thread that serves none."""
    return get_contextvars().get("request_id")


@contextmanager
def carrying(requests: Sequence[str | None]) -> Iterator[None]:
    """What is said inside the block may be about any of these requests, whichever this thread serves."""
    token = _CARRIED.set(requests)
    try:
        yield
    finally:
        _CARRIED.reset(token)


def name_requests(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The processor that names all requests of a shared commit in the place of the one that leads it."""
    carried = _CARRIED.get()
    if not carried or carried == [None]:
        return event
    if len(carried) == 1:
        return {**event, "request_id": carried[0]}
    named = sorted(one for one in carried if one is not None)
    kept = {name: value for name, value in event.items() if name not in _OF_ONE}
    return kept | ({"requests": named} if named else {})
