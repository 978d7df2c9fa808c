"""Who may not ask or approve, and what becomes of the query that it was about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.client.bank import Answer
from gateway.client.reply import Refused
from gateway.client.statutory import Order, Settled, Waiting
from gateway.institutions.register import add_operator, reinstate, suspend
from gateway.query.statutory.ending import lapse_pending
from keys.signing import parse_public_jwk
from tests.gateway import kit
from tests.gateway.query.statutory.kit import (
    COURT,
    DAY_MS,
    HOUR_MS,
    POLICE,
    Office,
    enact,
    leaves_since,
    other_office,
    without,
)
from tests.gateway.world import World, fresh_key


def still_waits(world: World, office: Office, request: dict[str, Any]) -> None:
    """The query can be approved still."""
    assert isinstance(office.approve(request), Settled)
    assert isinstance(office.collect(request), Answer)


# --- submitting ---

NOT_HELD: dict[str, Callable[[Office], dict[str, Any]]] = {
    "a-statute-that-is-none": lambda office: office.request(Order("cir-28", COURT.document)),
    "another-purpose": lambda office: office.request(purpose="92"),
    "a-purpose-of-consents": lambda office: office.request(purpose="02"),
    "a-category-too-many": lambda office: office.request(categories=["licence", "loan"]),
    "no-document-of-its-kind": lambda office: office.request(Order(COURT.code, POLICE.document)),
    "a-deferral-it-does-not-allow": lambda office: office.request(Order(COURT.code, COURT.document, True)),
    "an-answer-it-does-not-give": lambda office: office.request(answer="predicate:licence-valid"),
}


@pytest.mark.parametrize("case", NOT_HELD)
def test_what_does_not_fit_its_statute_is_refused_and_nothing_waits(
    world: World, office: Office, case: str
) -> None:
    request = NOT_HELD[case](office)
    leaf = kit.check_refused(world, office.submit(request), "statute-not-held", request["query_id"])
    assert leaf.body.pending is None
    refused = office.collect(request)
    assert isinstance(refused, Refused)
    assert refused.problem.name == "not-found"


def test_an_institution_that_holds_no_statute_is_refused(world: World, office: Office) -> None:
    body = office.request()
    kit.check_refusal(world, kit.post_query(world, body), "statute-not-held", body["query_id"])


@pytest.mark.parametrize(
    ("noun", "reason"), [("institution", "institution-suspended"), ("operator", "operator-suspended")]
)
def test_who_is_suspended_submits_nothing_and_repeats_nothing(
    world: World, office: Office, noun: str, reason: str
) -> None:
    request = office.request()
    assert isinstance(office.submit(request), Waiting)
    name = office.institution if noun == "institution" else office.operators["asker"]
    suspend(world.house, noun, name, "misuse")
    for again in (request, office.request()):
        kit.check_refused(world, office.submit(again), reason, again["query_id"])
    kit.check_refused(world, office.collect(request), reason, request["query_id"])
    reinstate(world.house, noun, name, "cleared")
    assert isinstance(office.collect(request), Waiting)


def test_who_only_approves_submits_nothing(world: World, office: Office) -> None:
    request = office.request()
    kit.check_refused(world, office.submit(request, by="approver"), "role-not-permitted")


@pytest.mark.parametrize("named", ["no number", "110101199003070135"])
def test_a_number_that_is_none_does_not_parse_and_leaves_no_leaf(
    world: World, office: Office, named: str
) -> None:
    size = kit.size(world.house)
    request = office.request() | {"person_check": {"citizen_number": named}}
    reply = kit.post_query(world, request, office.keys["asker"])
    kit.check_problem(reply, 400, "malformed-body")
    assert reply.json()["field"] == "$.person_check.citizen_number"
    assert named not in reply.text
    assert kit.size(world.house) == size


# --- approving ---


def test_nobody_approves_what_they_asked_themselves(world: World, office: Office) -> None:
    request = office.request()
    assert isinstance(office.submit(request, by="both"), Waiting)
    leaf = kit.check_refused(world, office.approve(request, by="both"), "role-not-permitted")
    assert leaf.by is not None
    assert leaf.by.operator == office.operators["both"]
    assert leaf.body.pending is None
    assert isinstance(office.approve(request), Settled)


def test_who_has_no_role_to_approve_approves_nothing(world: World, office: Office) -> None:
    key = fresh_key()
    add_operator(world.house, office.institution, parse_public_jwk(key.jwk), ["query"])
    office.keys["colleague"] = key
    request = office.request()
    assert isinstance(office.submit(request), Waiting)
    for said in (office.approve, office.deny):
        kit.check_refused(world, said(request, by="colleague"), "role-not-permitted", request["query_id"])
    still_waits(world, office, request)


def test_an_approver_of_another_institution_finds_nothing(world: World, office: Office) -> None:
    other = other_office(world)
    request = office.request()
    assert isinstance(office.submit(request), Waiting)
    size = kit.size(world.house)
    refused = other.approve(request)
    assert isinstance(refused, Refused)
    assert refused.problem.name == "not-found"
    assert kit.size(world.house) == size
    still_waits(world, office, request)


@pytest.mark.parametrize("who", ["approver", "asker"])
def test_while_either_is_suspended_nothing_is_approved(world: World, office: Office, who: str) -> None:
    request = office.request()
    assert isinstance(office.submit(request), Waiting)
    suspend(world.house, "operator", office.operators[who], "misuse")
    kit.check_refused(world, office.approve(request), "operator-suspended", request["query_id"])
    reinstate(world.house, "operator", office.operators[who], "cleared")
    still_waits(world, office, request)


def test_what_is_approved_is_the_very_request_that_waits(world: World, office: Office) -> None:
    request = office.request()
    assert isinstance(office.submit(request), Waiting)
    size = kit.size(world.house)
    refused = office.approve(request | {"categories": ["employment"]})
    assert isinstance(refused, Refused)
    assert (refused.problem.name, refused.problem.status) == ("approval-mismatch", 422)
    assert kit.size(world.house) == size
    still_waits(world, office, request)


def test_an_approval_for_another_path_is_none(world: World, office: Office) -> None:
    first, second = office.request(), office.request()
    for request in (first, second):
        assert isinstance(office.submit(request), Waiting)
    body = {"query_id": first["query_id"], "request_sha256": "0" * 64, "decision": "approve"}
    path = f"/v1/queries/{second['query_id']}/approval"
    reply = kit.prepare(world, office.keys["approver"], "POST", path, body).send()
    kit.check_problem(reply, 422, "approval-mismatch")


def test_a_query_is_settled_once(world: World, office: Office) -> None:
    for settle in (office.approve, office.deny):
        request = office.request()
        assert isinstance(office.submit(request), Waiting)
        assert isinstance(settle(request), Settled)
        for again in (office.approve, office.deny):
            refused = again(request)
            assert isinstance(refused, Refused)
            assert (refused.problem.name, refused.problem.status) == ("already-answered", 409)


@pytest.mark.parametrize("late_by", [0, 1])
def test_an_approval_that_comes_too_late_ends_the_query(world: World, office: Office, late_by: int) -> None:
    request = office.request()
    waiting = office.submit(request)
    assert isinstance(waiting, Waiting)
    world.clock.offset += DAY_MS + late_by
    leaf = kit.check_refused(world, office.approve(request), "approval-lapsed", request["query_id"])
    assert (leaf.by, leaf.body.pending) == (None, waiting.index)
    kit.check_refused(world, office.collect(request), "approval-lapsed", request["query_id"])
    assert lapse_pending(world.house) == 0


def test_what_nobody_approves_lapses_by_itself(world: World, office: Office) -> None:
    late, early = office.request(), office.request()
    assert isinstance(office.submit(late), Waiting)
    world.clock.offset += HOUR_MS
    assert isinstance(office.submit(early), Waiting)
    assert lapse_pending(world.house) == 0
    world.clock.offset += 23 * HOUR_MS
    size = kit.size(world.house)
    assert lapse_pending(world.house) == 1
    [leaf] = leaves_since(world, size)
    assert (leaf.by, leaf.body.reason, leaf.body.query) == (None, "approval-lapsed", late["query_id"])
    assert isinstance(office.approve(early), Settled)
    assert lapse_pending(world.house) == 0


def test_the_statute_must_stand_when_it_is_approved(world: World, office: Office) -> None:
    request = office.request()
    waiting = office.submit(request)
    assert isinstance(waiting, Waiting)
    enact(world, statutes=without(world.house.policy, COURT.code))
    leaf = kit.check_refused(world, office.approve(request), "statute-not-held", request["query_id"])
    assert leaf.body.pending == waiting.index
    kit.check_refused(world, office.collect(request), "statute-not-held", request["query_id"])
    refused = office.approve(request)
    assert isinstance(refused, Refused)
    assert refused.problem.name == "already-answered"


def test_a_wrong_name_is_answered_like_somebody_nobody_knows(world: World, office: Office) -> None:
    """Neither who approves nor who asked learns from a name whether the number is known."""
    world.import_records([kit.loan()])
    found = []
    for number, name in ((kit.NUMBER, "另一人"), (kit.person(9), "另一人"), (kit.NUMBER, "测试人")):
        request = office.request(number=number, name=name)
        assert isinstance(office.submit(request), Waiting)
        settled = office.approve(request)
        assert isinstance(settled, Settled), settled
        assert settled.state == "approved"
        answer = office.collect(request)
        assert isinstance(answer, Answer), answer
        found.append(answer.answer["records"])
    wrong, unknown, right = found
    assert wrong == unknown
    assert len(right["loan"]) == 1
    assert not wrong["loan"]
