"""Bodies: strict JSON of known members; what does not parse is 400 and leaves no leaf."""

from __future__ import annotations

import inspect
import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from gateway.consents.bodies import ConsentRequest, Signed
from gateway.http.whole import MAX_BODY
from gateway.http.wire import RULES
from gateway.notices.contacts import ContactBody
from gateway.query.request import Query
from tests.gateway import kit
from tests.gateway.world import World, new_world


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with new_world(tmp_path_factory.mktemp("http") / "home") as made:
        yield made


BODIES: dict[str, Any] = {
    "no-object": [],
    "text": b"consent",
    "not-utf8": b'{"purpose":"\xff"}',
    "a-float": b'{"query_id": 1.5}',
    "null": {"query_id": "x"} | {"purpose": "02"},
    "duplicate-member": b'{"purpose":"02","purpose":"03"}',
    "deep": b"[" * 5_000 + b"]" * 5_000,
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_body_that_does_not_parse_is_400_without_a_leaf(shared: World, body: Any) -> None:
    before = kit.size(shared.house)
    reply = kit.prepare(shared, shared.bank_key, "POST", "/v1/queries", body).send()
    kit.check_problem(reply, 400, "malformed-body")
    assert kit.size(shared.house) == before


MEMBERS: dict[str, dict[str, Any]] = {
    "unknown-member": {kit.PRIVATE: kit.PRIVATE},
    "unknown-member-ascii": {"note": kit.PRIVATE},
    "statute-as-well": {"statute": "criminal-procedure-144"},
    "upper-case-uuid": {"query_id": str(uuid.uuid4()).upper()},
    "purpose-of-three": {"purpose": "002"},
    "no-category": {"categories": []},
    "categories-unsorted": {"categories": ["repayment", "loan"]},
    "categories-twice": {"categories": ["loan", "loan"]},
    "category-with-a-name-in-it": {"categories": [kit.PRIVATE]},
    "number-as-number": {"purpose": 2},
    "unknown-in-person": {"person_check": {"citizen_number": "1", "sex": kit.PRIVATE}},
    "long-case-ref": {"case_ref": "x" * 129},
}


@pytest.mark.parametrize("change", MEMBERS.values(), ids=MEMBERS.keys())
def test_a_member_that_is_not_of_the_api_is_400_without_a_leaf(shared: World, change: dict[str, Any]) -> None:
    before = kit.size(shared.house)
    content = json.dumps(kit.query_body(str(uuid.uuid4())) | change, ensure_ascii=False).encode()
    reply = kit.prepare(shared, shared.bank_key, "POST", "/v1/queries", content).send()
    kit.check_problem(reply, 400, "malformed-body")
    assert kit.size(shared.house) == before


QUERY_RULES: dict[str, tuple[dict[str, Any], str, str | None]] = {
    "missing": ({"purpose": None}, "$.purpose", "missing"),
    "missing-in-person": ({"person_check": {"name": "x"}}, "$.person_check.citizen_number", "missing"),
    "unknown": ({"note": kit.PRIVATE}, "$", "unknown-member"),
    "unknown-like-a-path": ({"person_check": {"x` - at `$.y": 1}}, "$", "unknown-member"),
    "unsorted": ({"categories": ["repayment", "loan"]}, "$.categories", "sorted"),
    "neither": ({"consent_id": None}, "$", "consent-or-statute"),
    "nobody": ({"consent_id": None, "statute": {"code": "a", "document": "b"}}, "$.person_check", "required"),
    "type": ({"purpose": 2}, "$.purpose", None),
}


@pytest.mark.parametrize(("change", "field", "rule"), QUERY_RULES.values(), ids=QUERY_RULES.keys())
def test_a_body_that_is_wrong_is_told_where_and_by_what_rule(
    shared: World, change: dict[str, Any], field: str, rule: str | None
) -> None:
    members = kit.query_body(str(uuid.uuid4())) | change
    members = {name: value for name, value in members.items() if value is not None}
    content = json.dumps(members, ensure_ascii=False).encode()
    reply = kit.prepare(shared, shared.bank_key, "POST", "/v1/queries", content).send()
    kit.check_problem(reply, 400, "malformed-body")
    assert (reply.json()["field"], reply.json().get("rule")) == (field, rule)


def test_what_a_shape_says_of_itself_has_a_rule() -> None:
    """A new rule of a shape is told to the client, not lost."""
    sources = [inspect.getsource(shape) for shape in (Query, ConsentRequest, Signed, ContactBody)]
    said = {text for source in sources for text in re.findall(r'raise ValueError\("(.+?)"\)', source)}
    assert said == RULES.keys()


def test_an_unknown_member_is_refused_by_every_route_that_reads_a_body(shared: World) -> None:
    citizen = shared.citizen(kit.NUMBER)
    asked = shared.ask(citizen)
    bodies = {
        "/v1/consents": shared.wallet.sign_consent(asked.template, citizen.key),
        "/v1/withdrawals": shared.wallet.sign_withdrawal_of(
            asked.consent_id, shared.house.origin, citizen.key
        ),
        f"/v1/consent-requests/{asked.request_id}/decline": {
            "request_id": asked.request_id,
            "document_sha256": asked.document_sha256,
        },
    }
    before = kit.size(shared.house)
    for path, body in bodies.items():
        reply = kit.citizens_request(shared, citizen.key, "POST", path, {**body, "more": 1}).send()
        kit.check_problem(reply, 400, "malformed-body")
    assert kit.size(shared.house) == before


def test_another_media_type_is_415(shared: World) -> None:
    for media in ("text/plain", "application/json; charset=utf-8", "application/x-www-form-urlencoded"):
        body = kit.query_body(str(uuid.uuid4()))
        reply = kit.prepare(shared, shared.bank_key, "POST", "/v1/queries", body, media=media).send()
        kit.check_problem(reply, 415, "unsupported-media-type")


def test_a_body_that_is_too_large_is_413(shared: World) -> None:
    body = b'{"purpose":"' + b"0" * MAX_BODY + b'"}'
    kit.check_problem(
        kit.prepare(shared, shared.bank_key, "POST", "/v1/queries", body).send(), 413, "body-too-large"
    )
    large = httpx.post(shared.url + "/v1/consents", content=body, headers={"Content-Type": kit.JSON})
    kit.check_problem(large, 413, "body-too-large")
