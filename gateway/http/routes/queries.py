"""Queries: answered at once under a consent; under a statute submitted, approved by another and collected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import request
from werkzeug.wrappers import Response

from gateway import tracing
from gateway.errors import Rejected
from gateway.http import operations
from gateway.http.express import RULED, Unsaid
from gateway.http.guards import Api, Guard
from gateway.http.wire import JSON, MalformedBody, problem_reply, read_body, reply
from gateway.query.answer import Answer, Refusal, answer, deliver
from gateway.query.request import Approval, Query, Signer
from gateway.query.ruled import Disclosed, Refused, Throttled
from gateway.query.statutory.approve import Settled, settle
from gateway.query.statutory.collect import collect
from gateway.query.statutory.submit import Submitted, submit
from keys.blind import canonical_citizen_number
from keys.errors import BadIdentifier


def register(api: Api) -> None:
    """Put the query on the map."""

    @api.route("/v1/queries", ["POST"], Guard.OPERATOR, operations.QUERY)
    def query(signer: Signer) -> Response:
        ruled: Unsaid | None = request.environ.get(RULED)
        if ruled is not None:
            return _said(api, ruled.query, ruled.said())
        asked, body = read_body(Query)
        if asked.statute is not None:
            return _submitted(api, asked, body, signer)
        return _said(api, asked.query_id, answer(api.house, asked, body, signer))

    @api.route("/v1/queries/<uuid:query_id>/approval", ["POST"], Guard.OPERATOR, operations.APPROVE)
    def approval(signer: Signer, query_id: object) -> Response:
        said, body = read_body(Approval)
        if said.query_id != str(query_id):
            raise Rejected("approval-mismatch")
        return _said(api, said.query_id, settle(api.house, said, body, signer))

    @api.route("/v1/queries/<uuid:query_id>", ["GET"], Guard.OPERATOR, operations.COLLECT)
    def collected(signer: Signer, query_id: object) -> Response:
        found = collect(api.house, str(query_id), signer)
        said = deliver(api.house, found) if isinstance(found, Disclosed) else found
        return _said(api, str(query_id), said)


def _submitted(api: Api, asked: Query, body: Mapping[str, Any], signer: Signer) -> Response:
    named = asked.person_check.citizen_number if asked.person_check is not None else ""
    try:
        number = canonical_citizen_number(named)
    except BadIdentifier as error:
        raise MalformedBody("$.person_check.citizen_number") from error
    return _said(api, asked.query_id, submit(api.house, asked, body, signer, number))


def _said(
    api: Api, query: str, said: Answer | Submitted | Settled | Refusal | Refused | Throttled
) -> Response:
    """What became of a query, as a response."""
    tracing.tell("chengxin.decision", type(said).__name__.lower())
    match said:
        case Answer():
            return Response(said.body(), content_type=JSON)
        case Submitted():
            return reply(said.members(), 202)
        case Settled():
            return reply(said.members())
        case Throttled():
            return problem_reply("quota-exceeded", extra={"query_id": query}, retry_after=said.retry_after_s)
        case Refused():
            receipt = api.house.receipts.of_query(said.entry, query, "refused", reason=said.reason.value)
            return problem_reply(said.reason.value, receipt, {"query_id": query})
        case Refusal():
            return problem_reply(said.reason.value, said.receipt, {"query_id": query})
