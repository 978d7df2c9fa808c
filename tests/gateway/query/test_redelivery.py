"""An answer that did not arrive is given again: the same bytes, no further use, while it may be given."""

from __future__ import annotations

import uuid
from datetime import date
from functools import partial
from typing import Any

import pytest

from gateway.client.bank import Answer
from gateway.client.reply import Refused
from gateway.institutions.register import add_operator, reinstate, suspend
from gateway.query.redeliver import forget_given
from gateway.query.request import Query
from gateway.query.ruled import Disclosed
from gateway.query.turnstile import rule_batch
from keys.canonical import canonical, parse_canonical
from keys.instant import DAY, HOUR
from keys.signing import parse_public_jwk
from tests.gateway import kit
from tests.gateway.query.asked import Asked, Since, answered_before_a_term_ends, judgment, look_up, somebody
from tests.gateway.world import BANK, World, fresh_key

# --- when it is given again ---


def test_the_same_request_again_brings_the_same_bytes_and_takes_no_use(shared: World) -> None:
    asked = Asked(shared, somebody(shared, loans=4), max_uses=2)
    assert len(asked.first.answer["records"]["loan"]) == 4
    for later in (0, HOUR, 20 * HOUR):
        shared.clock.offset += later
        asked.check_same(asked.send())
    assert asked.uses() == 1


def test_an_exhausted_consent_still_serves_the_answer_it_gave(shared: World) -> None:
    asked = Asked(shared, max_uses=1)
    kit.check_refused(shared, shared.query(asked.consent), "exhausted")
    asked.check_same(asked.send())
    assert asked.uses() == 1


def test_what_came_to_be_known_since_is_not_in_it(shared: World) -> None:
    number = somebody(shared)
    asked = Asked(shared, number)
    shared.import_records([kit.loan(number, f"{number}-later")])
    asked.check_same(asked.send())
    fresh = shared.query(asked.consent)
    assert isinstance(fresh, Answer)
    assert len(fresh.answer["records"]["loan"]) == 2


def test_a_colleague_may_send_it_again_and_stands_in_the_leaf(shared: World) -> None:
    asked, key = Asked(shared), fresh_key()
    operator, _ = add_operator(shared.house, BANK, parse_public_jwk(key.jwk), ["query"])
    with shared.bank(key) as colleague:
        again = asked.send(colleague)
    assert isinstance(again, Answer)
    assert canonical(again.answer) == canonical(asked.first.answer)
    by = kit.leaves(shared.house)[again.receipt.index].by
    assert by is not None
    assert (by.institution, by.operator) == (BANK, operator)


def test_up_to_the_end_of_its_hours_and_not_stretched_by_being_given_again(shared: World) -> None:
    asked = Asked(shared, not_after=shared.clock() + 10 * DAY)
    shared.clock.offset += 24 * HOUR - 30_000
    asked.check_same(asked.send())
    shared.clock.offset += 30_000
    asked.check_refused("query-id-reused")


def _fail(*_: object) -> object:
    raise RuntimeError


