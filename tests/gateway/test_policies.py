"""The policy in force is the one that the last leaf names: for all processes, from the change's leaf on."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from consent.asks import Reason
from consent.policy import format_policy, policy_hash
from gateway.client.bank import Answer, Person
from gateway.client.reply import Refused
from gateway.errors import EvidenceBroken, PolicyRefused
from gateway.export import export_ledger
from gateway.house import House
from gateway.policies import apply_policy, enact
from gateway.query import ruled
from gateway.query.answer import Refusal
from gateway.query.request import Query
from gateway.query.turnstile import rule_batch
from gateway.transaction import Transaction
from keys.canonical import canonical, parse_canonical, sha256_hex
from keys.notes import format_vkey
from ledger.verify.__main__ import main as verify
from tests.gateway import kit
from tests.gateway.policies import checked, waiting
from tests.gateway.query.asked import look_up
from tests.gateway.test_house import batched, registered
from tests.gateway.test_leaf_types import pins
from tests.gateway.world import World

WITHOUT_02 = checked(but_purpose="02")


@contextmanager
def another(world: World) -> Iterator[House]:
    """The same installation in a second house, as another worker has it."""
    house = world.reopen()
    try:
        yield house
    finally:
        house.engine.dispose()
        house.custody.close()


def prepared(world: World, house: House, consent: str) -> Any:
    """An ask whose look-up is done: only the ruling under the lock is left."""
    body = parse_canonical(canonical(kit.query_body(consent)))
    query = Query(**{**body, "categories": tuple(body["categories"])})
    return look_up(house, query, body, kit.signer_of(world, house=house))


# --- several processes ---


def test_a_query_prepared_before_another_process_switched_its_purpose_off(world: World) -> None:
    consent = world.consent(world.citizen(kit.NUMBER))
    with another(world) as other:
        assert other.lane.submit(rule_batch, prepared(world, other, consent)).decision == "disclosed"
        ask = prepared(world, other, consent)
        entry = apply_policy(world.house, WITHOUT_02)
        assert other.policy.demo  # it knows of nothing yet
        ruling = other.lane.submit(rule_batch, ask)
        assert isinstance(ruling, ruled.Refused)
        assert ruling.reason is Reason.PURPOSE_OFF
        assert other.policy == WITHOUT_02
        assert other.policy_hash == policy_hash(WITHOUT_02)
    leaf = kit.leaves(world.house)[ruling.entry.index]
    assert (leaf.type, leaf.policy) == ("query.refused", policy_hash(WITHOUT_02))
    assert leaf.index == entry.index + 1


def test_a_purpose_that_another_process_switched_on_is_on(world: World) -> None:
    """The other way round: a decision by the older, stricter policy would be as wrong in replay."""
    consent = world.consent(world.citizen(kit.NUMBER))
    apply_policy(world.house, WITHOUT_02)
    with another(world) as other:
        assert isinstance(kit.ask_house(world, consent, other), Refusal)
        apply_policy(world.house, checked())
        assert not isinstance(kit.ask_house(world, consent, other), Refusal)
    last = kit.leaves(world.house)[-1]
    assert (last.type, last.policy) == ("query.disclosed", policy_hash(checked()))


def test_a_process_opened_after_the_change_has_it(world: World) -> None:
    apply_policy(world.house, WITHOUT_02)
    world.house.transact(registered, seals=False)  # the newest leaf is not the change's own
    with another(world) as other:
        assert other.policy == WITHOUT_02


# --- within one batch ---


def test_a_change_counts_for_what_follows_it_in_the_same_batch(world: World) -> None:
    consent = world.consent(world.citizen(kit.NUMBER))
    with batched(world.house) as run:
        asked, applied = run(
            partial(kit.ask_house, world, consent), partial(apply_policy, world.house, WITHOUT_02)
        )
    assert isinstance(asked, Refusal)
    assert asked.reason is Reason.PURPOSE_OFF
    [refused] = kit.of_type(world.house, "query.refused")
    assert refused.at == kit.leaves(world.house)[applied.index].at  # one transaction


def test_a_change_that_was_undone_changed_nothing(world: World) -> None:
    consent = world.consent(world.citizen(kit.NUMBER))
    before = policy_hash(world.house.policy)

    def fails(tx: Transaction) -> None:
        enact(tx, WITHOUT_02, replaces=tx.policy)
        assert tx.policy == WITHOUT_02
        raise PolicyRefused("on second thoughts")

    with batched(world.house) as run:
        asked, failed = run(
            partial(kit.ask_house, world, consent), partial(world.house.transact, fails, seals=False)
        )
    assert isinstance(failed, PolicyRefused)
    assert not isinstance(asked, Refusal)
    assert {leaf.policy for leaf in kit.leaves(world.house)} == {before} == {world.house.policy_hash}
    assert not kit.insider(world.house, "SELECT 1 FROM policies WHERE hash = ?", [policy_hash(WITHOUT_02)])


# --- what may replace what ---


def test_the_policy_in_force_is_not_applied_again(world: World) -> None:
    before = kit.size(world.house)
    with pytest.raises(PolicyRefused, match="in force already"):
        apply_policy(world.house, world.house.policy)
    assert kit.size(world.house) == before


def test_a_demonstration_never_follows_a_checked_policy(world: World) -> None:
    apply_policy(world.house, WITHOUT_02)
    with pytest.raises(PolicyRefused, match="demonstration"):
        apply_policy(world.house, waiting(3))
    assert world.house.policy == WITHOUT_02


def test_what_was_compared_with_another_policy_is_not_applied(world: World) -> None:
    shown_with = world.house.policy_hash
    with another(world) as other:
        apply_policy(other, waiting(3))
    with pytest.raises(PolicyRefused, match="meanwhile"):
        apply_policy(world.house, waiting(4), replaces=shown_with)
    assert len(kit.of_type(world.house, "policy.changed")) == 2


# --- evidence ---


def test_a_bundle_that_is_not_what_the_leaf_names_stops_the_house(world: World) -> None:
    consent = world.consent(world.citizen(kit.NUMBER))
    with another(world) as other:
        apply_policy(world.house, WITHOUT_02)
        kit.insider(
            world.house,
            "UPDATE policies SET body = ? WHERE hash = ?",
            [format_policy(checked()), policy_hash(WITHOUT_02)],
        )
        before = kit.size(world.house)
        with pytest.raises(EvidenceBroken):
            kit.ask_house(world, consent, other)
        assert kit.size(world.house) == before


def test_a_bundle_with_broken_bytes_stops_the_house_too(world: World) -> None:
    with another(world) as other:
        apply_policy(world.house, WITHOUT_02)
        kit.insider(
            world.house,
            "UPDATE policies SET body = ? WHERE hash = ?",
            [b"{}", policy_hash(WITHOUT_02)],
        )
        with pytest.raises(EvidenceBroken):
            other.transact(registered, seals=False)


def test_an_earlier_bundle_that_was_altered_does_not_come_back(world: World) -> None:
    first = world.house.policy
    apply_policy(world.house, waiting(3))
    kit.insider(
        world.house,
        "UPDATE policies SET body = ? WHERE hash = ?",
        [format_policy(waiting(5)), policy_hash(first)],
    )
    with pytest.raises(EvidenceBroken):
        apply_policy(world.house, first)
    assert world.house.policy == waiting(3)


# --- what others see of it ---


def test_every_bundle_that_was_ever_in_force_is_served_by_its_hash(world: World) -> None:
    first = world.house.policy
    apply_policy(world.house, waiting(3))
    apply_policy(world.house, first)  # and back again
    for bundle in (first, waiting(3)):
        served = httpx.get(f"{world.url}/ledger/policy/{policy_hash(bundle)}")
        assert (served.status_code, served.content) == (200, format_policy(bundle))
        assert sha256_hex(served.content) == policy_hash(bundle)
        assert "immutable" in served.headers["Cache-Control"]
    for name in (policy_hash(waiting(4)), "0" * 64, "x"):
        kit.check_problem(httpx.get(f"{world.url}/ledger/policy/{name}"), 404, "not-found")


def test_a_bundle_that_was_altered_is_not_served(world: World) -> None:
    kit.insider(world.house, "UPDATE policies SET body = ?", [format_policy(waiting(3))])
    served = httpx.get(f"{world.url}/ledger/policy/{world.house.policy_hash}")
    kit.check_problem(served, 503, "evidence-damaged")


def test_an_auditor_replays_across_changes(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    citizen = world.citizen(kit.NUMBER)
    consent = world.consent(citizen, max_uses=5)
    first = world.house.policy
    for bundle, answered in ((waiting(3), True), (first, True), (WITHOUT_02, False), (checked(), True)):
        apply_policy(world.house, bundle)
        assert isinstance(world.query(consent), Answer if answered else Refused)
    named = [leaf.body.policy for leaf in kit.of_type(world.house, "policy.changed")]
    assert [leaf.body.replaces for leaf in kit.of_type(world.house, "policy.changed")][1:] == named[:-1]
    published = world.publishing.publish_now()
    assert published is not None
    assert export_ledger(world.house, published, tmp_path / "export").intact
    assert {path.stem for path in (tmp_path / "export" / "policy").iterdir()} == set(named)
    capsys.readouterr()
    vkey = format_vkey(world.bank().pins.vkey)
    status = verify([str(tmp_path / "export"), "--vkey", vkey, "--json", *pins(world, tmp_path / "pins")])
    said = json.loads(capsys.readouterr().out)
    assert (status, said["ok"]) == (0, True), said


def test_a_request_sent_again_shows_the_text_that_was_hashed(world: World) -> None:
    """Purpose 02 has another name by then. The bank's client compares text and hash in each reply."""
    citizen = world.citizen(kit.NUMBER)
    request, terms = str(uuid.uuid4()), world.terms()
    with world.bank() as bank:
        asked = bank.request_consent(request, Person(citizen.number), terms)
        policy = world.house.policy
        renamed = tuple(
            msgspec.structs.replace(one, zh="另一名称") if one.code == "02" else one
            for one in policy.purposes
        )
        apply_policy(world.house, msgspec.structs.replace(policy, purposes=renamed))
        again = bank.request_consent(request, Person(citizen.number), terms)
        other = bank.request_consent(str(uuid.uuid4()), Person(citizen.number), terms)
    assert not isinstance(asked, Refused)
    assert not isinstance(again, Refused)
    assert not isinstance(other, Refused)
    assert again.notice_text == asked.notice_text
    assert "另一名称" in other.notice_text
