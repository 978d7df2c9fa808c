"""A citizen's keys over years: a further one waits and is announced; one is lost, one stolen, one refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from consent.asks import Reason
from consent.counter import CounterListing, CounterWithdrawal
from gateway.client.bank import Answer
from gateway.client.reply import Refused
from gateway.client.wallet import Wallet
from gateway.demo.people import synthetic_uscc
from gateway.export import export_ledger
from gateway.institutions.register import NewInstitution, add_institution, reinstate, suspend
from keys.signing import parse_public_jwk
from ledger.verify import Trust, audit
from tests.gateway import kit
from tests.gateway.people.life import (
    SECOND_MS,
    Counter,
    counter,
    enrolled,
    further_key,
    name_of,
    resume,
    revoke,
    second_key,
)
from tests.gateway.world import DAY_MS, REGISTRAR, Citizen, World, fresh_key, new_registrar


def grants(world: World, citizen: Citizen) -> Any:
    """What becomes of a consent that this key signs."""
    asked = world.ask(citizen)
    return citizen.client.grant(world.wallet.sign_consent(asked.template, citizen.key))


def audited(world: World, folder: Path) -> int:
    """The export verifies, everything sealed opened, registrars pinned; how many leaves it has."""
    published = world.publishing.publish_now()
    assert published is not None
    export_ledger(world.house, published, folder)
    pins = {REGISTRAR: (parse_public_jwk(world.registrar.key.jwk),)}
    summary = audit(folder, Trust(world.bank().pins.vkey, pins, world.regulator_private))
    assert summary.not_ours == 0
    return summary.size


# --- a further key waits, and the first is told ---


def test_a_further_key_acts_72_hours_after_its_entry_and_not_a_minute_sooner(
    world: World, tmp_path: Path
) -> None:
    first = world.citizen(kit.NUMBER)
    second = enrolled(further_key(world, first))
    world.clock.offset += SECOND_MS - 60_000
    assert name_of(grants(world, second)) == "key-not-live"
    assert name_of(second.client.report()) == "key-not-live"
    assert name_of(world.withdraw(second, world.consent(first))) == "key-not-live"
    world.clock.offset += 60_000
    assert not isinstance(grants(world, second), Refused)
    assert isinstance(second.client.report(), dict)
    assert audited(world, tmp_path / "export") == kit.size(world.house)


def test_a_certificate_that_was_kept_back_wins_its_holder_no_time(world: World) -> None:
    """The wait counts from the entry, which is what the holder of the first key can see."""
    first = world.citizen(kit.NUMBER)
    second = further_key(world, first)
    world.clock.offset += 10 * SECOND_MS
    enrolled(second)
    assert name_of(grants(world, second)) == "key-not-live"
    world.clock.offset += SECOND_MS + 1_000
    assert not isinstance(grants(world, second), Refused)


def test_a_further_key_is_announced_to_the_first(world: World) -> None:
    first = world.citizen(kit.NUMBER)
    second = enrolled(further_key(world, first))
    listed = first.client.accesses()
    assert not isinstance(listed, Refused)
    assert [one.registrar for one in listed if one.type == "subject.enrolled"] == [REGISTRAR] * 2
    keys = first.client.keys()
    assert isinstance(keys, dict)
    assert [one["key"] for one in keys["keys"]] == [first.key.kid, second.key.kid]
    assert keys["keys"][1]["effective"] > keys["as_of"]


def test_a_further_key_cannot_be_enrolled_with_a_grant_that_it_signs(world: World) -> None:
    first = world.citizen(kit.NUMBER)
    second = further_key(world, first)
    asked = world.ask(first)
    body = world.wallet.sign_consent(asked.template, second.key, certificate=second.certificate)
    assert name_of(second.client.grant(body)) == "key-not-live"
    assert len(kit.of_type(world.house, "subject.enrolled")) == 1


def test_whichever_key_is_live_withdraws_what_another_granted(world: World, tmp_path: Path) -> None:
    first = world.citizen(kit.NUMBER)
    consent = world.consent(first)
    second = second_key(world, first)
    assert not isinstance(world.withdraw(second, consent), Refused)
    assert name_of(world.query(consent)) == "withdrawn"
    audited(world, tmp_path / "export")


def test_an_insider_who_hides_the_first_key_spares_the_second_no_wait(world: World) -> None:
    first = world.citizen(kit.NUMBER)
    kit.insider(world.house, "DELETE FROM citizen_keys WHERE about != 'decoy'")
    key = fresh_key()
    at_once = world.registrar.certify(world.house.origin, kit.NUMBER, key, world.clock())
    reply = kit.citizens_request(
        world, key, "POST", "/v1/enrolments",
        {"citizen_number": kit.NUMBER, "certificate": kit.parse_canonical(at_once)},
    ).send()  # fmt: skip
    assert kit.name_of(reply) == "evidence-damaged"
    assert name_of(first.client.report()) == "unknown-key"


# --- lost, compromised, refused ---


def test_what_a_lost_key_granted_is_still_answered_and_the_key_acts_no_more(
    world: World, tmp_path: Path
) -> None:
    first = world.citizen(kit.NUMBER)
    consent = world.consent(first)
    second = second_key(world, first)
    [done] = revoke(world, second, first, "lost")
    assert (done.key, done.suspended) == (first.key.kid, 0)
    assert isinstance(world.query(consent), Answer)
    assert name_of(first.client.report()) == "key-not-live"
    assert name_of(world.withdraw(first, consent)) == "key-not-live"
    assert not isinstance(world.withdraw(second, consent), Refused)
    audited(world, tmp_path / "export")


def test_what_a_compromised_key_granted_is_suspended_and_resumed_by_another(
    world: World, tmp_path: Path
) -> None:
    first = world.citizen(kit.NUMBER)
    stolen, withdrawn = world.consent(first), world.consent(first)
    world.withdraw(first, withdrawn)
    second = second_key(world, first)
    kept = world.consent(second)
    [done] = revoke(world, second, first, "compromised")
    assert done.suspended == 1
    assert name_of(world.query(stolen)) == "consent-suspended"
    assert name_of(world.query(withdrawn)) == "withdrawn"
    assert isinstance(world.query(kept), Answer)
    assert resume(world, second, stolen).state == "resumed"
    assert isinstance(world.query(stolen), Answer)
    leaves = kit.leaves(world.house)
    suspended = next(leaf for leaf in leaves if leaf.type == "consent.suspended")
    assert suspended.body.key == done.index == suspended.index - 1
    audited(world, tmp_path / "export")


def test_an_answer_under_a_suspended_consent_is_not_given_again(world: World) -> None:
    first = world.citizen(kit.NUMBER)
    consent = world.consent(first, max_uses=1)
    second = second_key(world, first)
    body = kit.query_body(consent)
    assert kit.post_query(world, body).status_code == 200
    assert not isinstance(revoke(world, second, first, "compromised"), Refused)
    assert kit.name_of(kit.post_query(world, body)) == "consent-suspended"


def test_the_last_key_may_be_revoked_and_the_next_one_waits(world: World, tmp_path: Path) -> None:
    first = world.citizen(kit.NUMBER)
    [done] = revoke(world, first, first, "lost")
    assert revoke(world, first, first, "lost") == (done,)
    later = enrolled(further_key(world, first))
    assert name_of(grants(world, later)) == "key-not-live"
    world.clock.offset += SECOND_MS + 1_000
    assert not isinstance(grants(world, later), Refused)
    assert name_of(first.client.enrol(first.certificate, first.number)) == "second-key"
    audited(world, tmp_path / "export")


def test_the_first_key_refuses_a_second_before_it_takes_effect_and_not_after(
    world: World, tmp_path: Path
) -> None:
    first = world.citizen(kit.NUMBER)
    strange = enrolled(further_key(world, first))
    assert name_of(revoke(world, strange, first, "compromised")) == "key-not-live"
    assert not isinstance(revoke(world, first, strange, "refused"), Refused)
    world.clock.offset += SECOND_MS + 1_000
    assert name_of(grants(world, strange)) == "key-not-live"
    own = second_key(world, first)
    assert name_of(revoke(world, first, own, "refused")) == "key-in-effect"
    audited(world, tmp_path / "export")


def test_a_key_that_was_revoked_objects_to_nothing(world: World) -> None:
    thief = world.citizen(kit.NUMBER)
    honest = enrolled(further_key(world, thief))
    assert not isinstance(counter(world).revoke(kit.NUMBER, "compromised", thief.key.kid), Refused)
    assert name_of(revoke(world, thief, honest, "refused")) == "key-not-live"
    world.clock.offset += SECOND_MS + 1_000
    assert not isinstance(grants(world, honest), Refused)


def test_a_thief_who_says_lost_keeps_no_consents_once_the_counter_says_compromised(
    world: World, tmp_path: Path
) -> None:
    thief = world.citizen(kit.NUMBER)
    consent = world.consent(thief)
    assert not isinstance(revoke(world, thief, thief, "lost"), Refused)
    assert isinstance(world.query(consent), Answer)
    [done] = counter(world).revoke(kit.NUMBER, "compromised")
    assert done.suspended == 1
    assert name_of(world.query(consent)) == "consent-suspended"
    audited(world, tmp_path / "export")


def test_a_resumption_serves_one_suspension_by_a_live_key_of_its_person(world: World) -> None:
    first, other = world.citizen(kit.NUMBER), world.citizen(kit.OTHER_NUMBER)
    consent = world.consent(first)
    second = second_key(world, first)
    [done] = revoke(world, second, first, "compromised")
    wallet, origin = Wallet(world.house.origin), world.house.origin

    def sent(signer: Citizen, suspension: int) -> Any:
        return signer.client.resume(wallet.sign_resumption(consent, suspension, origin, signer.key))

    assert name_of(sent(first, done.index + 1)) == "key-not-live"
    assert name_of(sent(other, done.index + 1)) == "bad-proof"
    assert name_of(sent(second, done.index)) == "consent-mismatch"
    assert not isinstance(sent(second, done.index + 1), Refused)
    assert name_of(sent(second, done.index + 1)) == "already-answered"


def test_nobody_revokes_a_key_of_somebody_else(world: World) -> None:
    citizen, other = world.citizen(kit.NUMBER), world.citizen(kit.OTHER_NUMBER)
    assert name_of(revoke(world, other, citizen, "lost")) == "bad-proof"
    citizen.key, strange = fresh_key(), citizen.key
    assert name_of(revoke(world, other, citizen, "lost")) == "not-found"
    citizen.key = strange
    assert isinstance(citizen.client.report(), dict)


def test_an_insider_who_brings_a_revoked_key_back_gets_an_alarm(world: World) -> None:
    citizen = world.citizen(kit.NUMBER)
    before = kit.row_of(world.house, "citizen_keys", "about != 'decoy'")
    assert not isinstance(revoke(world, citizen, citizen, "lost"), Refused)
    kit.put_back(world.house, "citizen_keys", "kid_lookup", before)
    assert name_of(citizen.client.report()) == "evidence-damaged"


def test_of_a_revocation_and_a_query_one_is_first_and_the_other_sees_it(world: World) -> None:
    first = world.citizen(kit.NUMBER)
    second = second_key(world, first)
    for _ in range(4):
        consent = world.consent(second)
        third = second_key(world, second)
        answered, revoked = kit.together(
            lambda one=consent: kit.ask_house(world, one),
            lambda signer=third, ended=second: revoke(world, signer, ended, "compromised"),
        )
        [done] = revoked
        disclosed = [leaf.index for leaf in kit.of_type(world.house, "query.disclosed")]
        assert all(index < done.index for index in disclosed)
        assert getattr(answered, "reason", None) in (None, Reason.CONSENT_SUSPENDED)
        assert name_of(world.query(consent)) == "consent-suspended"
        second = third


# --- the counter ---


def test_two_officers_withdraw_for_who_came_without_a_key(world: World, tmp_path: Path) -> None:
    citizen = world.citizen(kit.NUMBER)
    consent = world.consent(citizen)
    listed = counter(world).consents(kit.NUMBER)
    [held] = listed["consents"]
    assert (held["consent_id"], held["state"], held["recipient_name"]) == (consent, "granted", "测试银行")
    assert [one["key"] for one in listed["keys"]] == [citizen.key.kid]
    done = counter(world).withdraw(kit.NUMBER, consent)
    assert done.state == "withdrawn"
    assert counter(world).withdraw(kit.NUMBER, consent).signed.receipt == done.signed.receipt
    assert name_of(world.query(consent)) == "withdrawn"
    leaf = kit.of_type(world.house, "consent.withdrawn")[0]
    assert (leaf.by.registrar, leaf.body.by) == (REGISTRAR, "counter")
    seen = citizen.client.accesses()
    assert not isinstance(seen, Refused)
    assert [(one.type, one.registrar) for one in seen if one.registrar][-2:] == [
        ("subject.read", REGISTRAR),
        ("consent.withdrawn", REGISTRAR),
    ]
    audited(world, tmp_path / "export")


def test_a_lost_phone_takes_every_key_along_but_none_that_came_after_the_order(world: World) -> None:
    first = world.citizen(kit.NUMBER)
    second = second_key(world, first)
    at = world.clock()
    world.clock.offset += 1_000
    third = enrolled(further_key(world, second))
    done = counter(world).revoke(kit.NUMBER, "lost", at=at)
    assert {one.key for one in done} == {first.key.kid, second.key.kid}
    assert counter(world).revoke(kit.NUMBER, "lost", at=at) == done
    world.clock.offset += SECOND_MS + 1_000
    assert isinstance(third.client.report(), dict)


def test_the_counter_sees_and_ends_nothing_of_another_person(world: World) -> None:
    citizen, other = world.citizen(kit.NUMBER), world.citizen(kit.OTHER_NUMBER)
    consent = world.consent(citizen)
    assert name_of(counter(world).withdraw(kit.OTHER_NUMBER, consent)) == "not-found"
    assert name_of(counter(world).revoke(kit.OTHER_NUMBER, "lost", citizen.key.kid)) == "not-found"
    assert counter(world).consents(kit.OTHER_NUMBER)["consents"] == []
    for number in (kit.person(7), kit.person(8)):
        assert name_of(counter(world).consents(number)) == "counter-refused"
    order = counter(world).order(CounterListing, kit.NUMBER)
    assert name_of(counter(world).client.consents(order, kit.OTHER_NUMBER)) == "counter-refused"
    assert isinstance(other.client.report(), dict)


def test_a_list_is_given_once_for_each_order(world: World) -> None:
    world.citizen(kit.NUMBER)
    desk = counter(world)
    order = desk.order(CounterListing, kit.NUMBER)
    assert isinstance(desk.client.consents(order, kit.NUMBER), dict)
    assert name_of(desk.client.consents(order, kit.NUMBER)) == "replayed-nonce"
    assert len(kit.of_type(world.house, "subject.read")) == 1


def test_an_order_is_two_officers_of_the_persons_own_registrar_today(world: World) -> None:
    consent = world.consent(world.citizen(kit.NUMBER))
    desk = counter(world)

    def refused(by: Counter, **members: Any) -> str:
        return name_of(by.withdraw(kit.NUMBER, consent, **members))

    officers = world.registrar.officers
    one_key = replace(world.registrar, officers=dict.fromkeys(officers, officers["officer-a"]))
    registrars_own = replace(world.registrar, officers=officers | {"officer-b": world.registrar.key})
    assert refused(Counter(world, one_key)) == "counter-refused"
    assert refused(Counter(world, registrars_own)) == "counter-refused"
    assert refused(Counter(world, new_registrar())) == "counter-refused"
    assert refused(Counter(world, world.registrar, not_after=-1)) == "counter-refused"
    assert refused(desk, at=world.clock() - DAY_MS - 1_000) == "counter-refused"
    assert refused(desk, at=world.clock() + 60_000) == "counter-refused"
    assert refused(desk, gateway="elsewhere.cn/log0") == "counter-refused"
    other, name = new_registrar(), synthetic_uscc(41)
    public = parse_public_jwk(other.key.jwk)
    add_institution(
        world.house, NewInstitution(name, "另一核验中心", "registrar", ("registrar",), registrar_key=public)
    )
    assert refused(Counter(world, other, name)) == "counter-refused"
    suspend(world.house, "institution", REGISTRAR, "audit-failed")
    assert refused(desk) == "institution-suspended"
    reinstate(world.house, "institution", REGISTRAR, "audit-passed")
    assert desk.withdraw(kit.NUMBER, consent).state == "withdrawn"


def test_one_officer_cannot_sign_twice(world: World) -> None:
    consent = world.consent(world.citizen(kit.NUMBER))
    order = counter(world).order(CounterWithdrawal, kit.NUMBER, consent_id=consent)
    twice = order.__class__(
        document=order.document,
        signatures=(order.signatures[0], order.signatures[0]),
        officers=(order.officers[0], order.officers[0]),
    )
    assert name_of(counter(world).client.withdraw(twice, kit.NUMBER)) == "counter-refused"
    assert isinstance(world.query(consent), Answer)