def test_an_undelivered_answer_is_delivered_by_sending_the_same_again(
    shared: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gateway.query import answer as module

    consent = shared.consent(shared.citizen(somebody(shared)), max_uses=1)
    query, since = str(uuid.uuid4()), Since(shared)
    with monkeypatch.context() as broken:
        broken.setattr(module, "decrypt", _fail)
        refused = shared.query(consent, query_id=query)
    assert isinstance(refused, Refused)
    assert refused.problem.name == "undelivered"
    again = shared.query(consent, query_id=query)
    assert isinstance(again, Answer)
    [disclosed] = since.of_type("query.disclosed")
    [undelivered] = since.of_type("query.undelivered")
    [redelivered] = since.of_type("query.redelivered")
    assert disclosed.index == undelivered.body.of == redelivered.body.of == refused.extra["index"]
    assert again.answer["as_of"] == disclosed.at
    assert len(again.answer["records"]["loan"]) == 1


def test_a_redelivery_that_fails_is_undelivered_too_and_can_be_asked_for_again(
    shared: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gateway.query import answer as module

    asked, since = Asked(shared), Since(shared)
    with monkeypatch.context() as broken:
        broken.setattr(module, "decrypt", _fail)
        refused = asked.send()
    assert isinstance(refused, Refused)
    assert refused.problem.name == "undelivered"
    [undelivered] = since.of_type("query.undelivered")
    [redelivered] = since.of_type("query.redelivered")
    assert undelivered.body.of == redelivered.index
    asked.check_same(asked.send())


# --- when it is not ---


def test_not_once_the_consent_was_withdrawn(shared: World) -> None:
    asked = Asked(shared)
    shared.withdraw(asked.citizen, asked.consent)
    asked.check_refused("withdrawn")


def test_not_once_the_consent_expired(shared: World) -> None:
    asked = Asked(shared, not_after=shared.clock() + 2 * HOUR)
    shared.clock.offset += 3 * HOUR
    asked.check_refused("expired")


def test_not_while_the_institution_is_suspended(shared: World) -> None:
    asked = Asked(shared)
    suspend(shared.house, "institution", BANK, "audit-failed")
    asked.check_refused("institution-suspended")
    reinstate(shared.house, "institution", BANK, "audit-passed")
    asked.check_same(asked.send())


def test_not_to_another_institution(shared: World) -> None:
    asked = Asked(shared)
    refused = asked.send(shared.bank(shared.other_key))
    kit.check_refused(shared, refused, "no-consent", asked.query_id)


def test_not_once_a_record_of_it_is_past_its_term(shared: World) -> None:
    """Asked for an hour before the end of a judgment's term, and again an hour after it."""
    asked = answered_before_a_term_ends(shared)
    assert len(asked.first.answer["records"]["judgment"]) == 1
    asked.check_same(asked.send())
    shared.clock.offset += 2 * HOUR
    asked.check_refused("answer-gone")


def test_a_record_that_was_past_its_term_already_does_not_stand_in_the_way(shared: World) -> None:
    number = somebody(shared)
    shared.import_records([judgment(number, date(2019, 1, 2))])
    asked = Asked(shared, number, categories=("judgment", "loan"))
    assert asked.first.answer["records"]["judgment"] == []
    asked.check_same(asked.send())


# --- what an insider can do to the rows ---

DAMAGE = {
    "given-cut": "UPDATE queries SET given = zeroblob(64) WHERE query = ?",
    "leaf-of-another": "UPDATE queries SET idx = idx - 1 WHERE query = ?",
    "later": "UPDATE queries SET given_at = given_at + 1 WHERE query = ?",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_row_that_the_ledger_does_not_bear_out_gives_nothing(shared: World, damage: str) -> None:
    asked = Asked(shared)
    kit.insider(shared.house, damage, [asked.query_id])
    asked.check_refused("evidence-broken")


def test_a_later_time_in_the_row_does_not_stretch_the_hours(shared: World) -> None:
    asked = Asked(shared)
    shared.clock.offset += 30 * HOUR
    kit.insider(
        shared.house,
        "UPDATE queries SET given_at = given_at + ? WHERE query = ?",
        [29 * HOUR, asked.query_id],
    )
    asked.check_refused("evidence-broken")


def test_what_was_given_to_one_query_serves_no_other(shared: World) -> None:
    one, other = Asked(shared), str(uuid.uuid4())
    assert isinstance(shared.query(one.consent, query_id=other, categories=("repayment",)), Answer)
    [(given,)] = kit.insider(shared.house, "SELECT given FROM queries WHERE query = ?", [one.query_id])
    kit.insider(shared.house, "UPDATE queries SET given = ? WHERE query = ?", [given, other])
    refused = shared.query(one.consent, query_id=other, categories=("repayment",))
    kit.check_refused(shared, refused, "evidence-broken", other)


def test_the_body_mac_of_another_query_makes_no_body_the_same(shared: World) -> None:
    one, other = Asked(shared), str(uuid.uuid4())
    assert isinstance(shared.query(one.consent, query_id=other), Answer)
    [(mac,)] = kit.insider(shared.house, "SELECT body_mac FROM queries WHERE query = ?", [other])
    kit.insider(shared.house, "UPDATE queries SET body_mac = ? WHERE query = ?", [mac, one.query_id])
    one.check_refused("query-id-reused")


# --- what is remembered, and for how long ---


def test_what_was_given_is_forgotten_after_its_hours_and_the_id_stays_used(shared: World) -> None:
    shared.clock.offset += 24 * HOUR
    forget_given(shared.house)
    asked = Asked(shared)
    assert forget_given(shared.house) == 0
    shared.clock.offset += 24 * HOUR + 1
    assert forget_given(shared.house) == 1
    assert forget_given(shared.house) == 0
    row = kit.row_of(shared.house, "queries", "query = ?", asked.query_id)
    assert (row["given"], row["body_mac"], row["given_at"]) == (None, None, None)
    asked.check_refused("query-id-reused")


def test_what_was_given_is_not_readable_in_the_row(shared: World) -> None:
    asked = Asked(shared)
    row = kit.row_of(shared.house, "queries", "query = ?", asked.query_id)
    revisions = kit.insider(shared.house, "SELECT revision_hash FROM records")
    assert revisions
    assert not any(one in row["given"] or one.hex().encode() in row["given"] for (one,) in revisions)


# --- twins ---


def test_twins_in_one_batch_are_answered_once_and_then_given_again(shared: World) -> None:
    consent = shared.consent(shared.citizen(somebody(shared)), max_uses=1)
    members: dict[str, Any] = parse_canonical(canonical(kit.query_body(consent)))
    query = Query(**{**members, "categories": tuple(members["categories"])})
    asks = [look_up(shared.house, query, members, kit.signer_of(shared)) for _ in range(3)]
    first, *again = shared.house.transact(lambda tx: rule_batch(tx, asks))
    assert isinstance(first, Disclosed)
    assert first.decision == "disclosed"
    for one in again:
        assert isinstance(one, Disclosed)
        assert (one.decision, one.revisions, one.at) == ("redelivered", first.revisions, first.at)
    assert kit.row_of(shared.house, "grants", "consent = ?", consent)["uses"] == 1


def test_a_crowd_that_sends_the_same_gets_one_answer(shared: World) -> None:
    consent = shared.consent(shared.citizen(somebody(shared)), max_uses=1)
    query, since, second = str(uuid.uuid4()), Since(shared), shared.reopen()
    try:
        houses = (shared.house, second) * 12
        work = [partial(kit.ask_house, shared, consent, house, query_id=query) for house in houses]
        answers = kit.together(*work)
    finally:
        second.engine.dispose()
        second.custody.close()
    assert len({canonical(one.answer) for one in answers}) == 1
    assert len(since.of_type("query.disclosed")) == 1
    assert len(since.of_type("query.redelivered")) == 23
