"""What statutory queries leave in the ledger is what an auditor with the regulator's key finds in order."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from consent.quotas import Quota
from gateway.client.bank import Answer
from gateway.client.reply import Refused
from gateway.client.statutory import Order, Settled, Waiting
from gateway.export import export_ledger
from gateway.housekeeping import keep_house
from gateway.policies import apply_policy
from keys.canonical import canonical
from keys.notes import format_vkey
from ledger.verify.__main__ import main as verify
from tests.gateway import kit
from tests.gateway.query.statutory.kit import COURT, COVERT, DAY_MS, HOUR_MS, Office
from tests.gateway.world import REGISTRAR, World


def live(world: World, office: Office) -> None:
    """Queries that end in every way there is, of persons known, unknown, and known only later."""
    quotas = (
        Quota(scope="operator", per="hour", limit=80),
        Quota(scope="purpose", purpose="91", per="day", limit=60),
    )
    apply_policy(world.house, msgspec.structs.replace(world.house.policy, quotas=quotas))
    world.import_records([kit.loan(), kit.job(kit.person(2), "T-2")])
    citizen = world.citizen(kit.NUMBER)
    newcomer = kit.person(7)
    for order in (COURT, COVERT):
        for number in (kit.NUMBER, kit.OTHER_NUMBER, kit.person(2)):
            request = office.answered(order, number)
            assert isinstance(office.collect(request), Answer)
            assert isinstance(office.collect(request), Answer)
        misnamed = office.answered(order, name="另一人")
        assert isinstance(office.collect(misnamed), Answer)
        denied, waits = office.request(order), office.request(order, newcomer)
        for one in (denied, waits):
            assert isinstance(office.submit(one), Waiting)
        assert isinstance(office.deny(denied), Settled)
        assert isinstance(office.submit(office.request(order, purpose="99")), Refused)
        assert isinstance(office.approve(office.answered(order), by="both"), Refused)
    tax = Order("tax-collection-57", "琼税稽检通〔2026〕12号")
    predicate = office.answered(tax, categories=["licence"], answer="predicate:licence-valid")
    assert isinstance(office.collect(predicate), Answer)
    late = office.request(COVERT, newcomer)
    assert isinstance(office.submit(late), Waiting)
    world.citizen(newcomer)
    assert isinstance(office.approve(late), Settled)
    world.clock.offset += DAY_MS
    assert isinstance(office.collect(predicate), Refused)
    keep_house(world.house)
    world.clock.offset += 29 * DAY_MS + HOUR_MS
    keep_house(world.house)
    listed = citizen.client.accesses()
    assert not isinstance(listed, Refused)
    assert [one.type for one in listed].count("query.unsealed") > 0


def test_an_auditor_finds_nothing_wrong(
    world: World, office: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    live(world, office)
    types = {leaf.type for leaf in kit.leaves(world.house)}
    assert types >= {"query.pending", "query.predicate", "query.redelivered", "query.unsealed"}
    published = world.publishing.publish_now()
    assert published is not None
    export_ledger(world.house, published, tmp_path / "export")
    (tmp_path / "registrar.jwk").write_bytes(canonical(world.registrar.key.jwk))
    (tmp_path / "regulator.jwk").write_bytes(canonical(world.regulator_private))
    capsys.readouterr()
    options = ["--vkey", format_vkey(world.bank().pins.vkey), "--json"]
    options += ["--registrar", f"{REGISTRAR}={tmp_path / 'registrar.jwk'}"]
    options += ["--regulator-key", str(tmp_path / "regulator.jwk")]
    status = verify([str(tmp_path / "export"), *options])
    said = json.loads(capsys.readouterr().out)
    assert (status, said["ok"]) == (0, True), said
