"""Statutory queries (法定查询): one operator submits, another approves, the first collects.

Invariant: an approver signs for the request they hold, by a hash they worked out themselves. An answer, or a
refusal, is believed only with its receipt, as everywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from gateway.client.bank import Answer, BankClient, Person
from gateway.client.errors import EvidenceFailed, UnexpectedReply
from gateway.client.reply import Refused, is_problem, json_object, read_as
from gateway.client.sealed import content_of
from gateway.http.pending import request_sha256


@dataclass(frozen=True, slots=True)
class Order:
    """The power to ask: the statute's code in the policy, and the number of the document that orders it.

    `defer` asks that the person's own list leaves the query out for as long as the statute allows.
    """

    code: str
    document: str
    defer: bool = False

    def __repr__(self) -> str:
        return f"Order(code={self.code!r})"  # the document's number is the case's

    def members(self) -> dict[str, object]:
        named: dict[str, object] = {"code": self.code, "document": self.document}
        return named | ({"defer": True} if self.defer else {})


class Waiting(msgspec.Struct, frozen=True):
    """A query that waits for its approver, until `approve_before` (RFC 3339, exclusive)."""

    query_id: str
    state: str
    request_sha256: str
    approve_before: str
    index: int


class Settled(msgspec.Struct, frozen=True):
    """What an approver's word made of a query: `approved` or `denied`, by the leaf at `index`."""

    query_id: str
    state: str
    index: int


class StatutoryClient(BankClient):
    """One operator of an institution that holds a statute; who submits and who approves are two.

    Raises Unreachable, UnexpectedReply, EvidenceFailed; refusals come back as `Refused`.
    """

    def submit(self, request: Mapping[str, Any]) -> Waiting | Refused:
        """Submit what `statutory_request` made. The same again changes nothing and is answered the same."""
        reply = self._channel.post("/v1/queries", dict(request))
        if is_problem(reply):
            return self._refused(reply, request["query_id"])
        waiting = read_as(json_object(reply, 202), Waiting)
        if waiting.query_id != request["query_id"]:
            raise UnexpectedReply("the reply is of another query")
        if waiting.request_sha256 != request_sha256(request):
            raise EvidenceFailed("the request that waits is not the one that was sent")
        return waiting

    def settle(self, request: Mapping[str, Any], decision: Literal["approve", "deny"]) -> Settled | Refused:
        """Approve or deny another operator's request, which the approver holds and has read."""
        query = request.get("query_id")
        if not isinstance(query, str):
            raise ValueError("a request names its query_id")
        body = {"query_id": query, "request_sha256": request_sha256(request), "decision": decision}
        reply = self._channel.post(f"/v1/queries/{query}/approval", body)
        if is_problem(reply):
            return self._refused(reply, query)
        settled = read_as(json_object(reply, 200), Settled)
        expected = "approved" if decision == "approve" else "denied"
        if (settled.query_id, settled.state) != (query, expected):
            raise UnexpectedReply("the reply is of another query or decision")
        return settled

    def collect(self, query_id: str) -> Answer | Waiting | Refused:
        """The answer to one's own query, or what it waits for; each delivery is in the ledger."""
        reply = self._channel.get(f"/v1/queries/{query_id}")
        if is_problem(reply):
            return self._refused(reply, query_id)
        if reply.status == 202:
            waiting = read_as(json_object(reply, 202), Waiting)
            if waiting.query_id != query_id:
                raise UnexpectedReply("the reply is of another query")
            return waiting
        disclosed = json_object(reply, 200)
        content = content_of(disclosed, self._encryption_key)
        return Answer(content, self.pins.disclosure(disclosed.get("receipt"), query_id, content))


def statutory_request(
    query_id: str,
    order: Order,
    purpose: str,
    categories: Collection[str],
    person: Person,
    *,
    answer: str = "report",
    case_ref: str | None = None,
) -> dict[str, Any]:
    """The body of a statutory query: what is submitted, and what its approver is handed to read."""
    body: dict[str, Any] = {
        "query_id": query_id,
        "statute": order.members(),
        "purpose": purpose,
        "categories": sorted(set(categories)),
        "answer": answer,
        "person_check": person.members(),
    }
    return body | ({} if case_ref is None else {"case_ref": case_ref})
