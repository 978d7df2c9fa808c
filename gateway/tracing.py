"""Traces by OpenTelemetry, for whoever wants to see where a request's time went; off unless a collector is
named.

Invariant: a span carries the rule of a route, a status, a decision and the size of a batch: no id, no
address, no text of a request, no message of an exception. A collector that is slow or gone costs spans and
nothing else: they wait in a bounded queue, which a thread of its own empties. Without `otlp_endpoint` nothing
of OpenTelemetry is imported, and `span` hands out one shared object that does nothing.

A client's `traceparent` (W3C Trace Context) continues its trace and decides nothing, not even whether there
is a span; its `tracestate`, which is free text, is left where it is.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import Token
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import structlog

from gateway.errors import NotReady

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

    from gateway.config import Settings

Part = Literal["authenticate", "ledger.wait", "ledger.commit", "query.find", "query.deliver"]
"""What has a span of its own, below the request's."""

SERVICE: Final = "chengxin-gateway"
PATH: Final = "/v1/traces"
_EXPORT_S: Final = 2.0
_QUEUE: Final = 4096
_BATCH: Final = 512
_DELAY_MS: Final = 1000
_SAY_EVERY_S: Final = 60.0
_NOTHING: Final[AbstractContextManager[object]] = nullcontext()

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _State:
    """What this process traces with; nothing while tracing is off."""

    provider: TracerProvider | None = None
    tracer: Tracer | None = None
    logs: logging.Handler | None = None


_STATE = _State()


@dataclass(frozen=True, slots=True)
class RequestSpan:
    """The span of one request, current in its thread until it is ended there."""

    span: Span
    token: Token[Context]

    @property
    def trace_id(self) -> str:
        """32 hex digits, as `traceparent` has them."""
        return f"{self.span.get_span_context().trace_id:032x}"

    def end(self, status: int | None) -> None:
        """The request was answered with `status`, or with none that we know of."""
        from opentelemetry import context
        from opentelemetry.trace import StatusCode

        if status is not None:
            self.span.set_attribute("http.response.status_code", status)
        if status is None or status >= 500:
            self.span.set_status(StatusCode.ERROR)
        self.span.end()
        context.detach(self.token)


def is_on() -> bool:
    """Whether this process traces."""
    return _STATE.tracer is not None


def start(settings: Settings) -> None:
    """Trace what this process does, if the settings name a collector. In a worker: after the fork.

    `NotReady` if they do and the packages are not there.
    """
    if settings.otlp_endpoint is None or _STATE.provider is not None:
        return
    require_installed(settings)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON
    from requests import Session

    session = Session()
    session.trust_env = False  # no proxy and no password that the environment names
    exporter = OTLPSpanExporter(settings.otlp_endpoint + PATH, timeout=_EXPORT_S, session=session)
    provider = TracerProvider(
        sampler=ALWAYS_ON, resource=Resource({"service.name": SERVICE}), shutdown_on_exit=False
    )
    provider.add_span_processor(
        BatchSpanProcessor(
            exporter, max_queue_size=_QUEUE, schedule_delay_millis=_DELAY_MS, max_export_batch_size=_BATCH
        )
    )
    _STATE.provider, _STATE.tracer = provider, provider.get_tracer("gateway")
    _STATE.logs = _listen()


def require_installed(settings: Settings) -> None:
    """`NotReady` when the settings name a collector and this installation has nothing to speak to it with."""
    if settings.otlp_endpoint is None:
        return
    try:
        import opentelemetry.exporter.otlp.proto.http.trace_exporter  # noqa: F401  only whether it is there
    except ModuleNotFoundError:
        raise NotReady(
            "otlp_endpoint needs OpenTelemetry: pip install 'chengxin-gateway[otel]', or leave it out"
        ) from None


def stop() -> None:
    """Send what waits, as far as the collector takes it, and trace no more."""
    provider, handler = _STATE.provider, _STATE.logs
    _STATE.provider = _STATE.tracer = _STATE.logs = None
    if provider is not None:
        provider.shutdown()
    if handler is not None:
        logging.getLogger("opentelemetry").removeHandler(handler)


def request(method: str, route: str, traceparent: str | None) -> RequestSpan | None:
    """Begin the span of a request to `route` (the rule, never the URL). None while tracing is off."""
    tracer = _STATE.tracer
    if tracer is None:
        return None
    from opentelemetry import context
    from opentelemetry.trace import SpanKind, set_span_in_context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier = {} if traceparent is None else {"traceparent": traceparent}
    around = TraceContextTextMapPropagator().extract(carrier, context.Context())
    told = {"http.request.method": method, "http.route": route}
    span = tracer.start_span(f"{method} {route}", around, SpanKind.SERVER, told)
    return RequestSpan(span, context.attach(set_span_in_context(span, around)))


def span(part: Part) -> AbstractContextManager[object]:
    """A span around one part of what the thread is doing. What is raised in it is not told."""
    tracer = _STATE.tracer
    if tracer is None:
        return _NOTHING
    return tracer.start_as_current_span(part, record_exception=False, set_status_on_exception=False)


def tell(name: Literal["chengxin.decision", "chengxin.batch"], value: str | int) -> None:
    """Add a word of a closed vocabulary, or a number, to the current span."""
    if _STATE.tracer is not None:
        from opentelemetry.trace import get_current_span

        get_current_span().set_attribute(name, value)


def _listen() -> logging.Handler:
    """Have what OpenTelemetry says of itself stand in our log, as one kind of event and without its text."""
    handler = _Told(time.monotonic)
    logger = logging.getLogger("opentelemetry")
    logger.addHandler(handler)
    logger.propagate = False
    return handler


class _Told(logging.Handler):
    """Says that spans were lost, once a minute at most: the text may quote whatever the collector replied."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(logging.WARNING)
        self._clock = clock
        self._said: float | None = None
        self._unsaid = 0
        self._counting = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        """One warning of the library's."""
        with self._counting:
            self._unsaid += 1
            now = self._clock()
            if self._said is not None and now - self._said < _SAY_EVERY_S:
                return
            count, self._unsaid, self._said = self._unsaid, 0, now
        log.warning("tracing.failed", times=count, where=record.module)
