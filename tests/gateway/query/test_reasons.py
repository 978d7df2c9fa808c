"""Every reason for which a query is refused, produced over HTTP: signed receipt, leaf, nothing disclosed."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from consent.decision import Reason
from consent.policy import default_policy
from gateway.client.bank import Answer, BankClient, Person
from gateway.client.reply import Refused
from gateway.house import House
from gateway.institutions.register import add_operator, reinstate, suspend
from gateway.tables import citizen_keys, grants
from gateway.transaction import Transaction
from keys.instant import HOUR
from keys.signing import parse_public_jwk
from tests.gateway import kit
from tests.gateway.query.asked import answered_before_a_term_ends
from tests.gateway.world import BANK, DAY_MS, World, fresh_key, new_world

Scenario = Callable[[World], Any]
SCENARIOS: dict[Reason, Scenario] = {}
ELSEWHERE = {
    Reason.PURPOSE_OFF: "needs a policy with nothing switched on: its own test below",
    Reason.CATEGORY_MISSING: "a query names at least one category by its form; see consent requests",
    Reason.CATEGORY_NOT_PERMITTED: "no consent can name such a category; asked for in a consent request",
    Reason.ANSWER_NOT_OFFERED: "no consent can name such an answer; asked for in a consent request",
    Reason.VALIDITY_TOO_LONG: "of a consent request",
    Reason.USES_TOO_MANY: "of a consent request",
    Reason.RETENTION_TOO_LONG: "of a consent request",
    Reason.APPROVAL_DENIED: "of a statutory query: statutory/test_path.py",
    Reason.APPROVAL_LAPSED: "of a statutory query: statutory/test_refusals.py",
}
STATUTORY = {Reason.APPROVAL_DENIED, Reason.APPROVAL_LAPSED}
"""Produced, with receipt and leaf, by the tests of statutory queries."""


def scenario(reason: Reason) -> Callable[[Scenario], Scenario]:
    def put(act: Scenario) -> Scenario:
        SCENARIOS[reason] = act
        return act

    return put


def consent_of_somebody(world: World, **terms: Any) -> str:
    return world.consent(world.citizen(kit.person(len(kit.leaves(world.house)))), **terms)


def stored_by_the_house(house: House, table: Any, where: Any, **changes: Any) -> None:
    """What a later part's own transaction does: the row changed and protected under the leaf it names."""

    def act(tx: Transaction) -> None:
        row = dict(tx.conn.execute(table.select().where(where)).mappings().one())
        changed = tx.protect(table, {**row, **changes}, tx.entry(row["changed_index"]))
        tx.conn.execute(table.update().where(where).values(**changed))

    house.transact(act, seals=False)


@scenario(Reason.INSTITUTION_SUSPENDED)
def suspended_bank(world: World) -> Any:
    consent = consent_of_somebody(world)
    suspend(world.house, "institution", BANK, "audit-failed")
    try:
        return world.query(consent)
    finally:
        reinstate(world.house, "institution", BANK, "audit-passed")


@scenario(Reason.OPERATOR_SUSPENDED)
def suspended_operator(world: World) -> Any:
    consent = consent_of_somebody(world)
    suspend(world.house, "operator", world.operators[BANK], "left")
    try:
        return world.query(consent)
    finally:
        reinstate(world.house, "operator", world.operators[BANK], "back")


@scenario(Reason.ROLE_NOT_PERMITTED)
def administrator(world: World) -> Any:
    key = fresh_key()
    add_operator(world.house, BANK, parse_public_jwk(key.jwk), ["admin"])
    with world.bank(key) as bank:
        return world.query(consent_of_somebody(world), bank)


@scenario(Reason.QUERY_ID_REUSED)
def same_id_again(world: World) -> Any:
    consent, query = consent_of_somebody(world), str(uuid.uuid4())
    assert isinstance(world.query(consent, query_id=query), Answer)
    return world.query(consent, query_id=query, categories=("loan",))


@scenario(Reason.PURPOSE_UNKNOWN)
def purpose_of_nobody(world: World) -> Any:
    return world.query(consent_of_somebody(world), purpose="99")


@scenario(Reason.STATUTE_NOT_HELD)
def under_a_statute(world: World) -> Any:
    named = {"code": "criminal-procedure-144", "document": "none of its pattern"}
    check = {"citizen_number": kit.NUMBER}
    body = kit.query_body(None, statute=named, purpose="92", person_check=check)
    leaf = kit.check_refusal(world, kit.post_query(world, body), "statute-not-held", body["query_id"])
    assert leaf.subject is not None
    return None


@scenario(Reason.NO_CONSENT)
def another_banks_consent(world: World) -> Any:
    return world.query(consent_of_somebody(world), world.bank(world.other_key))


@scenario(Reason.EVIDENCE_BROKEN)
def count_set_back(world: World) -> Any:
    consent = consent_of_somebody(world)
    world.query(consent)
    kit.insider(world.house, "UPDATE grants SET uses = 0 WHERE consent = ?", [consent])
    return world.query(consent)


@scenario(Reason.PERSON_MISMATCH)
def another_person_meant(world: World) -> Any:
    return world.query(consent_of_somebody(world), person_check=Person(kit.NUMBER))


