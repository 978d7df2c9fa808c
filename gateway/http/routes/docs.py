"""The API document, for machines and for people. Rendered once, from the routes as they are registered."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from flask import render_template_string
from werkzeug.wrappers import Response

from gateway.http import operations
from gateway.http.guards import Api, Guard
from gateway.http.openapi import document
from gateway.http.page import page_of
from gateway.http.wire import JSON
from keys.canonical import canonical

STYLED = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
KEPT = "public, max-age=300"


def register(api: Api) -> None:
    """Put the API document on the map."""
    here = files("gateway") / "http"
    template = (here / "docs.html").read_text("utf-8")
    style = (here / "docs.css").read_bytes()

    @cache
    def described() -> bytes:
        return canonical(document(api.routes, api.house.settings.public_url))

    @cache
    def page() -> str:
        return render_template_string(template, **page_of(api.routes, api.house.settings.public_url))

    @api.route("/openapi.json", ["GET"], Guard.PUBLIC, operations.OPENAPI)
    def openapi() -> Response:
        return Response(described(), content_type=JSON, headers={"Cache-Control": KEPT})

    @api.route("/docs", ["GET"], Guard.PUBLIC, operations.DOCS)
    def docs() -> Response:
        headers = {"Cache-Control": KEPT, "Content-Security-Policy": STYLED}
        return Response(page(), content_type="text/html; charset=utf-8", headers=headers)

    @api.route("/docs.css", ["GET"], Guard.PUBLIC, operations.DOCS_STYLE)
    def docs_style() -> Response:
        return Response(style, content_type="text/css; charset=utf-8", headers={"Cache-Control": KEPT})
