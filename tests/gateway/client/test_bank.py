"""The bank's client believes only what the pinned keys signed, and returns refusals as values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from consent.document import parse_template
from gateway.client import (
    Answer,
    BankClient,
    ConsentRequested,
    EvidenceFailed,
    Person,
    Refused,
    RequestState,
    UnexpectedReply,
    Unreachable,
)
from gateway.http.signature import SignatureRefused
from keys.canonical import sha256_hex
from keys.signing import parse_public_jwk
from tests.gateway.client.stand_in import (
    BANK,
    CONSENT_ID,
    CONTENT,
    FOREIGN_KEY,
    NUMBER,
    OPERATOR_KEY,
    QUERY_ID,
    RECEIPT_KEY,
    REQUEST_ID,
    TEMPLATE,
    TERMS,
    URL,
    VKEY,
    StandIn,
)

ZERO = "00" * 32
OTHER_ID = "00000000-0000-4000-8000-00000000ffff"


def query(bank: BankClient) -> Answer | Refused:
    return bank.query(QUERY_ID, CONSENT_ID, "02", ["loan"])


def answered(gateway: StandIn) -> Answer:
    outcome = query(gateway.bank())
    assert isinstance(outcome, Answer)
    return outcome


def test_an_answer_comes_with_the_receipt_that_covers_it() -> None:
    answer = answered(StandIn())
    assert answer.answer == CONTENT
    assert (answer.receipt.decision, answer.receipt.query_id) == ("disclosed", QUERY_ID)


def test_the_body_is_sorted_and_without_what_was_not_given() -> None:
    gateway = StandIn()
    gateway.bank().query(QUERY_ID, CONSENT_ID, "02", ["loan", "judgment", "loan"])
    assert gateway.bodies == [
        {
            "query_id": QUERY_ID,
            "consent_id": CONSENT_ID,
            "purpose": "02",
            "categories": ["judgment", "loan"],
            "answer": "report",
        }
    ]


def test_every_request_has_its_own_nonce() -> None:
    gateway = StandIn()
    bank = gateway.bank()
    for _ in range(3):
        query(bank)
    assert len(gateway.nonces) == 3


def test_a_key_the_gateway_does_not_know_does_not_pass_its_verifier() -> None:
    with pytest.raises(SignatureRefused):
        query(StandIn().bank(FOREIGN_KEY))


@pytest.mark.parametrize(
    "lie",
    [
        lambda members: members["answer"].update(extra=1),
        lambda members: members["answer"]["categories"]["loan"][0].update(amount=1),
        lambda members: members.pop("receipt"),
        lambda members: members.update(receipt=members["receipt"][:-4] + "AAAA"),
        lambda members: members.update(receipt=7),
    ],
)
def test_an_answer_that_its_receipt_does_not_cover_raises(lie: Callable[[dict[str, Any]], None]) -> None:
    gateway = StandIn()
    gateway.lie = lie
    with pytest.raises(EvidenceFailed):
        query(gateway.bank())


@pytest.mark.parametrize(
    "members",
    [
        {"log": "other.example.cn/log0"},
        {"query_id": OTHER_ID},
        {"answer_sha256": ZERO},
        {"decision": "predicate"},
        {"decision": "refused", "reason": "no-consent", "answer_sha256": None},
    ],
)
def test_a_receipt_of_something_else_raises(members: dict[str, Any]) -> None:
    gateway = StandIn()
    gateway.receipt_lie = members
    with pytest.raises(EvidenceFailed):
        query(gateway.bank())


def test_a_receipt_by_another_key_raises() -> None:
    gateway = StandIn()
    gateway.receipt_key = FOREIGN_KEY
    with pytest.raises(EvidenceFailed):
        query(gateway.bank())


def test_a_refusal_is_a_value_with_its_receipt() -> None:
    gateway = StandIn()
    gateway.refuse = "withdrawn"
    outcome = query(gateway.bank())
    assert isinstance(outcome, Refused)
    assert (outcome.problem.name, outcome.problem.status) == ("withdrawn", 403)
    assert outcome.receipt is not None
    assert (outcome.receipt.decision, outcome.receipt.reason) == ("refused", "withdrawn")


def test_a_refused_request_for_consent_is_recorded_under_its_request_id() -> None:
    gateway = StandIn()
    gateway.refuse = "category-missing"
    outcome = gateway.bank().request_consent(REQUEST_ID, Person(NUMBER), TERMS)
    assert isinstance(outcome, Refused)
    assert outcome.receipt is not None
    assert outcome.receipt.query_id == REQUEST_ID


@pytest.mark.parametrize(
    "lie",
    [
        lambda members: members.pop("receipt"),
        lambda members: members.update(type="urn:chengxin:problem:no-consent"),
        lambda members: members.update(receipt="a.b.c"),
    ],
)
def test_a_refusal_without_its_own_receipt_raises(lie: Callable[[dict[str, Any]], None]) -> None:
    gateway = StandIn()
    gateway.refuse = "expired"
    gateway.lie = lie
    with pytest.raises(EvidenceFailed):
        query(gateway.bank())


def test_a_reused_query_id_is_refused_with_a_receipt() -> None:
    gateway = StandIn()
    gateway.refuse = "query-id-reused"
    outcome = query(gateway.bank())
    assert isinstance(outcome, Refused)
    assert outcome.receipt is not None


@pytest.mark.parametrize("name", ["bad-signature", "not-ready", "malformed-body"])
def test_what_no_leaf_records_is_refused_without_a_receipt(name: str) -> None:
    gateway = StandIn()
    gateway.refuse = name
    outcome = query(gateway.bank())
    assert isinstance(outcome, Refused)
    assert (outcome.problem.name, outcome.receipt) == (name, None)


def test_a_known_problem_is_told_in_our_own_words() -> None:
    gateway = StandIn()
    gateway.refuse = "not-ready"
    gateway.lie = lambda members: members.update(title="\x1b[2J owned", hint="call 12345")
    outcome = query(gateway.bank())
    assert isinstance(outcome, Refused)
    assert outcome.problem.title_en == "The gateway is not ready"
    assert outcome.problem.retry_after == 5


def test_an_unknown_problem_is_told_without_control_characters() -> None:
    gateway = StandIn()
    gateway.refuse = "not-ready"
    gateway.lie = lambda members: members.update(type="urn:chengxin:problem:new", title="\x1b[2Jnew")
    outcome = query(gateway.bank())
    assert isinstance(outcome, Refused)
    assert (outcome.problem.name, outcome.problem.title_en) == ("new", "[2Jnew")


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(200, text="<html>"),
        httpx.Response(200, headers={"Content-Type": "application/json"}, text='{"answer":1.5}'),
        httpx.Response(200, headers={"Content-Type": "application/json"}, text="[]"),
        httpx.Response(200, headers={"Content-Type": "application/json"}, text="{}"),
        httpx.Response(201, headers={"Content-Type": "application/json"}, text="{}"),
        httpx.Response(302, headers={"Location": "https://elsewhere.example/"}),
        httpx.Response(403, headers={"Content-Type": "application/problem+json"}, text="{}"),
        httpx.Response(200, headers={"Content-Type": "application/problem+json"}, text="{}"),
        httpx.Response(
            500,
            headers={"Content-Type": "application/problem+json"},
            text='{"type":"urn:chengxin:problem:no-consent"}',
        ),
    ],
)
def test_a_reply_outside_the_api_raises(response: httpx.Response) -> None:
    http = httpx.Client(transport=httpx.MockTransport(lambda request: response))
    bank = BankClient(URL, OPERATOR_KEY, VKEY, parse_public_jwk(RECEIPT_KEY.jwk), http=http)
    with pytest.raises(UnexpectedReply):
        query(bank)


def test_no_reply_is_told_apart_from_a_refusal() -> None:
    def lost(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("timed out")

    http = httpx.Client(transport=httpx.MockTransport(lost))
    bank = BankClient(URL, OPERATOR_KEY, VKEY, parse_public_jwk(RECEIPT_KEY.jwk), http=http)
    with pytest.raises(Unreachable):
        query(bank)


def test_the_document_to_sign_is_the_one_asked_for() -> None:
    gateway = StandIn()
    outcome = gateway.bank().request_consent(REQUEST_ID, Person(NUMBER, "张三"), TERMS, case_ref="A-1")
    assert isinstance(outcome, ConsentRequested)
    assert parse_template(outcome.template) == TEMPLATE
    assert outcome.document_sha256 == sha256_hex(outcome.template)
    assert gateway.bodies[0]["person"] == {"citizen_number": NUMBER, "name": "张三"}
    assert gateway.bodies[0]["not_after"] == "2026-11-22T08:00:00.000Z"


@pytest.mark.parametrize(
    "asked",
    [
        {"categories": ("loan",)},
        {"purpose": "03"},
        {"max_uses": 2},
        {"retention_days": 31},
        {"not_after": TERMS.not_after + 1},
        {"language": "en"},
    ],
)
def test_a_document_with_other_terms_raises(asked: dict[str, Any]) -> None:
    with pytest.raises(EvidenceFailed):
        StandIn().bank().request_consent(REQUEST_ID, Person(NUMBER), replace(TERMS, **asked))


@pytest.mark.parametrize(
    "lie",
    [
        lambda members: members.update(notice_text="something harmless"),
        lambda members: members.update(document_sha256=ZERO),
        lambda members: members.update(consent_id=OTHER_ID),
        lambda members: members.update(request_id=OTHER_ID),
        lambda members: members["document"].update(gateway="other.example.cn/log0"),
        lambda members: members["document"].update(max_uses=9),
    ],
)
def test_a_reply_that_contradicts_itself_raises(lie: Callable[[dict[str, Any]], None]) -> None:
    gateway = StandIn()
    gateway.lie = lie
    with pytest.raises(EvidenceFailed):
        gateway.bank().request_consent(REQUEST_ID, Person(NUMBER), TERMS)


def test_the_state_of_a_request_and_of_a_consent_can_be_read() -> None:
    bank = StandIn().bank()
    state = bank.consent_request(REQUEST_ID)
    assert isinstance(state, RequestState)
    assert (state.state, state.consent_id) == ("requested", None)
    assert state.template is not None
    assert parse_template(state.template) == TEMPLATE
    assert bank.consent(CONSENT_ID) == {"consent_id": CONSENT_ID, "state": "granted"}


def test_persons_and_answers_do_not_print() -> None:
    assert NUMBER not in repr(Person(NUMBER, "张三"))
    assert "5000" not in repr(answered(StandIn()))
    assert BANK not in repr(Person(NUMBER))
