"""Every reason for refusing a request for consent, produced over HTTP, before anybody is looked for."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from consent.decision import Reason
from gateway.client.bank import Person
from gateway.institutions.register import add_operator, reinstate, suspend
from keys.signing import parse_public_jwk
from tests.gateway import kit
from tests.gateway.world import BANK, DAY_MS, SettableClock, World, fresh_key, new_world

_FAR = SettableClock()() + 400 * DAY_MS
ASKED: dict[Reason, dict[str, Any]] = {
    Reason.PURPOSE_UNKNOWN: {"purpose": "99"},
    Reason.CATEGORY_UNKNOWN: {"categories": ("horoscope", "loan")},
    Reason.CATEGORY_NOT_PERMITTED: {"categories": ("honour", "loan")},
    Reason.CATEGORY_MISSING: {"categories": ("repayment",)},
    Reason.ANSWER_NOT_OFFERED: {"answer": "predicate:no-arrears"},
    Reason.EXPIRED: {"not_before": 1_000, "not_after": 2_000},
    Reason.VALIDITY_TOO_LONG: {"not_after": _FAR},
    Reason.USES_TOO_MANY: {"max_uses": 11},
    Reason.RETENTION_TOO_LONG: {"retention_days": 93},
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, engine: str) -> Iterator[World]:
    with new_world(tmp_path_factory.mktemp("requests") / "home") as made:
        yield made


def refuse(world: World, key: Any = None, **terms: Any) -> Any:
    with world.bank(key) as bank:
        return bank.request_consent(str(uuid.uuid4()), Person(kit.NUMBER), world.terms(**terms))


@pytest.mark.parametrize("reason", ASKED, ids=[reason.value for reason in ASKED])
def test_a_consent_request_is_refused_with_receipt_and_leaf(shared: World, reason: Reason) -> None:
    before = len(kit.of_type(shared.house, "query.refused"))
    kit.check_refused(shared, refuse(shared, **ASKED[reason]), reason.value)
    assert len(kit.of_type(shared.house, "query.refused")) == before + 1
    assert not kit.insider(shared.house, "SELECT 1 FROM consent_requests")


def test_a_suspended_bank_asks_nobody(shared: World) -> None:
    suspend(shared.house, "institution", BANK, "audit-failed")
    refused = refuse(shared)
    reinstate(shared.house, "institution", BANK, "audit-passed")
    kit.check_refused(shared, refused, "institution-suspended")


def test_a_suspended_operator_asks_nobody(shared: World) -> None:
    suspend(shared.house, "operator", shared.operators[BANK], "left")
    refused = refuse(shared)
    reinstate(shared.house, "operator", shared.operators[BANK], "back")
    kit.check_refused(shared, refused, "operator-suspended")


def test_an_administrator_asks_nobody(shared: World) -> None:
    key = fresh_key()
    add_operator(shared.house, BANK, parse_public_jwk(key.jwk), ["admin"])
    kit.check_refused(shared, refuse(shared, key), "role-not-permitted")
