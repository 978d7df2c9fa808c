"""What changes between a query's being made ready and the head's lock: nothing of it may count."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from consent.asks import Reason
from gateway.people.subjects import find_by_tag
from gateway.query.lookup import prepare
from gateway.query.request import Ask, Asked, Query
from gateway.query.ruled import Disclosed, Refused, Ruled
from gateway.query.turnstile import rule_batch
from gateway.rotation import epochs
from gateway.rotation.epoch import rotate_epoch
from keys.canonical import canonical, parse_canonical
from tests.attacks.test_records_tampered import held
from tests.gateway import kit
from tests.gateway.kit import NUMBER, OTHER_NUMBER
from tests.gateway.world import World, new_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with new_world(tmp_path / "home") as made:
        yield made


def asked(world: World, consent: str) -> Asked:
    body = parse_canonical(canonical(kit.query_body(consent)))
    query = Query(**{**body, "categories": tuple(body["categories"])})
    return Asked(query, body, kit.signer_of(world), None)


def made_ready(world: World, *consents: str) -> list[Ask]:
    asks = prepare(world.house, [asked(world, consent) for consent in consents])
    assert all(isinstance(one, Ask) for one in asks), asks
    return [one for one in asks if isinstance(one, Ask)]


def ruled_on(world: World, asks: list[Ask]) -> list[Ruled]:
    slots = world.house.lane.submit_all(rule_batch, asks, [None] * len(asks))
    return [slot.taken() for slot in slots]


def test_records_hidden_meanwhile_are_missed_though_another_tag_leads_to_the_same_person(
    world: World,
) -> None:
    """The rows that one ask was judged by are not those that another of the batch had read anew."""
    world.import_records([*held(NUMBER), kit.loan(OTHER_NUMBER)])
    citizen, other = world.citizen(NUMBER), world.citizen(OTHER_NUMBER)
    one, two = (world.consent(citizen) for _ in range(2))
    theirs = kit.row_of(world.house, "grants", "consent = ?", world.consent(other))["tag"]
    mine = kit.row_of(world.house, "grants", "consent = ?", one)["tag"]
    with world.house.read() as conn:
        subject, another = (find_by_tag(world.house, conn, tag).subject for tag in (mine, theirs))
    led_by = "SELECT tag_lookup FROM subjects WHERE subject = ?"
    [(lookup,)] = kit.insider(world.house, led_by, [another])
    [(own,)] = kit.insider(world.house, led_by, [subject])
    lead = "UPDATE subjects SET tag_lookup = ? WHERE subject = ?"
    known = made_ready(world, one)  # remembered from here on, whatever leads there
    for value, whose in ((bytes(32), another), (lookup, subject)):
        kit.insider(world.house, lead, [value, whose])
    kit.insider(world.house, "UPDATE grants SET tag = ? WHERE consent = ?", [theirs, two])
    asks = [*known, *made_ready(world, two)]
    kit.insider(world.house, lead, [own, subject])
    kit.insider(world.house, "DELETE FROM records WHERE category = 'repayment' AND subject = ?", [subject])
    first, second = ruled_on(world, asks)
    assert isinstance(second, Refused)
    if isinstance(first, Disclosed):  # from what was read before, which is what the ledger speaks of
        assert {row.category for row in first.revisions} == {"loan", "repayment"}
    else:
        assert isinstance(first, Refused)
        assert first.reason is Reason.EVIDENCE_BROKEN


def test_a_query_is_made_ready_while_a_new_epoch_is_entered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Details are sealed under an epoch and its own key, or under the lock; the leaf is as any other."""
    world.import_records(held(NUMBER))
    consent = world.consent(world.citizen(NUMBER), max_uses=10)
    world.query(consent)
    found: list[Any] = []
    real: Callable[..., Any] = epochs.sealed_keys

    def meanwhile() -> None:
        found.extend(made_ready(world, consent))

    def reading(conn: sa.Connection, keyring: Any) -> Any:
        if not found and keyring.epoch > epochs.FIRST:
            thread = threading.Thread(target=meanwhile)
            thread.start()
            thread.join()
        return real(conn, keyring)

    monkeypatch.setattr(epochs, "sealed_keys", reading)
    rotate_epoch(world.house, lambda *_: None)
    assert world.house.keyring.epoch > epochs.FIRST
    [ask] = found
    [ruled] = ruled_on(world, [ask])
    assert isinstance(ruled, Disclosed)
    stored = "SELECT epoch FROM ledger_sealed WHERE idx = ?"
    assert kit.insider(world.house, stored, [ruled.entry.index]) == [(world.house.keyring.epoch,)]
