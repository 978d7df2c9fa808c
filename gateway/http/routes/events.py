"""Events: what an institution is told, for those who would rather ask."""

from __future__ import annotations

from flask import request
from werkzeug.wrappers import Response

from gateway.events.stored import MAX_PAGE, events_of
from gateway.http import operations
from gateway.http.guards import Api, Guard
from gateway.http.wire import MalformedBody, reply
from gateway.query.request import Signer

USUAL_PAGE = "100"


def register(api: Api) -> None:
    """Put the events on the map."""

    @api.route("/v1/events", ["GET"], Guard.OPERATOR, operations.EVENTS)
    def told(signer: Signer) -> Response:
        after = _number("after", "0", least=0, most=10**15 - 1)
        limit = _number("limit", USUAL_PAGE, least=1, most=MAX_PAGE)
        found = events_of(api.house, signer, after, limit)
        seen = found[-1]["seq"] if found else after
        return reply({"type": "chengxin/events/v1", "events": found, "next": seen})


def _number(name: str, usual: str, *, least: int, most: int) -> int:
    text = request.args.get(name, usual)
    if not (text.isascii() and text.isdigit() and len(text) <= 15 and least <= int(text) <= most):
        raise MalformedBody(f"$.{name}")
    return int(text)
