"""The counter's endpoints, and a citizen's own end of a key: what takes power away from a lost or stolen key.

Invariant: a person's number stands in a body that two officers signed for, never in an address; nothing is
told to a counter before its entry is committed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from werkzeug.wrappers import Response

from gateway.consents import bodies
from gateway.http import operations
from gateway.http.guards import Api, Guard
from gateway.http.wire import MalformedBody, read_body, reply
from gateway.people.counter import Ordered, list_consents, verified
from gateway.people.revoke import revoke, revoke_at_counter
from keys.blind import canonical_citizen_number
from keys.errors import BadIdentifier

if TYPE_CHECKING:
    from gateway.house import House


def register(api: Api) -> None:
    """Put these endpoints on the map."""
    house = api.house

    @api.route("/v1/keys/revocations", ["POST"], Guard.PROOF, operations.REVOKE_KEY)
    def revocations() -> Response:
        body, _ = read_body(bodies.Revoke)
        ordered = ordered_by(house, body)
        done = [revoke(house, body)] if ordered is None else revoke_at_counter(house, ordered)
        ended = [{"key": one.key, "index": one.entry.index, "suspended": one.suspended} for one in done]
        return reply({"revoked": ended}, 201)

    @api.route("/v1/counter/consents", ["POST"], Guard.PROOF, operations.COUNTER_CONSENTS)
    def consents() -> Response:
        body, _ = read_body(bodies.Counter)
        ordered = verified(house, body.document, body.signatures, body.officers, _number(body.citizen_number))
        return reply(list_consents(house, ordered).members)


def ordered_by(house: House, body: bodies.Signed) -> Ordered | None:
    """The counter's order in a body, verified; None where a citizen's proof came instead. `Rejected`."""
    if body.signatures is None or body.officers is None or body.citizen_number is None:
        return None
    return verified(house, body.document, body.signatures, body.officers, _number(body.citizen_number))


def _number(text: str) -> str:
    try:
        return canonical_citizen_number(text)
    except BadIdentifier as error:
        raise MalformedBody("$.citizen_number") from error
