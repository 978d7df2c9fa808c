"""Receipts are proved to stand in the pinned log, and pins come from a vkey obtained elsewhere."""

from __future__ import annotations

import pytest

from gateway.client import (
    Answer,
    BankClient,
    EvidenceFailed,
    Proven,
    Refused,
    pins_from,
    published_keys,
)
from keys.notes import format_vkey, make_vkey
from keys.signing import parse_public_jwk
from tests.gateway.client.stand_in import (
    CONSENT_ID,
    FOREIGN_KEY,
    LOG,
    QUERY_ID,
    RECEIPT_KEY,
    URL,
    VKEY,
    StandIn,
)


def query(bank: BankClient) -> Answer | Refused:
    return bank.query(QUERY_ID, CONSENT_ID, "02", ["loan"])


def answered(gateway: StandIn) -> Answer:
    outcome = query(gateway.bank())
    assert isinstance(outcome, Answer)
    return outcome


def test_a_receipt_is_proved_to_stand_in_the_log() -> None:
    gateway = StandIn()
    gateway.append("log.opened", {})
    receipt = answered(gateway).receipt
    gateway.append("log.closed", {})
    proven = gateway.bank().prove(receipt)
    assert isinstance(proven, Proven)
    assert (proven.checkpoint.origin, proven.checkpoint.size) == (LOG, 3)


def test_a_proof_that_is_not_published_yet_is_waited_for() -> None:
    gateway = StandIn()
    gateway.append("log.opened", {})
    receipt = answered(gateway).receipt
    gateway.published = 0
    slept: list[float] = []
    assert isinstance(gateway.bank().prove(receipt, sleep=slept.append), Proven)
    assert slept == [1, 1]


def test_waiting_for_a_proof_ends() -> None:
    gateway = StandIn()
    receipt = answered(gateway).receipt
    gateway.published = -5
    outcome = gateway.bank().prove(receipt, attempts=2, sleep=lambda seconds: None)
    assert isinstance(outcome, Refused)
    assert outcome.problem.name == "not-yet-published"


def test_a_receipt_whose_entry_is_not_in_the_log_raises() -> None:
    gateway = StandIn()
    gateway.append("log.opened", {})
    receipt = answered(gateway).receipt
    gateway.leaves[receipt.index] = b"{}"
    with pytest.raises(EvidenceFailed):
        gateway.bank().prove(receipt)


def test_a_proof_of_another_entry_or_by_another_log_raises() -> None:
    gateway = StandIn()
    receipt = answered(gateway).receipt
    gateway.append("log.closed", {})
    bank = gateway.bank()
    with pytest.raises(EvidenceFailed):
        bank.verify_inclusion(receipt, gateway.proof(1))
    with pytest.raises(EvidenceFailed):
        bank.verify_inclusion(receipt, b"not a proof")
    gateway.log_key = FOREIGN_KEY
    with pytest.raises(EvidenceFailed):
        bank.verify_inclusion(receipt, gateway.proof(receipt.index))


def test_pins_come_from_a_vkey_obtained_elsewhere_and_the_latest_receipt_key() -> None:
    keys = published_keys(URL, StandIn().http())
    assert pins_from(keys, format_vkey(VKEY)).receipt_key.kid == RECEIPT_KEY.kid
    other = make_vkey(LOG, parse_public_jwk(FOREIGN_KEY.jwk).point)
    with pytest.raises(EvidenceFailed):
        pins_from(keys, format_vkey(other))


def test_a_published_key_under_another_name_raises() -> None:
    gateway = StandIn()
    gateway.lie = lambda members: members["keys"][0].update(public=FOREIGN_KEY.jwk)
    with pytest.raises(EvidenceFailed):
        pins_from(published_keys(URL, gateway.http()), format_vkey(VKEY))
