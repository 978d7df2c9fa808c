"""Who may collect, for how long, and what counts against a quota."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import sqlalchemy as sa

from consent.quotas import Quota
from gateway.client.bank import Answer
from gateway.client.reply import Refused
from gateway.client.statutory import Settled, Waiting
from gateway.records.rows import Record
from gateway.tables import records
from tests.gateway import kit
from tests.gateway.query.statutory.kit import (
    COURT,
    COVERT,
    DAY_MS,
    HOUR_MS,
    Office,
    enact,
    other_office,
    without,
)
from tests.gateway.world import SOURCE, World


def test_only_who_asked_collects(world: World, office: Office) -> None:
    request = office.answered()
    other = other_office(world)
    for asked in (
        office.collect(request, by="approver"),
        office.collect(request, by="both"),
        other.collect(request),
    ):
        assert isinstance(asked, Refused)
        assert asked.problem.name == "not-found"
    assert isinstance(office.collect(request), Answer)


def test_an_answer_can_be_had_for_a_day_and_no_longer(world: World, office: Office) -> None:
    request = office.answered()
    world.clock.offset += DAY_MS - HOUR_MS
    assert isinstance(office.collect(request), Answer)
    world.clock.offset += HOUR_MS
    leaf = kit.check_refused(world, office.collect(request), "answer-gone", request["query_id"])
    assert leaf.body.pending is None


def test_the_statute_must_stand_when_it_is_collected(world: World, office: Office) -> None:
    request = office.answered()
    statutes = world.house.policy.statutes
    enact(world, statutes=without(world.house.policy, COURT.code))
    leaf = kit.check_refused(world, office.collect(request), "statute-not-held", request["query_id"])
    assert leaf.body.pending is None
    enact(world, statutes=statutes)
    assert isinstance(office.collect(request), Answer)


def test_a_record_past_its_term_since_is_not_given_again(world: World, office: Office) -> None:
    world.import_records([_adverse(world)])
    with world.house.read() as conn:
        until = conn.scalar(sa.select(records.c.shown_until))
    assert until is not None
    world.clock.offset += until - HOUR_MS - world.clock()
    request = office.answered(categories=["enforcement"])
    answer = office.collect(request)
    assert isinstance(answer, Answer)
    assert [one["reference"] for one in answer.answer["records"]["enforcement"]] == ["E-1"]
    world.clock.offset += HOUR_MS
    leaf = kit.check_refused(world, office.collect(request), "answer-gone", request["query_id"])
    assert leaf.body.pending is None
    later = office.answered(categories=["enforcement"])
    answer = office.collect(later)
    assert isinstance(answer, Answer)
    assert answer.answer["records"] == {"enforcement": []}


def _adverse(world: World) -> Record:
    """A record whose term of five years ends in some days."""
    fields = {"court": "某法院", "case_number": "(2020)1号", "filed": "2020-02-01", "state": "open"}
    soon = datetime.fromtimestamp(world.clock() / 1000, UTC).date() + timedelta(days=40)
    day = date(soon.year - 5, soon.month, 1)
    return Record(2, kit.NUMBER, "测试人", "enforcement", SOURCE, "E-1", day, day, None, True, fields)


# --- quotas ---


def test_a_submission_and_each_collection_count_and_an_approval_does_not(
    world: World, office: Office
) -> None:
    enact(world, quotas=(Quota(scope="institution", per="day", limit=3),))
    request = office.answered()
    for _ in range(2):
        assert isinstance(office.collect(request), Answer)
    size = kit.size(world.house)
    throttled = (office.collect(request), office.submit(office.request()))
    for said in throttled:
        assert isinstance(said, Refused)
        assert (said.problem.name, said.problem.status) == ("quota-exceeded", 429)
        assert said.problem.retry_after is not None
    assert kit.size(world.house) == size


def test_an_attempt_to_approve_that_is_refused_counts(world: World, office: Office) -> None:
    enact(world, quotas=(Quota(scope="operator", per="day", limit=2),))
    request = office.request()
    assert isinstance(office.submit(request, by="both"), Waiting)
    kit.check_refused(world, office.approve(request, by="both"), "role-not-permitted")
    said = office.approve(request, by="both")
    assert isinstance(said, Refused)
    assert said.problem.name == "quota-exceeded"
    assert isinstance(office.approve(request), Settled)


def test_a_deferred_query_that_is_refused_counts_as_any_other(world: World, office: Office) -> None:
    enact(world, quotas=(Quota(scope="operator", per="day", limit=1),))
    request = office.request(COVERT, purpose="91")
    kit.check_refused(world, office.submit(request), "statute-not-held", request["query_id"])
    said = office.submit(request)
    assert isinstance(said, Refused)
    assert said.problem.name == "quota-exceeded"
