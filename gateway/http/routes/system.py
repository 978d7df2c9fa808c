"""Health, readiness and the index page."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING

import sqlalchemy as sa
from werkzeug.wrappers import Response

from gateway import db
from gateway.errors import EvidenceBroken
from gateway.http import operations
from gateway.http.guards import Api, Guard
from gateway.http.wire import problem_reply, reply
from gateway.institutions.published import published
from gateway.policies import installed
from gateway.publishing import PublishingThread, vkey_of
from keys.notes import format_vkey
from ledger.log import read_head

if TYPE_CHECKING:
    from gateway.house import House

CLOCK_TOLERANCE_MS = 5_000


def register(api: Api) -> None:
    """Put health, readiness and the index on the map."""
    house = api.house
    page = Template((files("gateway") / "http" / "index.html").read_text("utf-8"))

    @api.route("/", ["GET"], Guard.PUBLIC, operations.INDEX)
    def index() -> Response:
        text = page.substitute(origin=escape(house.origin), vkey=escape(format_vkey(vkey_of(house))))
        return Response(text, content_type="text/html; charset=utf-8")

    @api.route("/healthz", ["GET"], Guard.PUBLIC, operations.HEALTH)
    def healthz() -> Response:
        return reply({"status": "ok"})

    @api.route("/readyz", ["GET"], Guard.PUBLIC, operations.READY)
    def readyz() -> Response:
        why = why_not_ready(house, api.publishing)
        return reply({"status": "ready"}) if why is None else problem_reply("not-ready", extra={"why": why})


def why_not_ready(house: House, publishing: PublishingThread) -> str | None:
    """A code for what keeps the gateway from serving, or None."""
    seen = house.seen  # before the snapshot, which may be older than what another thread sees commit
    try:
        with house.read() as conn:
            now = db.clock_of(conn)
            head = read_head(conn, house.shard)
            regulators = published(house, conn, "regulator")
            installed(conn, house.shard, house.policy)
    except sa.exc.DBAPIError:
        return "database"
    except EvidenceBroken:
        return "evidence"
    if seen is not None and head.size < seen.size:
        return "rolled-back"
    here = house.clock()
    if head.at - here > CLOCK_TOLERANCE_MS or (now is not None and abs(now - here) > CLOCK_TOLERANCE_MS):
        return "clock"
    if publishing.failure is not None:
        return "publishing"
    return None if regulators else "no-regulator"
