"""A withdrawal is final, as easy as granting, and only the person's own."""

from __future__ import annotations

import uuid

from gateway.client.citizen import Recorded
from gateway.client.reply import Refused
from gateway.institutions.register import suspend
from tests.gateway import kit
from tests.gateway.world import BANK, REGISTRAR, World, fresh_key


def test_a_withdrawal_sent_again_gives_the_receipt_of_the_first(world: World) -> None:
    citizen = world.citizen(kit.NUMBER)
    consent = world.consent(citizen)
    body = world.wallet.sign_withdrawal_of(consent, world.house.origin, citizen.key)
    first, again = citizen.client.withdraw(body), citizen.client.withdraw(body)
    anew = world.withdraw(citizen, consent)
    for one in (first, again, anew):
        assert isinstance(one, Recorded)
        assert one.signed.receipt == first.signed.receipt
    [leaf] = kit.of_type(world.house, "consent.withdrawn")
    [granted] = kit.of_type(world.house, "consent.granted")
    assert (leaf.index, leaf.body.grant) == (first.signed.receipt.index, granted.index)


def test_a_withdrawn_consent_cannot_be_granted_again(world: World) -> None:
    citizen = world.citizen(kit.NUMBER)
    asked = world.ask(citizen)
    body = world.wallet.sign_consent(asked.template, citizen.key)
    granted = citizen.client.grant(body)
    world.withdraw(citizen, asked.consent_id)
    assert citizen.client.grant(body) == granted  # the receipt of then, and nothing new
    kit.check_refused(world, world.query(asked.consent_id), "withdrawn")
    assert len(kit.of_type(world.house, "consent.granted")) == 1


def test_nobody_else_withdraws_it(world: World) -> None:
    citizen, stranger = world.citizen(kit.NUMBER), world.citizen(kit.OTHER_NUMBER)
    consent = world.consent(citizen)
    for key in (stranger.key, fresh_key()):
        refused = stranger.client.withdraw(world.wallet.sign_withdrawal_of(consent, world.house.origin, key))
        assert isinstance(refused, Refused)
        assert refused.problem.name == "bad-proof"
    forged = world.wallet.sign_withdrawal_of(consent, world.house.origin, stranger.key)
    forged["document"]["subject"] = citizen.key.kid
    refused = stranger.client.withdraw(forged)
    assert isinstance(refused, Refused)
    assert refused.problem.name == "bad-proof"
    assert not kit.of_type(world.house, "consent.withdrawn")


def test_a_withdrawal_for_another_gateway_or_of_nothing_is_refused(world: World) -> None:
    from gateway.client.wallet import Wallet

    citizen = world.citizen(kit.NUMBER)
    consent = world.consent(citizen)
    elsewhere = Wallet().sign_withdrawal_of(consent, "elsewhere.cn/log0", citizen.key)
    absent = Wallet().sign_withdrawal_of(str(uuid.uuid4()), world.house.origin, citizen.key)
    decoys = Wallet().sign_withdrawal_of(world.house.decoy.consent, world.house.origin, citizen.key)
    names = []
    for body in (elsewhere, absent, decoys):
        refused = citizen.client.withdraw(body)
        assert isinstance(refused, Refused)
        names.append(refused.problem.name)
    assert names == ["consent-mismatch", "not-found", "not-found"]


def test_a_citizen_withdraws_whoever_is_suspended(world: World) -> None:
    citizen = world.citizen(kit.NUMBER)
    consent = world.consent(citizen)
    suspend(world.house, "institution", BANK, "audit-failed")
    suspend(world.house, "institution", REGISTRAR, "audit-failed")
    assert isinstance(world.withdraw(citizen, consent), Recorded)


def test_a_used_up_consent_may_still_be_withdrawn(world: World) -> None:
    citizen = world.citizen(kit.NUMBER)
    consent = world.consent(citizen, max_uses=1)
    world.query(consent)
    assert isinstance(world.withdraw(citizen, consent), Recorded)
    kit.check_refused(world, world.query(consent), "withdrawn")


def test_a_withdrawal_of_a_damaged_grant_says_so_and_records_nothing(world: World) -> None:
    citizen = world.citizen(kit.NUMBER)
    consent = world.consent(citizen)
    kit.insider(world.house, "UPDATE grants SET uses = 2 WHERE consent = ?", [consent])
    refused = world.withdraw(citizen, consent)
    assert isinstance(refused, Refused)
    assert refused.problem.name == "evidence-damaged"
    assert not kit.of_type(world.house, "consent.withdrawn")
