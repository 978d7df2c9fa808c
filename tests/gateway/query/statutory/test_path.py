"""From the submission to the answer: what is in the ledger, and who sees what."""

from __future__ import annotations

import uuid

import pytest

from gateway.client.bank import Answer
from gateway.client.reply import Refused
from gateway.client.statutory import Order, Settled, Waiting
from keys.canonical import canonical, sha256_hex
from tests.gateway import kit
from tests.gateway.query.statutory.kit import COURT, Office, leaves_since, other_office, tag_of
from tests.gateway.world import World


def test_a_query_is_answered_once_another_person_approved_it(world: World, office: Office) -> None:
    world.import_records([kit.loan(), kit.job()])
    size = kit.size(world.house)
    request = office.request()
    waiting = office.submit(request)
    assert isinstance(waiting, Waiting)
    assert isinstance(office.collect(request), Waiting)
    settled = office.approve(request)
    assert settled == Settled(request["query_id"], "approved", waiting.index + 1)
    answer = office.collect(request)
    assert isinstance(answer, Answer)
    pending, disclosed, delivered = leaves_since(world, size)
    assert [leaf.type for leaf in (pending, disclosed, delivered)] == [
        "query.pending",
        "query.disclosed",
        "query.redelivered",
    ]
    assert disclosed.body.statute.approver == office.operators["approver"]
    assert disclosed.by is not None
    assert disclosed.by.operator == office.operators["asker"]
    assert disclosed.body.statute.pending == pending.index == waiting.index
    assert (disclosed.body.statute.code, disclosed.body.statute.document) == (
        COURT.code,
        pending.body.statute.document,
    )
    assert delivered.body.of == disclosed.index
    assert answer.receipt.decision == "redelivered"
    assert answer.receipt.index == delivered.index
    assert answer.receipt.answer_sha256 == sha256_hex(canonical(answer.answer))
    assert answer.answer["as_of"] == disclosed.at
    assert {name: len(found) for name, found in answer.answer["records"].items()} == {"loan": 1}
    assert len({tag_of(leaf) for leaf in (pending, disclosed, delivered)}) == 1


def test_somebody_nobody_knows_is_answered_alike_and_nothing_is_said_of_anybody(
    world: World, office: Office
) -> None:
    size = kit.size(world.house)
    request = office.answered(number=kit.OTHER_NUMBER)
    answer = office.collect(request)
    assert isinstance(answer, Answer)
    assert answer.answer["records"] == {"loan": []}
    tags = {tag_of(leaf) for leaf in leaves_since(world, size)}
    assert len(tags) == 1
    world.import_records([kit.loan(kit.OTHER_NUMBER)])
    assert tags.isdisjoint(tag_of(leaf) for leaf in kit.of_type(world.house, "record.ingested"))


def test_who_became_known_after_the_submission_is_not_answered_about(world: World, office: Office) -> None:
    """The answer would stand under a tag that their own list never shows."""
    request = office.request()
    waiting = office.submit(request)
    assert isinstance(waiting, Waiting)
    world.import_records([kit.loan()])
    leaf = kit.check_refused(world, office.approve(request), "answer-gone", request["query_id"])
    assert leaf.body.pending == waiting.index
    assert isinstance(office.collect(office.answered()), Answer)


def test_who_became_known_after_the_approval_was_nobody_as_of_the_answer(
    world: World, office: Office
) -> None:
    request = office.answered()
    world.import_records([kit.loan()])
    answer = office.collect(request)
    assert isinstance(answer, Answer)
    assert answer.answer["records"] == {"loan": []}


def test_it_stands_in_the_citizens_list_at_once_with_its_statute(world: World, office: Office) -> None:
    citizen = world.citizen(kit.NUMBER)
    request = office.request()
    assert isinstance(office.submit(request), Waiting)
    listed = citizen.client.accesses()
    assert not isinstance(listed, Refused)
    pending = next(one for one in listed if one.type == "query.pending")
    assert (pending.statute, pending.purpose, pending.institution) == (COURT.code, "91", office.institution)
    assert pending.proven
    assert pending.query == request["query_id"]


def test_the_same_again_is_recorded_once_and_answered_the_same(world: World, office: Office) -> None:
    request = office.request()
    first = office.submit(request)
    size = kit.size(world.house)
    assert office.submit(request) == first
    assert kit.size(world.house) == size


