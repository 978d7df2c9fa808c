"""Enrolment: a registered registrar's certificate, for this person, for this key; a further key waits."""

from __future__ import annotations

from pathlib import Path

import msgspec

from gateway.client.reply import Refused
from gateway.institutions.register import reinstate, suspend
from keys.canonical import parse_canonical
from tests.gateway import kit
from tests.gateway.world import (
    DAY_MS,
    REGISTRAR,
    SOURCE,
    Citizen,
    World,
    fresh_key,
    new_registrar,
    new_world,
    roomy_policy,
)


def enrol(citizen: Citizen, certificate: bytes | None = None, number: str | None = None) -> str | int:
    outcome = citizen.client.enrol(certificate or citizen.certificate, number or citizen.number)
    return outcome.problem.name if isinstance(outcome, Refused) else outcome


def person(world: World, number: str = kit.NUMBER) -> Citizen:
    return world.citizen(number, enrol=False)


def test_enrolling_twice_changes_nothing(world: World) -> None:
    citizen = person(world)
    index = enrol(citizen)
    before = kit.size(world.house)
    assert enrol(citizen) == index
    assert kit.size(world.house) == before


def test_a_second_key_that_would_act_at_once_is_refused(world: World) -> None:
    world.citizen(kit.NUMBER)
    assert enrol(person(world)) == "bad-certificate"
    assert len(kit.of_type(world.house, "subject.enrolled")) == 1


def test_one_key_is_not_two_persons(world: World) -> None:
    citizen = world.citizen(kit.NUMBER)
    certificate = world.registrar.certify(world.house.origin, kit.OTHER_NUMBER, citizen.key, world.clock())
    assert enrol(citizen, certificate, kit.OTHER_NUMBER) == "second-key"


def test_a_certificate_of_another_person_enrols_nobody(world: World) -> None:
    assert enrol(person(world), number=kit.OTHER_NUMBER) == "bad-certificate"
    assert not kit.insider(world.house, "SELECT 1 FROM subject_index")


def test_a_certificate_sent_with_another_key_enrols_nobody(world: World) -> None:
    """Who found a certificate cannot use it: the request is signed by the key that it names."""
    citizen = person(world)
    body = {"citizen_number": kit.NUMBER, "certificate": parse_canonical(citizen.certificate)}
    reply = kit.citizens_request(world, fresh_key(), "POST", "/v1/enrolments", body).send()
    assert (reply.status_code, kit.name_of(reply)) == (401, "bad-signature")


def test_a_registrar_who_is_not_registered_certifies_nobody(world: World) -> None:
    citizen, stranger = person(world), new_registrar()
    for name in (REGISTRAR, SOURCE, "91990000DEMA09999X"):
        forged = stranger.certify(world.house.origin, kit.NUMBER, citizen.key, world.clock(), registrar=name)
        assert enrol(citizen, forged) == "bad-certificate"


def test_the_decoys_registrar_certifies_nobody(world: World) -> None:
    citizen = person(world)
    forged = new_registrar().certify(
        world.house.origin, kit.NUMBER, citizen.key, world.clock(), registrar="decoy"
    )
    assert enrol(citizen, forged) == "bad-certificate"


def test_a_suspended_registrar_certifies_nobody_until_reinstated(world: World) -> None:
    citizen = person(world)
    suspend(world.house, "institution", REGISTRAR, "audit-failed")
    assert enrol(citizen) == "institution-suspended"
    reinstate(world.house, "institution", REGISTRAR, "audit-passed")
    assert isinstance(enrol(citizen), int)


def test_a_certificate_for_another_gateway_or_time_enrols_nobody(world: World) -> None:
    citizen = person(world)
    elsewhere = world.registrar.certify("elsewhere.cn/log0", kit.NUMBER, citizen.key, world.clock())
    tomorrow = world.registrar.certify(world.house.origin, kit.NUMBER, citizen.key, world.clock() + DAY_MS)
    assert enrol(citizen, elsewhere) == "bad-certificate"
    assert enrol(citizen, tomorrow) == "bad-certificate"


def test_a_key_that_would_act_before_the_policy_lets_it_is_not_enrolled(tmp_path: Path) -> None:
    policy = roomy_policy()
    enrolment = msgspec.structs.replace(policy.enrolment, waits={"in-person": 24})
    with new_world(tmp_path / "home", policy=msgspec.structs.replace(policy, enrolment=enrolment)) as world:
        citizen, at = person(world), world.clock()
        for waited, outcome in ((0, "bad-certificate"), (DAY_MS - 1, "bad-certificate"), (DAY_MS, int)):
            certificate = world.registrar.certify(
                world.house.origin, kit.NUMBER, citizen.key, at, effective=at + waited
            )
            got = enrol(citizen, certificate)
            assert got == outcome or type(got) is outcome


def test_both_kinds_of_key_sign_for_a_citizen(world: World) -> None:
    for serial, alg in enumerate(("Ed25519", "ES256")):
        citizen = world.citizen(kit.person(serial + 1), alg=alg)
        assert isinstance(citizen.client.report(), dict)


def test_an_unknown_key_reads_no_report(world: World) -> None:
    refused = person(world).client.report()
    assert isinstance(refused, Refused)
    assert refused.problem.name == "unknown-key"
    reply = kit.prepare(world, world.bank_key, "GET", "/v1/me/report").send()
    assert reply.status_code == 401


def test_a_report_holds_ones_own_and_nobody_elses(world: World) -> None:
    world.import_records([kit.loan(), kit.loan(kit.OTHER_NUMBER, "T-2")])
    citizen, other = world.citizen(kit.NUMBER), world.citizen(kit.OTHER_NUMBER)
    consent = world.consent(citizen)
    report, theirs = citizen.client.report(), other.client.report()
    assert not isinstance(report, Refused)
    assert not isinstance(theirs, Refused)
    assert report["person"]["citizen_number"] == kit.NUMBER
    assert [one["reference"] for one in report["records"]["loan"]] == ["T-1/loan"]
    assert [one["consent_id"] for one in report["consents"]] == [consent]
    assert [one["reference"] for one in theirs["records"]["loan"]] == ["T-2/loan"]
    assert theirs["consents"] == []


def test_a_key_moved_to_another_person_reads_nothing(world: World) -> None:
    """An insider who points a citizen's key at a victim's row gets an error, not the victim's report."""
    citizen, victim = world.citizen(kit.NUMBER), world.citizen(kit.OTHER_NUMBER)
    rows = kit.insider(
        world.house, "SELECT subject, changed_index FROM citizen_keys WHERE about != 'decoy' ORDER BY 2"
    )
    mine, theirs = (row[0] for row in rows)
    kit.insider(world.house, "DELETE FROM citizen_keys WHERE subject = ?", [theirs])
    kit.insider(world.house, "UPDATE citizen_keys SET subject = ? WHERE subject = ?", [theirs, mine])
    refused = citizen.client.report()
    assert isinstance(refused, Refused)
    assert refused.problem.name == "evidence-damaged"
    assert isinstance(victim.client.report(), Refused)
