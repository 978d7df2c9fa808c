"""Every leaf type is produced by a running gateway, and what it wrote is verified."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from consent.quotas import Quota
from gateway.client.bank import Answer
from gateway.client.reply import Refused
from gateway.client.statutory import Order, Waiting
from gateway.consents.ending import lapse_due
from gateway.export import export_ledger
from gateway.housekeeping import keep_house
from gateway.institutions.register import reinstate, suspend
from gateway.policies import apply_policy
from gateway.query.quota import flush_throttled
from gateway.records.correct import correct
from keys.canonical import canonical
from keys.notes import format_vkey
from ledger.bodies import LEAF_TYPES
from ledger.verify.__main__ import main as verify
from tests.gateway import kit
from tests.gateway.people.life import counter, resume, revoke, second_key
from tests.gateway.query.statutory.kit import COVERT, Office
from tests.gateway.world import BANK, DAY_MS, OTHER_BANK, REGISTRAR, SOURCE, World

PRODUCED = {
    "log.opened",
    "policy.changed",
    "key.published",
    "key.sealing",
    "key.epoch",
    "institution.registered",
    "institution.suspended",
    "institution.reinstated",
    "operator.registered",
    "operator.suspended",
    "operator.reinstated",
    "subject.enrolled",
    "subject.key_revoked",
    "subject.read",
    "consent.requested",
    "consent.declined",
    "consent.lapsed",
    "consent.granted",
    "consent.resumed",
    "consent.suspended",
    "consent.withdrawn",
    "query.disclosed",
    "query.pending",
    "query.predicate",
    "query.redelivered",
    "query.refused",
    "query.throttled",
    "query.undelivered",
    "query.unsealed",
    "record.corrected",
    "record.ingested",
    "record.restated",
}
NOT_YET = {"log.closed": "no command closes a log; tests/ledger replays one"}
ELSEWHERE = {
    "log.recovered": "tests/gateway/recovery",
    "consent.carried": "tests/gateway/recovery",
    "key.rotated": "tests/gateway/rotation",
    "key.revoked": "tests/gateway/rotation",
    "key.index": "tests/gateway/rotation",
    "key.data": "tests/gateway/rotation",
    "key.backup": "tests/gateway/erasure",
    "record.erased": "tests/gateway/erasure",
    "case.opened": "tests/gateway/erasure",
    "case.closed": "tests/gateway/erasure",
}
"""What only some logs have (put back, continuing another, with keys rotated): produced and verified there."""


def live(world: World) -> None:
    """One life: everything that a gateway records happens once."""
    assert world.import_records([kit.loan()]).accepted == 1
    citizen = world.citizen(kit.NUMBER)
    es256 = world.citizen(kit.OTHER_NUMBER, alg="ES256")
    declined = world.ask(citizen)
    assert isinstance(citizen.client.decline(declined.request_id, declined.document_sha256), int)
    world.ask(es256)
    world.clock.offset += 15 * DAY_MS
    assert lapse_due(world.house) == 1
    consent = world.consent(citizen)
    assert isinstance(world.query(world.consent(es256)), Answer)
    assert isinstance(world.query(consent), Answer)
    assert isinstance(world.query(consent, categories=("employment",)), Refused)
    assert isinstance(citizen.client.report(), dict)
    corrected = replace(kit.loan(), fields={**kit.loan().fields, "amount": 99})
    assert correct(world.house, SOURCE, [corrected], "source-error", lambda _line: None).accepted == 1
    for noun, name in (("institution", OTHER_BANK), ("operator", world.operators[BANK])):
        suspend(world.house, noun, name, "audit-failed")
        reinstate(world.house, noun, name, "audit-passed")
    kit.insider(world.house, "UPDATE data_keys SET wrapped = zeroblob(80) WHERE klass = 'current'")
    undelivered = world.query(consent)
    assert isinstance(undelivered, Refused)
    assert undelivered.problem.name == "undelivered"
    assert not isinstance(world.withdraw(citizen, consent), Refused)
    assert isinstance(world.query(consent), Refused)
    a_stolen_key(world)
    under_a_statute(world)
    beyond_a_quota(world, consent)


def a_stolen_key(world: World) -> None:
    """A second key finds the first compromised and resumes what it granted; the counter withdraws it."""
    first = world.citizen(kit.person(5))
    consent = world.consent(first)
    second = second_key(world, first)
    assert not isinstance(revoke(world, second, first, "compromised"), Refused)
    assert resume(world, second, consent).state == "resumed"
    assert counter(world).consents(first.number)["consents"][0]["consent_id"] == consent
    assert counter(world).withdraw(first.number, consent).state == "withdrawn"


def under_a_statute(world: World) -> None:
    """A yes or no that is collected, and a deferred query that nobody approves, unsealed."""
    office = Office(world)
    tax = Order("tax-collection-57", "琼税稽检通〔2026〕12号")
    request = office.answered(tax, categories=["licence"], answer="predicate:licence-valid")
    assert isinstance(office.collect(request), Answer)
    assert isinstance(office.submit(office.request(COVERT)), Waiting)
    world.clock.offset += 30 * DAY_MS
    keep_house(world.house)


def beyond_a_quota(world: World, consent: str) -> None:
    """Two asks where one has room, and the minute that counts the other."""
    quotas = (Quota(scope="operator", per="day", limit=1),)
    world.clock.offset += DAY_MS
    apply_policy(world.house, msgspec.structs.replace(world.house.policy, quotas=quotas))
    names = [
        refused.problem.name
        for refused in (world.query(consent), world.query(consent))
        if isinstance(refused, Refused)
    ]
    assert names == ["withdrawn", "quota-exceeded"]
    world.clock.offset += 60_000
    flush_throttled(world.house)


def pins(world: World, folder: Path) -> list[str]:
    """What an auditor brings along, in files."""
    folder.mkdir()
    (folder / "registrar.jwk").write_bytes(canonical(world.registrar.key.jwk))
    (folder / "regulator.jwk").write_bytes(canonical(world.regulator_private))
    return [
        "--registrar",
        f"{REGISTRAR}={folder / 'registrar.jwk'}",
        "--regulator-key",
        str(folder / "regulator.jwk"),
    ]


def test_every_leaf_type_is_produced_and_the_export_verifies(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    live(world)
    assert {leaf.type for leaf in kit.leaves(world.house)} == PRODUCED
    published = world.publishing.publish_now()
    assert published is not None
    exported = export_ledger(world.house, published, tmp_path / "export")
    assert exported.intact
    vkey = format_vkey(world.bank().pins.vkey)
    capsys.readouterr()
    kept = ["--kept", str(world.house.settings.checkpoint_copy)]
    options = [str(tmp_path / "export"), "--vkey", vkey, "--json", *kept, *pins(world, tmp_path / "pins")]
    status = verify(options)
    said = json.loads(capsys.readouterr().out)
    assert (status, said["ok"]) == (0, True), said
    assert said["counts"].keys() == PRODUCED
    assert said["not_checked"] == []


def test_the_closed_set_of_leaf_types_is_what_is_produced_here() -> None:
    assert PRODUCED | NOT_YET.keys() | ELSEWHERE.keys() == LEAF_TYPES.keys()


def test_the_policy_stands_in_every_leaf_from_the_first(world: World) -> None:
    assert {leaf.policy for leaf in kit.leaves(world.house)} == {world.house.policy_hash}


def test_no_leaf_names_a_person_or_a_key_in_clear(world: World) -> None:
    live(world)
    citizen_key = world.citizen(kit.person(3)).key.kid
    stored = kit.insider(world.house, "SELECT leaf FROM ledger_leaves")
    everything = b"".join(leaf for (leaf,) in stored)
    for secret in (kit.NUMBER, kit.OTHER_NUMBER, kit.person(3), citizen_key, "测试"):
        assert secret.encode() not in everything
    assert REGISTRAR.encode() in everything  # the control: what may be found is found
