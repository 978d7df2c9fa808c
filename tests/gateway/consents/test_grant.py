"""A grant: only the document that was asked for, signed by the key that was certified for that person."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from consent.document import consent_hash
from gateway.client.bank import Answer
from gateway.client.citizen import Recorded
from gateway.client.reply import Refused
from gateway.institutions.register import reinstate, suspend
from gateway.policies import apply_policy
from keys.canonical import canonical, parse_canonical
from tests.gateway import kit
from tests.gateway.world import BANK, REGISTRAR, SOURCE, World, fresh_key, new_registrar


def refused_as(outcome: object) -> str:
    assert isinstance(outcome, Refused), outcome
    return outcome.problem.name


def test_a_grant_sent_again_gives_the_receipt_of_the_first(world: World) -> None:
    citizen = world.citizen(kit.NUMBER)
    body = world.wallet.sign_consent(world.ask(citizen).template, citizen.key)
    first, again = citizen.client.grant(body), citizen.client.grant(body)
    assert isinstance(first, Recorded)
    assert isinstance(again, Recorded)
    assert first.signed.receipt == again.signed.receipt
    [leaf] = kit.of_type(world.house, "consent.granted")
    assert leaf.index == first.signed.receipt.index
    assert leaf.body.consent_hash == consent_hash(canonical(body["document"])).hex()


def test_thirty_two_copies_of_a_grant_at_once_are_one_grant(world: World) -> None:
    citizen = world.citizen(kit.NUMBER)
    body = world.wallet.sign_consent(world.ask(citizen).template, citizen.key)
    results = kit.together(*[lambda: citizen.client.grant(body)] * 32)
    assert len({one.signed.receipt.index for one in results}) == 1
    assert len(kit.of_type(world.house, "consent.granted")) == 1


def test_a_second_grant_with_other_categories_is_refused(world: World) -> None:
    citizen = world.citizen(kit.NUMBER)
    asked = world.ask(citizen)
    assert isinstance(citizen.client.grant(world.wallet.sign_consent(asked.template, citizen.key)), Recorded)
    other = world.wallet.sign_consent(asked.template, citizen.key, without=("repayment",))
    assert refused_as(citizen.client.grant(other)) == "already-answered"


def test_leaving_out_an_optional_category_narrows_the_consent(world: World) -> None:
    citizen = world.citizen(kit.NUMBER)
    asked = world.ask(citizen)
    body = world.wallet.sign_consent(asked.template, citizen.key, without=("repayment",))
    assert isinstance(citizen.client.grant(body), Recorded)
    kit.check_refused(world, world.query(asked.consent_id), "category-not-consented")
    assert isinstance(world.query(asked.consent_id, categories=("loan",)), Answer)


def test_leaving_out_a_necessary_category_is_refused(world: World) -> None:
    citizen = world.citizen(kit.NUMBER)
    body = world.wallet.sign_consent(world.ask(citizen).template, citizen.key, without=("loan",))
    assert refused_as(citizen.client.grant(body)) == "consent-mismatch"


ALTERED: dict[str, dict[str, Any]] = {
    "more-uses": {"max_uses": 10},
    "longer": {"not_after": "2099-01-01T00:00:00.000Z"},
    "kept-longer": {"retention_days": 92},
    "another-purpose": {"purpose": "03"},
    "more-categories": {"categories": ["employment", "loan", "repayment"]},
    "another-bank": {"recipient": SOURCE},
    "another-nonce": {"nonce": "A" * 22},
}


@pytest.mark.parametrize("change", ALTERED.values(), ids=ALTERED.keys())
def test_a_document_that_was_altered_is_refused_though_well_signed(
    world: World, change: dict[str, Any]
) -> None:
    """Even the citizen cannot sign more than was asked for: nobody explained it to them."""
    citizen = world.citizen(kit.NUMBER)
    template = parse_canonical(world.ask(citizen).template)
    body = world.wallet.sign_consent(canonical({**template, **change}), citizen.key)
    assert refused_as(citizen.client.grant(body)) == "consent-mismatch"
    assert not kit.of_type(world.house, "consent.granted")


def test_a_document_for_another_gateway_is_refused(world: World) -> None:
    from gateway.client.wallet import Wallet

    citizen = world.citizen(kit.NUMBER)
    template = parse_canonical(world.ask(citizen).template)
    body = Wallet().sign_consent(canonical({**template, "gateway": "elsewhere.cn/log0"}), citizen.key)
    assert refused_as(citizen.client.grant(body)) == "consent-mismatch"


def test_a_document_altered_after_signing_is_refused(world: World) -> None:
    citizen = world.citizen(kit.NUMBER)
    body = world.wallet.sign_consent(world.ask(citizen).template, citizen.key)
    narrower = {**body, "document": {**body["document"], "categories": ["loan"]}}
    assert refused_as(citizen.client.grant(narrower)) == "bad-proof"


def test_another_persons_key_grants_nothing(world: World) -> None:
    citizen, stranger = world.citizen(kit.NUMBER), world.citizen(kit.OTHER_NUMBER)
    template = world.ask(citizen).template
    assert (
        refused_as(stranger.client.grant(world.wallet.sign_consent(template, stranger.key)))
        == "bad-certificate"
    )
    nobodys = world.wallet.sign_consent(template, fresh_key())
    assert refused_as(stranger.client.grant(nobodys)) == "bad-certificate"
    assert not kit.of_type(world.house, "consent.granted")


def test_another_persons_certificate_grants_nothing(world: World) -> None:
    """A real certificate, of somebody else, sent along with the request about a third person."""
    victim = world.citizen(kit.NUMBER, enrol=False)
    stranger = world.citizen(kit.OTHER_NUMBER, enrol=False)
    template = world.ask(victim).template
    body = world.wallet.sign_consent(template, stranger.key, certificate=stranger.certificate)
    assert refused_as(stranger.client.grant(body)) == "bad-certificate"
    assert not kit.of_type(world.house, "subject.enrolled")


def test_a_grant_may_bring_its_certificate(world: World) -> None:
    citizen = world.citizen(kit.NUMBER, enrol=False)
    asked = world.ask(citizen)
    without = world.wallet.sign_consent(asked.template, citizen.key)
    assert refused_as(citizen.client.grant(without)) == "bad-certificate"
    body = world.wallet.sign_consent(asked.template, citizen.key, certificate=citizen.certificate)
    assert isinstance(citizen.client.grant(body), Recorded)
    enrolled, granted = kit.leaves(world.house)[-2:]
    assert (enrolled.type, granted.type) == ("subject.enrolled", "consent.granted")
    assert enrolled.body.commitment == granted.body.commitment


def test_a_grant_that_fails_after_enrolling_enrols_nobody(world: World) -> None:
    """Both in one act: a bad proof undoes the enrolment, leaf and rows."""
    citizen = world.citizen(kit.NUMBER, enrol=False)
    body = world.wallet.sign_consent(
        world.ask(citizen).template, citizen.key, certificate=citizen.certificate
    )
    other = world.wallet.sign_consent(world.ask(citizen).template, citizen.key)
    before = kit.size(world.house)
    assert refused_as(citizen.client.grant({**body, "proof": other["proof"]})) == "bad-proof"
    assert kit.size(world.house) == before
    assert not kit.insider(world.house, "SELECT 1 FROM citizen_keys WHERE about != 'decoy'")
    assert isinstance(citizen.client.grant(body), Recorded)


def test_a_consent_that_nobody_asked_for_is_refused(world: World) -> None:
    citizen = world.citizen(kit.NUMBER)
    template = parse_canonical(world.ask(citizen).template)
    made_up = canonical({**template, "consent_id": "00000000-0000-4000-8000-000000000000"})
    assert (
        refused_as(citizen.client.grant(world.wallet.sign_consent(made_up, citizen.key)))
        == "consent-mismatch"
    )


def test_a_grant_to_a_suspended_bank_is_refused_until_it_is_reinstated(world: World) -> None:
    citizen = world.citizen(kit.NUMBER)
    body = world.wallet.sign_consent(world.ask(citizen).template, citizen.key)
    suspend(world.house, "institution", BANK, "audit-failed")
    assert refused_as(citizen.client.grant(body)) == "institution-suspended"
    reinstate(world.house, "institution", BANK, "audit-passed")
    assert isinstance(citizen.client.grant(body), Recorded)


def test_a_grant_under_a_registrar_of_nobodys_is_refused(world: World) -> None:
    citizen = world.citizen(kit.NUMBER, enrol=False)
    forged = new_registrar().certify(
        world.house.origin, kit.NUMBER, citizen.key, world.clock(), registrar=REGISTRAR
    )
    body = world.wallet.sign_consent(world.ask(citizen).template, citizen.key, certificate=forged)
    assert refused_as(citizen.client.grant(body)) == "bad-certificate"
    assert not kit.of_type(world.house, "subject.enrolled")


def test_what_a_stricter_policy_no_longer_allows_is_not_granted(world: World) -> None:
    """Asked for under one policy, signed under the next: an auditor replays the grant under the latter."""
    citizen = world.citizen(kit.NUMBER)
    body = world.wallet.sign_consent(world.ask(citizen).template, citizen.key)
    policy = world.house.policy
    shorter = [
        msgspec.structs.replace(purpose, max_days=1) if purpose.code == "02" else purpose
        for purpose in policy.purposes
    ]
    apply_policy(world.house, msgspec.structs.replace(policy, purposes=tuple(shorter)))
    assert refused_as(citizen.client.grant(body)) == "validity-too-long"
    assert not kit.of_type(world.house, "consent.granted")
