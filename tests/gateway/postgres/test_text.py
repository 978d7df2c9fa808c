"""PostgreSQL stores no NUL in text: a request with one is refused for its form, and breaks no batch."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from keys.instant import format_instant
from tests.gateway import kit
from tests.gateway.world import DAY_MS, Citizen, World


def spoiled(body: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The body as often as it has strings, each time with a NUL in another one."""
    if isinstance(body, str):
        yield path, f"{body[:1]}\x00{body[1:]}"
    elif isinstance(body, dict):
        for name, value in body.items():
            for where, other in spoiled(value, f"{path}/{name}"):
                yield where, body | {name: other}
    elif isinstance(body, list):
        for place, value in enumerate(body):
            for where, other in spoiled(value, f"{path}/{place}"):
                yield where, [*body[:place], other, *body[place + 1 :]]


def ask(world: World) -> dict[str, Any]:
    at = world.clock()
    return {
        "request_id": str(uuid.uuid4()),
        "person": {"citizen_number": kit.NUMBER, "name": "测试"},
        "purpose": "02",
        "categories": ["loan", "repayment"],
        "answer": "report",
        "not_before": format_instant(at),
        "not_after": format_instant(at + DAY_MS),
        "max_uses": 1,
        "retention_days": 30,
        "language": "zh-CN",
        "case_ref": "case 7",
    }


def statutory() -> dict[str, Any]:
    body = kit.query_body(None, purpose="91", person_check={"citizen_number": kit.NUMBER, "name": "测试"})
    return body | {"statute": {"code": "court-91", "document": "(2026) 7"}, "case_ref": "case 7"}


@pytest.fixture(scope="module")
def citizen(shared: World) -> Citizen:
    return shared.citizen(kit.OTHER_NUMBER)


def test_no_text_of_a_request_reaches_the_database_with_a_nul(shared: World, citizen: Citizen) -> None:
    world = shared
    consent = world.consent(citizen)
    asked = world.ask(citizen)
    grant = world.wallet.sign_consent(asked.template, citizen.key)
    withdrawal = world.wallet.sign_withdrawal_of(consent, world.house.origin, citizen.key)
    person = {"person_check": {"citizen_number": kit.OTHER_NUMBER, "name": "测试"}}
    banks = {
        "/v1/consent-requests": ask(world),
        "/v1/queries": kit.query_body(consent, case_ref="case 7", **person),
        "/v1/queries?": statutory(),
    }
    citizens = {
        "/v1/consents": grant,
        "/v1/withdrawals": withdrawal,
        f"/v1/consent-requests/{asked.request_id}/decline": {
            "request_id": asked.request_id,
            "document_sha256": "0" * 64,
        },
        "/v1/enrolments": {"certificate": "{}", "citizen_number": kit.NUMBER},
        "/v1/challenges": {"document": {"type": "x"}},
    }
    tried = 0
    for prepare, key, bodies in (
        (kit.prepare, world.bank_key, banks),
        (kit.citizens_request, citizen.key, citizens),
    ):
        for path, whole in bodies.items():
            for where, body in spoiled(whole):
                reply = prepare(world, key, "POST", path.rstrip("?"), body).send()
                assert reply.status_code < 500, (path, where, reply.text)
                tried += 1
    assert tried > 30
    assert world.query(consent) is not None
