"""Institutions are told of their consents: each once, in the order of the ledger, and nobody else's."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from gateway.client.reply import Refused
from gateway.errors import Rejected
from gateway.events.expiry import tell_expired
from gateway.institutions.register import add_operator, suspend
from gateway.tables import events, expiries
from gateway.transaction import Transaction
from keys.signing import parse_public_jwk
from tests.gateway import kit
from tests.gateway.events.kit import beside, told
from tests.gateway.world import BANK, DAY_MS, OTHER_BANK, World, fresh_key


def stored(world: World) -> list[Any]:
    with world.house.read() as conn:
        return list(conn.execute(sa.select(events).order_by(events.c.institution, events.c.seq)))


def test_grant_decline_and_withdrawal_are_told_in_the_order_of_the_ledger(world: World) -> None:
    citizen = world.citizen(kit.NUMBER)
    declined = world.ask(citizen)
    citizen.client.decline(declined.request_id, declined.document_sha256)
    consent = world.consent(citizen)
    withdrawn = world.withdraw(citizen, consent)
    found = told(world)
    assert [(event.seq, event.kind, event.consent_id) for event in found] == [
        (1, "declined", declined.consent_id),
        (2, "granted", consent),
        (3, "withdrawn", consent),
    ]
    leaves = kit.leaves(world.house)
    assert [leaves[event.index].type for event in found] == [
        "consent.declined",
        "consent.granted",
        "consent.withdrawn",
    ]
    assert [leaves[event.index].at for event in found] == [event.at for event in found]
    assert found[-1].index == withdrawn.signed.receipt.index


def test_each_institution_is_told_its_own_and_numbered_for_itself(world: World) -> None:
    citizen = world.citizen(kit.NUMBER)
    mine = [world.consent(citizen) for _ in range(2)]
    theirs = world.consent(citizen, world.bank(world.other_key))
    last = world.consent(citizen)
    assert [(e.seq, e.consent_id) for e in told(world)] == list(enumerate([*mine, last], 1))
    other = told(world, world.bank(world.other_key))
    assert [(e.seq, e.consent_id) for e in other] == [(1, theirs)]


def test_pages_follow_one_another_without_a_gap(world: World) -> None:
    citizen = world.citizen(kit.NUMBER)
    consents = [world.consent(citizen) for _ in range(5)]
    first = told(world, limit=2)
    second = told(world, after=first[-1].seq, limit=2)
    rest = told(world, after=second[-1].seq)
    assert [event.consent_id for event in (*first, *second, *rest)] == consents
    assert told(world, after=5) == ()
    assert told(world, after=999) == ()


@pytest.mark.parametrize("query", ["after=-1", "after=x", "limit=0", "limit=1001", "after=1_0", "limit="])
def test_a_page_that_is_none_is_refused(world: World, query: str) -> None:
    reply = kit.prepare(world, world.bank_key, "GET", f"/v1/events?{query}").send()
    kit.check_problem(reply, 400, "malformed-body")


def test_a_grant_sent_again_is_told_once(world: World) -> None:
    citizen = world.citizen(kit.NUMBER)
    asked = world.ask(citizen)
    body = world.wallet.sign_consent(asked.template, citizen.key)
    for _ in range(2):
        assert not isinstance(citizen.client.grant(body), Refused)
    assert [event.kind for event in told(world)] == ["granted"]


def test_what_is_undone_is_not_told(world: World) -> None:
    """An act that fails takes its events with it, and leaves no gap in the numbers of the others."""
    citizen = world.citizen(kit.NUMBER)
    first = world.consent(citizen)
    entry = world.house.transact(lambda tx: tx.entry(0))

    def act(tx: Transaction, *, fails: bool) -> None:
        tx.telling.tell(BANK, "corrected", str(uuid.uuid4()), replace(entry, at=tx.at))
        if fails:
            raise Rejected("not-found")

    with pytest.raises(Rejected):
        world.house.transact(partial(act, fails=True), seals=False)
    assert [event.consent_id for event in told(world)] == [first]
    world.house.transact(partial(act, fails=False), seals=False)
    assert [event.seq for event in told(world)] == [1, 2]


def test_many_at_once_leave_no_gap_and_keep_the_order(world: World) -> None:
    citizens = [world.citizen(kit.person(serial)) for serial in range(1, 7)]
    kit.together(*[partial(world.consent, citizen) for citizen in citizens])
    found = told(world)
    assert [event.seq for event in found] == list(range(1, 7))
    assert [event.index for event in found] == sorted(event.index for event in found)


def test_a_consent_that_ran_out_is_told_of_once_whoever_keeps_house(world: World) -> None:
    citizen = world.citizen(kit.NUMBER)
    consent = world.consent(citizen)
    gone = world.consent(citizen)
    world.withdraw(citizen, gone)
    assert tell_expired(world.house) == 0
    world.clock.offset += 31 * DAY_MS
    with beside(world) as other:
        counted = kit.together(*[partial(tell_expired, house) for house in (world.house, other)] * 2)
    assert sum(counted) == 1
    last = told(world)[-1]
    assert (last.kind, last.consent_id) == ("expired", consent)
    assert kit.leaves(world.house)[last.index].type == "consent.granted"
    with world.house.read() as conn:
        assert conn.execute(sa.select(expiries)).first() is None
    assert tell_expired(world.house) == 0


def test_only_who_may_query_or_administers_is_told(world: World) -> None:
    world.consent(world.citizen(kit.NUMBER))
    for role, allowed in (("admin", True), ("approve", False)):
        key = fresh_key()
        name, _ = add_operator(world.house, BANK, parse_public_jwk(key.jwk), [role])
        reply = kit.prepare(world, key, "GET", "/v1/events").send()
        if allowed:
            assert [event["kind"] for event in reply.json()["events"]] == ["granted"]
        else:
            kit.check_problem(reply, 403, "role-not-permitted")
        suspend(world.house, "operator", name, "test")
        kit.check_problem(kit.prepare(world, key, "GET", "/v1/events").send(), 403, "operator-suspended")


def test_the_same_signed_request_serves_once(world: World) -> None:
    request = kit.prepare(world, world.bank_key, "GET", "/v1/events")
    assert request.send().status_code == 200
    kit.check_problem(request.send(), 401, "replayed-nonce")


def test_nothing_personal_is_in_an_event(world: World) -> None:
    citizen = world.citizen(kit.NUMBER)
    world.withdraw(citizen, world.consent(citizen))
    rows = stored(world)
    assert {row.institution for row in rows} == {BANK}
    assert OTHER_BANK not in str(rows)
    for secret in (kit.NUMBER, citizen.name, citizen.key.kid):
        assert secret not in str(rows)
