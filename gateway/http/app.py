"""The Flask application: routes behind guards, errors through one table, one log line a request.

Invariant: an error never carries text from a request or a record; it is a row of the problem table. What no
row foresees is `internal`, logged by its type only.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog
from flask import Flask, g, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from gateway import logs, metrics, tracing
from gateway.errors import (
    EvidenceBroken,
    LedgerUnavailable,
    NotReady,
    Rejected,
    ReplayedNonce,
    Undelivered,
)
from gateway.http.auth import UnknownKey, count_refusal
from gateway.http.express import RULED, Express
from gateway.http.flood import Flood, TooManyBadSignatures, source_address
from gateway.http.guards import Api
from gateway.http.routes import citizens, consents, contacts, counter, docs, events, ledger, queries, system
from gateway.http.served import HEADERS, REQUEST_ID, begin
from gateway.http.signature import SignatureRefused
from gateway.http.whole import MAX_BODY
from gateway.http.wire import MalformedBody, problem_reply
from keys.errors import CustodyError
from ledger.errors import HeadBehind, LogBusy

if TYPE_CHECKING:
    from gateway.house import House
    from gateway.publishing import PublishingThread

_HTTP_STATUS = {
    404: "not-found",
    405: "method-not-allowed",
    413: "body-too-large",
    415: "unsupported-media-type",
}

TOO_MANY = "too-many-bad-signatures"
UNREAD = frozenset({"malformed-body", "unsupported-media-type"})  # turned away before anything is looked up
_DECIDED = frozenset({403, 404, 409})  # and it took a leaf, or at least the nonce, to say so

log = structlog.get_logger(__name__)


def create_app(house: House, publishing: PublishingThread) -> Flask:
    """The application on one house; `publishing` is started and stopped by the caller."""
    app = Flask("gateway", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False  # a route answers what it was registered for
    app.url_map.strict_slashes = True
    app.url_map.merge_slashes = False
    settings = house.settings
    flood = Flood(settings.bad_signatures_per_minute, house.clock)
    api = Api(app, house, publishing, flood)
    for noun in (queries, consents, citizens, contacts, counter, events, ledger, system, docs):
        noun.register(api)
    app.register_error_handler(Exception, problem_of)
    app.before_request(lambda: _begin(house))
    app.after_request(lambda response: _finish(response, flood))
    app.teardown_request(_end)
    app.wsgi_app = Express(app.wsgi_app, house, flood)  # type: ignore[method-assign]  # Flask's own way
    return app


def problem_of(error: Exception) -> Response:
    """The problem that answers an error."""
    return _unauthenticated(error) or _rejected(error) or _failed(error)


def _unauthenticated(error: Exception) -> Response | None:
    """Whoever sent it is not believed, or not heard."""
    match error:
        case SignatureRefused():
            _refuse(error.problem)
            return problem_reply(error.problem, extra={"why": error.why.value})
        case UnknownKey():
            _refuse("unknown-key")
            return problem_reply("unknown-key")
        case ReplayedNonce():
            _refuse("replayed-nonce")
            return problem_reply("replayed-nonce")
        case TooManyBadSignatures():
            count_refusal(TOO_MANY)
            g.turned_away = True
            return problem_reply(TOO_MANY, retry_after=error.retry_after)
        case _:
            return None


def _rejected(error: Exception) -> Response | None:
    """The request is at fault."""
    match error:
        case MalformedBody():
            return problem_reply(error.problem, extra=error.members())
        case Rejected():
            if g.get("proves") and error.problem not in UNREAD:
                _refuse(error.problem)
            return problem_reply(error.problem)
        case HTTPException():
            return _http_problem(error)
        case _:
            return None


def _failed(error: Exception) -> Response:
    """The gateway is at fault, or what it stands on."""
    match error:
        case Undelivered():
            return problem_reply("undelivered", extra={"index": error.index})
        case EvidenceBroken():
            metrics.EVIDENCE_BROKEN.labels("request").inc()
            log.error("evidence.broken", route=_route())
            return problem_reply("evidence-damaged")
        case NotReady():
            return problem_reply("not-ready", extra={"why": error.why} if error.why else None)
        case HeadBehind():
            return problem_reply("not-ready", extra={"why": "rolled-back"})
        case CustodyError():  # an HSM that went away, a key file that cannot be read
            log.error("custody.failed", error=type(error).__name__)
            return problem_reply("not-ready", extra={"why": "custody"})
        case LedgerUnavailable() | LogBusy() | sa.exc.DBAPIError():
            log.error("ledger.unavailable", error=type(error).__name__)
            return problem_reply("ledger-unavailable")
        case _:
            log.error("request.failed", error=type(error).__name__, route=_route(), where=_where(error))
            return problem_reply("internal")


def _http_problem(error: HTTPException) -> Response:
    response = problem_reply(_HTTP_STATUS.get(error.code or 500, "malformed-body"))
    allowed = getattr(error, "valid_methods", None)
    if allowed:
        response.headers["Allow"] = ", ".join(sorted(allowed))
    return response


def _refuse(problem: str) -> None:
    """Count a request that was not authenticated, for the metrics and against its address."""
    count_refusal(problem)
    g.bad = True


def _begin(house: House) -> None:
    g.source = source_address(request.environ, house.settings.trusted_proxies)
    g.span = tracing.request(_method(), _route(), request.headers.get("traceparent"))
    ruled = request.environ.get(RULED)
    trace = None if g.span is None else g.span.trace_id
    if ruled is None:
        g.served = begin(house.random, trace)
    else:
        g.served = ruled.served
        logs.begin_request(ruled.served.id)


def _finish(response: Response, flood: Flood) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers[REQUEST_ID] = g.served.id
    _weigh(response, flood)
    g.status = response.status_code
    # A flood is counted, it does not fill the log as well.
    quiet = bool(g.get("turned_away") or (g.get("flooded") and g.get("bad")))
    g.served.over(_method(), _route(), response.status_code, quiet=quiet)
    return response


def _end(_error: BaseException | None) -> None:
    """The thread is done with the request, whatever became of it."""
    span = g.pop("span", None)
    if span is not None:
        span.end(g.get("status"))
    logs.end_request()


def _weigh(response: Response, flood: Flood) -> None:
    """Count the request for or against its address. Only one that spent its nonce speaks for it."""
    if g.get("turned_away"):
        flood.turned_away()
    elif g.get("bad"):
        flood.count_bad(g.source)
    elif g.get("keyid") and (response.status_code < 400 or response.status_code in _DECIDED):
        flood.count_good(g.source, g.keyid)


def _where(error: Exception) -> list[str]:
    """The innermost frames as file:line; messages and values stay out of the log."""
    frames = traceback.extract_tb(error.__traceback__)[-5:]
    return [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames]


def _method() -> str:
    """The method of a route, never what a client calls one."""
    return request.method if request.url_rule is not None else "-"


def _route() -> str:
    """The rule that matched, never the URL."""
    return request.url_rule.rule if request.url_rule is not None else "-"