def test_an_id_serves_one_request_of_one_operator(world: World, office: Office) -> None:
    request = office.request()
    assert isinstance(office.submit(request), Waiting)
    for other, by in ((request | {"categories": ["employment"]}, "asker"), (request, "both")):
        leaf = kit.check_refused(world, office.submit(other, by), "query-id-reused", request["query_id"])
        assert leaf.body.pending is None
    assert isinstance(office.approve(request), Settled)


def test_an_id_that_a_consent_was_queried_under_serves_no_statute(world: World, office: Office) -> None:
    body = kit.query_body(str(uuid.uuid4()))
    assert kit.post_query(world, body, office.keys["asker"]).status_code == 403
    request = office.request(query_id=body["query_id"])
    kit.check_refused(world, office.submit(request), "query-id-reused", body["query_id"])


def test_the_same_id_of_two_institutions_is_two_queries(world: World, office: Office) -> None:
    other = other_office(world)
    request = office.request()
    theirs = other.request(query_id=request["query_id"])
    assert isinstance(office.submit(request), Waiting)
    assert isinstance(other.submit(theirs), Waiting)
    assert isinstance(other.deny(theirs), Settled)
    assert isinstance(office.approve(request), Settled)
    assert isinstance(office.collect(request), Answer)
    kit.check_refused(world, other.collect(theirs), "approval-denied", request["query_id"])


def test_a_denial_is_told_with_its_own_receipt_each_time(world: World, office: Office) -> None:
    request = office.request()
    waiting = office.submit(request)
    assert isinstance(waiting, Waiting)
    settled = office.deny(request)
    assert isinstance(settled, Settled)
    for _ in range(2):
        leaf = kit.check_refused(world, office.collect(request), "approval-denied", request["query_id"])
        assert (leaf.index, leaf.body.pending) == (settled.index, waiting.index)
        assert leaf.by is not None
        assert leaf.by.operator == office.operators["approver"]


def test_each_delivery_is_in_the_ledger_and_brings_the_same_answer(world: World, office: Office) -> None:
    world.import_records([kit.loan()])
    request = office.answered()
    first, second = office.collect(request), office.collect(request)
    assert isinstance(first, Answer)
    assert isinstance(second, Answer)
    assert second.answer == first.answer
    assert second.receipt.index == first.receipt.index + 1
    assert len(kit.of_type(world.house, "query.redelivered")) == 2


def test_records_that_came_after_the_approval_are_not_in_the_answer(world: World, office: Office) -> None:
    world.import_records([kit.loan()])
    request = office.answered()
    world.import_records([kit.loan(reference="T-2")])
    answer = office.collect(request)
    assert isinstance(answer, Answer)
    assert [one["reference"] for one in answer.answer["records"]["loan"]] == ["T-1/loan"]


def test_a_yes_or_no_under_a_statute_names_its_rule_and_its_result_stands_nowhere(
    world: World, office: Office
) -> None:
    order = Order("tax-collection-57", "琼税稽检通〔2026〕12号")
    request = office.answered(order, categories=["licence"], answer="predicate:licence-valid")
    answer = office.collect(request)
    assert isinstance(answer, Answer)
    assert answer.answer.keys() == {"type", "predicate", "rule", "as_of", "answer"}
    assert answer.answer["predicate"] == "licence-valid"
    assert answer.answer["answer"] == "no"
    [leaf] = kit.of_type(world.house, "query.predicate")
    assert (leaf.body.predicate, leaf.body.grant, leaf.body.use) == ("licence-valid", None, None)


def test_an_answer_that_cannot_be_made_is_undelivered_and_can_be_collected_once_it_can(
    world: World, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.import_records([kit.loan()])
    request = office.answered()

    def fails(*_: object) -> None:
        raise OSError

    with monkeypatch.context() as broken:
        broken.setattr("gateway.query.answer.decrypt", fails)
        refused = office.collect(request)
    assert isinstance(refused, Refused)
    assert refused.problem.name == "undelivered"
    redelivered, said = kit.leaves(world.house)[-2:]
    assert (redelivered.type, said.type, said.body.of) == (
        "query.redelivered",
        "query.undelivered",
        redelivered.index,
    )
    assert tag_of(redelivered) == tag_of(said)
    assert isinstance(office.collect(request), Answer)
