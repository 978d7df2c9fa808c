"""A request for consent: asked once, answered once, or lapsed; and seen only by its parties."""

from __future__ import annotations

import uuid

from gateway.client.bank import ConsentRequested, Person
from gateway.client.reply import Refused
from gateway.consents.ending import lapse_due
from gateway.institutions.register import reinstate, suspend
from tests.gateway import kit
from tests.gateway.world import BANK, DAY_MS, World


def test_the_same_request_again_gives_the_same_document_and_no_leaf(world: World) -> None:
    bank, request, terms = world.bank(), str(uuid.uuid4()), world.terms()
    first = bank.request_consent(request, Person(kit.NUMBER), terms)
    before = kit.size(world.house)
    assert isinstance(first, ConsentRequested)
    assert bank.request_consent(request, Person(kit.NUMBER), terms) == first
    assert kit.size(world.house) == before


def test_the_same_id_with_another_body_is_refused_with_a_receipt(world: World) -> None:
    bank, request, terms = world.bank(), str(uuid.uuid4()), world.terms()
    bank.request_consent(request, Person(kit.NUMBER), terms)
    other = bank.request_consent(request, Person(kit.OTHER_NUMBER), terms)
    kit.check_refused(world, other, "query-id-reused", request)
    assert len(kit.of_type(world.house, "consent.requested")) == 1


def test_another_banks_request_id_is_refused_with_a_receipt_even_for_the_same_body(world: World) -> None:
    request, terms = str(uuid.uuid4()), world.terms()
    assert isinstance(world.bank().request_consent(request, Person(kit.NUMBER), terms), ConsentRequested)
    other = world.bank(world.other_key).request_consent(request, Person(kit.NUMBER), terms)
    kit.check_refused(world, other, "query-id-reused", request)


def test_sixteen_copies_of_a_request_at_once_are_one_request(world: World) -> None:
    request, terms = str(uuid.uuid4()), world.terms()

    def ask() -> object:
        with world.bank() as bank:
            return bank.request_consent(request, Person(kit.NUMBER), terms)

    first, *others = kit.together(*[ask] * 16)
    assert isinstance(first, ConsentRequested)
    assert all(other == first for other in others)
    assert len(kit.of_type(world.house, "consent.requested")) == 1


def test_a_request_is_seen_by_its_bank_and_its_citizen_only(world: World) -> None:
    citizen, stranger = world.citizen(kit.NUMBER), world.citizen(kit.OTHER_NUMBER)
    asked = world.ask(citizen)
    mine, banks = (
        citizen.client.consent_request(asked.request_id),
        world.bank().consent_request(asked.request_id),
    )
    assert not isinstance(mine, Refused)
    assert not isinstance(banks, Refused)
    assert mine["state"] == banks.state == "requested"
    hidden = stranger.client.consent_request(asked.request_id)
    other = world.bank(world.other_key).consent_request(asked.request_id)
    absent = world.bank().consent_request(str(uuid.uuid4()))
    for refused in (hidden, other, absent):
        assert isinstance(refused, Refused)
        assert refused.problem.name == "not-found"


def test_an_operator_without_standing_looks_at_nothing(world: World) -> None:
    """A stolen operator key is of no use once the operator is suspended, not even for looking."""
    citizen = world.citizen(kit.NUMBER)
    consent, asked = world.consent(citizen), world.ask(citizen)
    for noun, name in (("operator", world.operators[BANK]), ("institution", BANK)):
        suspend(world.house, noun, name, "stolen")
        for refused in (world.bank().consent(consent), world.bank().consent_request(asked.request_id)):
            assert isinstance(refused, Refused)
            assert refused.problem.name == f"{noun}-suspended"
        reinstate(world.house, noun, name, "found")
    assert not isinstance(world.bank().consent(consent), Refused)


def test_a_declined_request_stays_declined(world: World) -> None:
    citizen = world.citizen(kit.NUMBER)
    asked = world.ask(citizen)
    index = citizen.client.decline(asked.request_id, asked.document_sha256)
    assert kit.leaves(world.house)[index].type == "consent.declined"
    again = citizen.client.decline(asked.request_id, asked.document_sha256)
    granted = citizen.client.grant(world.wallet.sign_consent(asked.template, citizen.key))
    for refused in (again, granted):
        assert isinstance(refused, Refused)
        assert refused.problem.name == "already-answered"
    assert world.bank().consent_request(asked.request_id).state == "declined"
    assert not kit.of_type(world.house, "consent.granted")


