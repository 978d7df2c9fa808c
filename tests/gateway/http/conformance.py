"""Holds replies against the API document: status, media type, schema and headers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from flask import Flask
from jsonschema import Draft202012Validator
from werkzeug.exceptions import HTTPException

from gateway.http.openapi import path_of


@dataclass(frozen=True)
class Exchange:
    """One request and its reply. `operation`: method and path of the document, None for what is no route."""

    operation: tuple[str, str] | None
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Recorder:
    """WSGI in front of the application that keeps every exchange."""

    exchanges: list[Exchange] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, app: Flask) -> Callable[..., Iterable[bytes]]:
        def call(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            said: list[Any] = []

            def begin(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
                said[:] = [int(status[:3]), {name.lower(): value for name, value in headers}]
                return start_response(status, headers, *rest)

            body = b"".join(app(environ, begin))
            with self.lock:
                self.exchanges.append(Exchange(self._operation(app, environ), said[0], said[1], body))
            return [body]

        return call

    def _operation(self, app: Flask, environ: dict[str, Any]) -> tuple[str, str] | None:
        try:
            rule, _ = app.url_map.bind_to_environ(environ).match(return_rule=True)
        except HTTPException:
            return None
        return environ["REQUEST_METHOD"], path_of(rule.rule)


def check(document: dict[str, Any], exchange: Exchange) -> None:
    """The reply is one that the document foresees, to the member."""
    assert exchange.operation is not None
    method, path = exchange.operation
    where = (method, path, exchange.status)
    responses = document["paths"][path][method.lower()]["responses"]
    assert str(exchange.status) in responses, (where, exchange.body[:300])
    told = responses[str(exchange.status)]
    media = exchange.headers["content-type"].partition(";")[0]
    assert media in told["content"], (where, media, exchange.body[:300])
    for name, header in told.get("headers", {}).items():
        assert name.lower() in exchange.headers or not header.get("required"), (where, name)
    if media.endswith("json"):
        schema = told["content"][media]["schema"] | {"components": document["components"]}
        errors = list(Draft202012Validator(schema).iter_errors(json.loads(exchange.body)))
        assert not errors, (where, errors[0].message, list(errors[0].absolute_path))
