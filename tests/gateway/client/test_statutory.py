"""The statutory client believes a reply only about its own request, and an answer only with its receipt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from consent.receipt import RECEIPT_TYP, Receipt, format_receipt
from gateway.client import Answer, EvidenceFailed, Person, Refused, UnexpectedReply
from gateway.client.statutory import Order, Settled, StatutoryClient, Waiting, statutory_request
from gateway.http.pending import request_sha256
from gateway.http.problems import PROBLEMS
from keys.canonical import canonical, sha256_hex
from keys.jws import sign_jws
from keys.signing import parse_public_jwk
from tests.gateway.client.stand_in import (
    CONTENT,
    LOG,
    NOW_MS,
    NUMBER,
    OPERATOR_KEY,
    QUERY_ID,
    RECEIPT_KEY,
    URL,
    VKEY,
)

REQUEST = statutory_request(
    QUERY_ID, Order("civil-procedure-253", "（2026）琼01执123号"), "91", ("loan", "judgment"), Person(NUMBER)
)
WAITING = {
    "query_id": QUERY_ID,
    "state": "pending",
    "request_sha256": request_sha256(REQUEST),
    "approve_before": "2026-11-22T08:00:00.000Z",
    "index": 7,
}


def client(status: int, members: dict[str, Any], sent: list[httpx.Request] | None = None) -> StatutoryClient:
    """A client of a gateway that always replies this."""

    def serve(request: httpx.Request) -> httpx.Response:
        if sent is not None:
            sent.append(request)
        kind = "application/problem+json" if status >= 400 else "application/json"
        return httpx.Response(status, content=canonical(members), headers={"Content-Type": kind})

    return StatutoryClient(
        URL,
        OPERATOR_KEY,
        VKEY,
        parse_public_jwk(RECEIPT_KEY.jwk),
        http=httpx.Client(transport=httpx.MockTransport(serve)),
        clock=lambda: NOW_MS,
    )


def receipt(decision: Any = "redelivered", **changes: Any) -> str:
    members: dict[str, Any] = {
        "query_id": QUERY_ID,
        "answer_sha256": sha256_hex(canonical(CONTENT)),
    } | changes
    made = Receipt(log=LOG, index=9, leaf="00" * 32, at=NOW_MS, decision=decision, **members)
    return sign_jws(format_receipt(made), RECEIPT_KEY, RECEIPT_TYP)


def test_a_request_says_what_is_asked_and_of_whom_and_leaves_out_what_is_not() -> None:
    assert REQUEST["categories"] == ["judgment", "loan"]
    assert REQUEST["statute"] == {"code": "civil-procedure-253", "document": "（2026）琼01执123号"}
    assert REQUEST["person_check"] == {"citizen_number": NUMBER}
    assert "case_ref" not in REQUEST
    covert = statutory_request(QUERY_ID, Order("c", "d", defer=True), "91", ("loan",), Person(NUMBER))
    assert covert["statute"]["defer"] is True


def test_the_hash_that_an_approver_signs_is_of_every_member() -> None:
    whole = request_sha256(REQUEST)
    assert whole == request_sha256(dict(reversed(REQUEST.items())))
    for name in REQUEST:
        changed = REQUEST | {name: "other"}
        assert request_sha256(changed) != whole


def test_no_repr_tells_the_case() -> None:
    assert "琼" not in repr(Order("civil-procedure-253", "（2026）琼01执123号"))


def test_a_submission_is_answered_about_the_very_request() -> None:
    sent: list[httpx.Request] = []
    assert client(202, WAITING, sent).submit(REQUEST) == Waiting(**WAITING)
    assert sent[0].read() == canonical(REQUEST)
    with pytest.raises(EvidenceFailed):
        client(202, WAITING | {"request_sha256": "0" * 64}).submit(REQUEST)
    with pytest.raises(UnexpectedReply):
        client(202, WAITING | {"query_id": "00000000-0000-4000-8000-00000000ffff"}).submit(REQUEST)
    with pytest.raises(UnexpectedReply):
        client(200, WAITING).submit(REQUEST)


@pytest.mark.parametrize(("decision", "state"), [("approve", "approved"), ("deny", "denied")])
def test_an_approver_signs_for_the_request_they_hold(decision: Any, state: str) -> None:
    sent: list[httpx.Request] = []
    said = {"query_id": QUERY_ID, "state": state, "index": 8}
    assert client(200, said, sent).settle(REQUEST, decision) == Settled(QUERY_ID, state, 8)
    assert sent[0].url.path == f"/v1/queries/{QUERY_ID}/approval"
    assert sent[0].read() == canonical(
        {"query_id": QUERY_ID, "request_sha256": request_sha256(REQUEST), "decision": decision}
    )
    other = "denied" if state == "approved" else "approved"
    for lie in ({"state": other}, {"query_id": "00000000-0000-4000-8000-00000000ffff"}):
        with pytest.raises(UnexpectedReply):
            client(200, said | lie).settle(REQUEST, decision)


def test_what_is_collected_waits_or_is_covered_by_its_receipt() -> None:
    assert client(202, WAITING).collect(QUERY_ID) == Waiting(**WAITING)
    answer = client(200, {"answer": CONTENT, "receipt": receipt()}).collect(QUERY_ID)
    assert isinstance(answer, Answer)
    assert answer.answer == CONTENT
    with pytest.raises(UnexpectedReply):
        client(202, WAITING | {"query_id": "00000000-0000-4000-8000-00000000ffff"}).collect(QUERY_ID)


LIES: dict[str, Callable[[], dict[str, Any]]] = {
    "another-answer": lambda: {"answer": CONTENT | {"more": 1}, "receipt": receipt()},
    "another-query": lambda: {
        "answer": CONTENT,
        "receipt": receipt(query_id="00000000-0000-4000-8000-00000000ffff"),
    },
    "a-refusal": lambda: {
        "answer": CONTENT,
        "receipt": receipt("refused", reason="approval-denied", answer_sha256=None),
    },
    "no-receipt": lambda: {"answer": CONTENT},
}


@pytest.mark.parametrize("lie", LIES)
def test_an_answer_that_its_receipt_does_not_cover_is_not_believed(lie: str) -> None:
    with pytest.raises(EvidenceFailed):
        client(200, LIES[lie]()).collect(QUERY_ID)


@pytest.mark.parametrize("name", ["approval-denied", "approval-lapsed", "answer-gone"])
def test_a_refusal_is_believed_with_its_own_receipt_only(name: str) -> None:
    told = PROBLEMS[name].members(receipt("refused", reason=name, answer_sha256=None))
    refused = client(403, told).collect(QUERY_ID)
    assert isinstance(refused, Refused)
    assert refused.receipt is not None
    assert (refused.problem.name, refused.receipt.index) == (name, 9)
    for lie in (PROBLEMS[name].members(), PROBLEMS["withdrawn"].members(told["receipt"])):  # type: ignore[arg-type]
        with pytest.raises(EvidenceFailed):
            client(403, lie).collect(QUERY_ID)