def test_a_stranger_cannot_decline_and_a_wrong_document_is_not_declined(world: World) -> None:
    citizen, stranger = world.citizen(kit.NUMBER), world.citizen(kit.OTHER_NUMBER)
    asked = world.ask(citizen)
    refused = stranger.client.decline(asked.request_id, asked.document_sha256)
    assert isinstance(refused, Refused)
    assert refused.problem.name == "not-found"
    refused = citizen.client.decline(asked.request_id, "0" * 64)
    assert isinstance(refused, Refused)
    assert refused.problem.name == "consent-mismatch"
    body = {"request_id": str(uuid.uuid4()), "document_sha256": asked.document_sha256}
    path = f"/v1/consent-requests/{asked.request_id}/decline"
    assert (
        kit.name_of(kit.citizens_request(world, citizen.key, "POST", path, body).send()) == "consent-mismatch"
    )
    assert not kit.of_type(world.house, "consent.declined")


def test_a_granted_request_cannot_be_declined(world: World) -> None:
    citizen = world.citizen(kit.NUMBER)
    asked = world.ask(citizen)
    citizen.client.grant(world.wallet.sign_consent(asked.template, citizen.key))
    refused = citizen.client.decline(asked.request_id, asked.document_sha256)
    assert isinstance(refused, Refused)
    assert refused.problem.name == "already-answered"


def test_a_request_that_nobody_answers_lapses_and_can_no_longer_be_granted(world: World) -> None:
    citizen = world.citizen(kit.NUMBER)
    asked = world.ask(citizen)
    assert lapse_due(world.house) == 0
    world.clock.offset += 14 * DAY_MS + 1_000
    refused = citizen.client.grant(world.wallet.sign_consent(asked.template, citizen.key))
    assert isinstance(refused, Refused)
    assert refused.problem.name == "request-lapsed"
    assert world.bank().consent_request(asked.request_id).state == "lapsed"
    assert lapse_due(world.house) == 1
    assert lapse_due(world.house) == 0
    [leaf] = kit.of_type(world.house, "consent.lapsed")
    assert leaf.body.request == asked.request_id
    refused = citizen.client.grant(world.wallet.sign_consent(asked.template, citizen.key))
    assert isinstance(refused, Refused)
    assert refused.problem.name == "already-answered"


def test_a_granted_request_does_not_lapse(world: World) -> None:
    world.consent(world.citizen(kit.NUMBER))
    world.clock.offset += 15 * DAY_MS
    assert lapse_due(world.house) == 0


def test_a_damaged_request_does_not_keep_the_others_from_lapsing(world: World) -> None:
    citizen = world.citizen(kit.NUMBER)
    damaged, other = world.ask(citizen), world.ask(citizen)
    kit.insider(
        world.house, "UPDATE consent_requests SET lapses_at = 5 WHERE request = ?", [damaged.request_id]
    )
    world.clock.offset += 15 * DAY_MS
    assert lapse_due(world.house) == 1
    assert [leaf.body.request for leaf in kit.of_type(world.house, "consent.lapsed")] == [other.request_id]


def test_a_request_that_an_insider_rewrote_is_not_granted(world: World) -> None:
    citizen, victim = world.citizen(kit.NUMBER), world.citizen(kit.OTHER_NUMBER)
    asked, theirs = world.ask(citizen), world.ask(victim)
    row = kit.row_of(world.house, "consent_requests", "request = ?", theirs.request_id)
    kit.insider(
        world.house,
        "UPDATE consent_requests SET citizen_number = ?, data_key = ? WHERE request = ?",
        [row["citizen_number"], row["data_key"], asked.request_id],
    )
    refused = citizen.client.grant(world.wallet.sign_consent(asked.template, citizen.key))
    assert isinstance(refused, Refused)
    assert refused.problem.name == "evidence-damaged"
    assert not kit.of_type(world.house, "consent.granted")
