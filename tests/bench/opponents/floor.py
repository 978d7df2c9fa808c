"""The floor: the least that any gateway in this language would cost, answering the same bytes from the same
rows.

One statement through the driver's cursor on a pooled connection; no crypto, no consent, no ledger, nothing
written. `create_app` is the Flask route of it, `raw_app` the same as bare WSGI, without any framework.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import orjson
from flask import Flask, Response, request
from sqlalchemy import Engine

from gateway.house import wall_clock
from keys.instant import format_instant
from tests.bench.opponents.data import Config, answer, read_request

ROWS: Final = (
    "SELECT b.category, b.body FROM consents c JOIN bodies b ON b.person = c.person"
    " WHERE c.id = %s AND b.category = ANY(%s) ORDER BY b.id"
)
IN_CLEAR: Final[dict[str, Any]] = {"isolation_level": "AUTOCOMMIT", "pool_reset_on_return": None}
"""Options of an engine that is only read from: no BEGIN, and nothing to roll back."""

JSON: Final = "application/json"
StartResponse = Callable[[str, list[tuple[str, str]]], object]


def create_app(config: Config, engine: Engine) -> Flask:
    """The Flask application."""
    answered = _answerer(config, engine)
    app = Flask("floor")

    @app.get("/readyz")
    def ready() -> str:
        return "ok"

    @app.post("/v1/queries")
    def query() -> Response:
        return Response(answered(request.get_data()), mimetype=JSON)

    return app


def raw_app(config: Config, engine: Engine) -> Callable[[dict[str, Any], StartResponse], Iterable[bytes]]:
    """The bare WSGI application."""
    answered = _answerer(config, engine)

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/v1/queries" or environ["REQUEST_METHOD"] != "POST":
            start_response("200 OK", [("Content-Length", "2")])
            return [b"ok"]
        body = answered(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        start_response("200 OK", [("Content-Type", JSON), ("Content-Length", str(len(body)))])
        return [body]

    return app


def _answerer(config: Config, engine: Engine) -> Callable[[bytes], bytes]:
    """The body of a reply from the body of a request; `engine` commits by itself (`IN_CLEAR`)."""

    def answered(body: bytes) -> bytes:
        named, consent, purpose, categories = read_request(body)
        conn = engine.raw_connection()
        try:
            rows = conn.cursor().execute(ROWS, (consent, categories)).fetchall()
        finally:
            conn.close()
        opened = ((category, orjson.loads(found)) for category, found in rows)
        at = format_instant(wall_clock())
        said = answer(named, purpose, at, categories, opened, config.receipt)
        return orjson.dumps(said, option=orjson.OPT_SORT_KEYS)

    return answered
