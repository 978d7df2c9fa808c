"""`POST /v1/queries`: the authorised query."""

from __future__ import annotations

from werkzeug.wrappers import Response

from gateway.http.guards import Api, Guard
from gateway.http.wire import problem_reply, read_body, reply
from gateway.query.answer import Refusal, answer
from gateway.query.request import Query, Signer


def register(api: Api) -> None:
    """Put the query on the map."""

    @api.route("/v1/queries", ["POST"], Guard.OPERATOR)
    def query(signer: Signer) -> Response:
        asked, body = read_body(Query)
        outcome = answer(api.house, asked, body, signer)
        if isinstance(outcome, Refusal):
            return problem_reply(outcome.reason.value, outcome.receipt, {"query_id": asked.query_id})
        return reply({"answer": outcome.answer, "receipt": outcome.receipt})
