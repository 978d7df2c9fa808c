"""The Flask application: routes behind guards, errors through one table, one log line a request.

Invariant: an error never carries text from a request or a record; it is a row of the problem table. What no
row foresees is `internal`, logged by its type only.
"""

from __future__ import annotations

import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog
from flask import Flask, g, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from gateway import metrics
from gateway.errors import (
    EvidenceBroken,
    LedgerUnavailable,
    NotReady,
    Rejected,
    ReplayedNonce,
    Undelivered,
)
from gateway.http.auth import UnknownKey, count_refusal
from gateway.http.guards import Api
from gateway.http.routes import citizens, consents, ledger, queries, system
from gateway.http.signature import SignatureRefused
from gateway.http.wire import MalformedBody, problem_reply
from gateway.ids import new_uuid
from ledger.errors import HeadBehind, LogBusy

if TYPE_CHECKING:
    from gateway.house import House
    from gateway.publishing import PublishingThread

MAX_BODY = 65_536
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_HTTP_STATUS = {
    404: "not-found",
    405: "method-not-allowed",
    413: "body-too-large",
    415: "unsupported-media-type",
}

log = structlog.get_logger(__name__)


def create_app(house: House, publishing: PublishingThread) -> Flask:
    """The application on one house; `publishing` is started and stopped by the caller."""
    app = Flask("gateway", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False  # a route answers what it was registered for
    app.url_map.strict_slashes = True
    app.url_map.merge_slashes = False
    api = Api(app, house, publishing)
    for noun in (queries, consents, citizens, ledger, system):
        noun.register(api)
    app.register_error_handler(Exception, problem_of)
    app.before_request(lambda: _begin(house))
    app.after_request(_finish)
    return app


def problem_of(error: Exception) -> Response:
    """The problem that answers an error."""
    match error:
        case SignatureRefused():
            count_refusal(error.problem)
            return problem_reply(error.problem, extra={"why": error.why.value})
        case UnknownKey():
            count_refusal("unknown-key")
            return problem_reply("unknown-key")
        case ReplayedNonce():
            count_refusal("replayed-nonce")
            return problem_reply("replayed-nonce")
        case MalformedBody():
            return problem_reply(error.problem, extra={"field": error.field})
        case Rejected():
            return problem_reply(error.problem)
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
        case LedgerUnavailable() | LogBusy() | sa.exc.DBAPIError():
            log.error("ledger.unavailable", error=type(error).__name__)
            return problem_reply("ledger-unavailable")
        case HTTPException():
            return _http_problem(error)
        case _:
            log.error("request.failed", error=type(error).__name__, route=_route(), where=_where(error))
            return problem_reply("internal")


def _http_problem(error: HTTPException) -> Response:
    response = problem_reply(_HTTP_STATUS.get(error.code or 500, "malformed-body"))
    allowed = getattr(error, "valid_methods", None)
    if allowed:
        response.headers["Allow"] = ", ".join(sorted(allowed))
    return response


def _begin(house: House) -> None:
    g.began = time.perf_counter()
    g.request_id = new_uuid(house.random)


def _finish(response: Response) -> Response:
    response.headers.update(_HEADERS)
    response.headers["X-Request-Id"] = g.request_id
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-store"
    route, status = _route(), response.status_code
    metrics.REQUESTS.labels(route, str(status)).inc()
    log.info(
        "request",
        request_id=g.request_id,
        method=request.method if request.url_rule else "-",
        route=route,
        status=status,
        ms=round((time.perf_counter() - g.began) * 1000, 1),
    )
    return response


def _where(error: Exception) -> list[str]:
    """The innermost frames as file:line; messages and values stay out of the log."""
    frames = traceback.extract_tb(error.__traceback__)[-5:]
    return [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames]


def _route() -> str:
    """The rule that matched, never the URL."""
    return request.url_rule.rule if request.url_rule is not None else "-"
