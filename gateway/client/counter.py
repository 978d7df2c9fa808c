"""The counter's side (柜台), importable: orders that two officers sign offline, and handing them in.

Invariant: an order is signed by one officer at a time, and only one that verifies under the registrar's key
with both signatures is handed in. No key of the gateway or of the citizen is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import httpx

from consent.counter import SignedOrder
from gateway.client.channel import exchange
from gateway.client.citizen import Recorded, RevokedKey, recorded, refused, revoked_keys
from gateway.client.evidence import Pins
from gateway.client.reply import JSON, Refused, Reply, is_problem, json_object
from gateway.http.signature import target_uri
from keys.canonical import canonical

_HEADERS: Final = {"Content-Type": JSON}


class CounterClient:
    """Hands in what two officers signed; `base_url` is the gateway's public origin. It signs nothing itself.

    Raises Unreachable, UnexpectedReply, EvidenceFailed; refusals come back as `Refused`.
    """

    def __init__(self, base_url: str, pins: Pins, http: httpx.Client) -> None:
        self._base_url, self._pins, self._http = base_url, pins, http

    def consents(self, order: SignedOrder, citizen_number: str) -> dict[str, Any] | Refused:
        """Keys and live consents of the person; each order serves once."""
        reply = self._post("/v1/counter/consents", order_body(order, citizen_number))
        return refused(reply) if is_problem(reply) else json_object(reply, 200)

    def withdraw(self, order: SignedOrder, citizen_number: str) -> Recorded | Refused:
        """Withdraw the consent that the order names."""
        body = order_body(order, citizen_number)
        return recorded(self._pins, self._post("/v1/withdrawals", body), body, "withdrawn")

    def revoke(self, order: SignedOrder, citizen_number: str) -> tuple[RevokedKey, ...] | Refused:
        """Revoke the key that the order names, or all that the person had when it was made."""
        return revoked_keys(self._post("/v1/keys/revocations", order_body(order, citizen_number)))

    def _post(self, path: str, body: Mapping[str, Any]) -> Reply:
        target = target_uri(self._base_url, path)
        return exchange(self._http, "POST", target, canonical(dict(body)), dict(_HEADERS))


def order_body(order: SignedOrder, citizen_number: str) -> dict[str, Any]:
    """The body that hands in an order, `{document, signatures, officers, citizen_number}`."""
    return {
        "document": order.document,
        "signatures": list(order.signatures),
        "officers": list(order.officers),
        "citizen_number": citizen_number,
    }