@scenario(Reason.KEY_NOT_LIVE)
def key_revoked(world: World) -> Any:
    """Nothing in this release revokes a key; the row is written as the house will write it."""
    consent = consent_of_somebody(world)
    tag = kit.row_of(world.house, "grants", "consent = ?", consent)["tag"]
    with world.house.read() as conn:
        from gateway.people.subjects import find_by_tag

        subject = find_by_tag(world.house, conn, tag).subject
    stored_by_the_house(world.house, citizen_keys, citizen_keys.c.subject == subject, state="revoked")
    return world.query(consent)


@scenario(Reason.WITHDRAWN)
def withdrawn(world: World) -> Any:
    citizen = world.citizen(kit.person(900))
    consent = world.consent(citizen)
    assert not isinstance(world.withdraw(citizen, consent), Refused)
    return world.query(consent)


@scenario(Reason.CONSENT_SUSPENDED)
def consent_suspended(world: World) -> Any:
    """Nothing in this release suspends a consent; the row is written as the house will write it."""
    consent = consent_of_somebody(world)
    stored_by_the_house(world.house, grants, grants.c.consent == consent, state="suspended")
    return world.query(consent)


@scenario(Reason.NOT_YET_VALID)
def too_early(world: World) -> Any:
    at = world.clock()
    return world.query(consent_of_somebody(world, not_before=at + DAY_MS, not_after=at + 2 * DAY_MS))


@scenario(Reason.EXPIRED)
def too_late(world: World) -> Any:
    """The clock goes on for good: it never goes back for the scenarios after this one."""
    consent = consent_of_somebody(world, not_after=world.clock() + DAY_MS)
    world.clock.offset += DAY_MS + 1
    return world.query(consent)


@scenario(Reason.EXHAUSTED)
def used_up(world: World) -> Any:
    consent = consent_of_somebody(world, max_uses=1)
    assert isinstance(world.query(consent), Answer)
    return world.query(consent)


@scenario(Reason.PURPOSE_MISMATCH)
def for_another_purpose(world: World) -> Any:
    return world.query(consent_of_somebody(world), purpose="03")


@scenario(Reason.CATEGORY_UNKNOWN)
def category_of_nobody(world: World) -> Any:
    return world.query(consent_of_somebody(world), categories=("horoscope", "loan"))


@scenario(Reason.CATEGORY_NOT_CONSENTED)
def beyond_the_consent(world: World) -> Any:
    return world.query(consent_of_somebody(world), categories=("employment", "loan"))


@scenario(Reason.ANSWER_MISMATCH)
def another_form_of_answer(world: World) -> Any:
    return world.query(consent_of_somebody(world), answer="predicate:no-arrears")


@scenario(Reason.PREDICATE_SUFFICES)
def the_record_where_a_yes_or_no_serves(world: World) -> Any:
    terms = {"purpose": "61", "categories": ("repayment",)}
    consent = consent_of_somebody(world, **terms, answer="predicate:no-overdue-90d")
    return world.query(consent, **terms)


@scenario(Reason.ANSWER_GONE)
def given_and_gone(world: World) -> Any:
    """A judgment's term ends between the answer and the second time it is asked for."""
    asked = answered_before_a_term_ends(world)
    world.clock.offset += 2 * HOUR
    return asked.send()


@pytest.mark.parametrize("reason", SCENARIOS, ids=[reason.value for reason in SCENARIOS])
def test_a_query_is_refused_with_receipt_and_leaf(shared: World, reason: Reason) -> None:
    before = len(kit.of_type(shared.house, "query.refused"))
    refused = SCENARIOS[reason](shared)
    if refused is not None:
        leaf = kit.check_refused(shared, refused, reason.value)
        assert leaf.by is not None
        assert leaf.sealed is not None
    assert len(kit.of_type(shared.house, "query.refused")) == before + 1


def test_a_purpose_that_nobody_checked_is_off(tmp_path: Any) -> None:
    """Outside a demonstration: for a query, and for the request that would have come before it."""
    with new_world(tmp_path / "home", policy=default_policy(demo=False)) as world:
        kit.check_refused(world, world.query(str(uuid.uuid4())), "purpose-off")
        with world.bank() as bank:
            asked = bank.request_consent(str(uuid.uuid4()), Person(kit.NUMBER), world.terms())
        kit.check_refused(world, asked, "purpose-off")


def test_unknown_consent_and_another_banks_consent_are_refused_alike(shared: World) -> None:
    other = BankClient(shared.url, shared.other_key, **shared.pins())
    kit.check_refused(shared, shared.query(str(uuid.uuid4()), other), "no-consent")
    kit.check_refused(shared, shared.query(consent_of_somebody(shared), other), "no-consent")
    kit.check_refused(shared, shared.query(shared.house.decoy.consent, other), "no-consent")


def test_the_one_whose_consent_it_is_sees_the_attempt_of_another_bank(shared: World) -> None:
    citizen = shared.citizen(kit.person(901))
    leaf = kit.check_refused(
        shared, shared.query(shared.consent(citizen), shared.bank(shared.other_key)), "no-consent"
    )
    seen = citizen.client.accesses()
    assert not isinstance(seen, Refused)
    assert [(one.index, one.type) for one in seen][-2:-1] == [(leaf.index, "query.refused")]


def test_every_reason_is_produced_by_a_query_or_a_consent_request() -> None:
    from tests.gateway.consents.test_request_reasons import ASKED

    assert SCENARIOS.keys() | ASKED.keys() | STATUTORY | {Reason.PURPOSE_OFF} == set(Reason)
    assert SCENARIOS.keys() | ELSEWHERE.keys() == set(Reason)
    assert not SCENARIOS.keys() & ELSEWHERE.keys()
