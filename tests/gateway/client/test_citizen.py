"""The citizen's client: a consent counts when its receipt does, and an access when its leaf and proof do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from consent.document import format_template
from gateway.client import EvidenceFailed, Recorded, Refused, UnexpectedReply, Wallet, WillNotSign
from gateway.client.accesses import Access
from keys.canonical import b64u, canonical, parse_canonical
from tests.gateway.client.stand_in import (
    BANK,
    CITIZEN_KEY,
    CONSENT_ID,
    FOREIGN_KEY,
    LOG,
    NUMBER,
    QUERY_ID,
    REQUEST_ID,
    TEMPLATE,
    StandIn,
)

Lie = Callable[[dict[str, Any]], None]
CERTIFICATE = canonical({"document": {}, "signatures": [], "officers": []})


def looked_at() -> StandIn:
    """A gateway whose log holds a request, an answer and a refusal about this citizen."""
    gateway = StandIn()
    asked = {"recipient": BANK, "purpose": "02", "categories": ["loan"]}
    gateway.append("consent.requested", asked, {"institution": BANK, "operator": "op-0"})
    gateway.bank().query(QUERY_ID, CONSENT_ID, "02", ["loan"])
    by = {"institution": BANK, "operator": "op-0"}
    gateway.append("query.refused", {"query": CONSENT_ID, "reason": "withdrawn", "purpose": "02"}, by)
    return gateway


def listed(gateway: StandIn) -> tuple[Access, ...]:
    outcome = gateway.citizen().accesses()
    assert isinstance(outcome, tuple)
    return outcome


def test_a_grant_and_a_withdrawal_return_their_receipts() -> None:
    gateway, wallet = StandIn(), Wallet(LOG)
    granted = gateway.citizen().grant(wallet.sign_consent(format_template(TEMPLATE), CITIZEN_KEY))
    assert isinstance(granted, Recorded)
    assert granted.signed.receipt.decision == "granted"
    withdrawn = gateway.citizen().withdraw(wallet.sign_withdrawal_of(CONSENT_ID, LOG, CITIZEN_KEY))
    assert isinstance(withdrawn, Recorded)
    assert (withdrawn.state, withdrawn.signed.receipt.consent_id) == ("withdrawn", CONSENT_ID)


@pytest.mark.parametrize(
    "members", [{"decision": "granted"}, {"consent_id": REQUEST_ID}, {"log": "other.example.cn/log0"}]
)
def test_a_withdrawal_without_its_own_receipt_raises(members: dict[str, Any]) -> None:
    gateway = StandIn()
    gateway.receipt_lie = members
    with pytest.raises(EvidenceFailed):
        gateway.citizen().withdraw(Wallet(LOG).sign_withdrawal_of(CONSENT_ID, LOG, CITIZEN_KEY))


def test_a_reply_about_another_consent_raises() -> None:
    gateway = StandIn()
    gateway.lie = lambda members: members.update(consent_id=REQUEST_ID)
    with pytest.raises(UnexpectedReply):
        gateway.citizen().withdraw(Wallet(LOG).sign_withdrawal_of(CONSENT_ID, LOG, CITIZEN_KEY))


def test_enrolling_and_declining_return_the_index_of_the_entry() -> None:
    gateway = StandIn()
    assert gateway.citizen().enrol(CERTIFICATE + b"\n", NUMBER) == 0
    assert gateway.bodies[-1]["citizen_number"] == NUMBER
    assert gateway.citizen().decline(REQUEST_ID, "00" * 32) == 1
    assert gateway.bodies[-1] == {"request_id": REQUEST_ID, "document_sha256": "00" * 32}


@pytest.mark.parametrize("certificate", [b"", b"[]", b"{}", b'{"document":{}}', b"\xff"])
def test_what_is_no_certificate_is_not_sent(certificate: bytes) -> None:
    gateway = StandIn()
    with pytest.raises(WillNotSign):
        gateway.citizen().enrol(certificate, NUMBER)
    assert gateway.bodies == []


@pytest.mark.parametrize("members", [{}, {"index": -1}, {"index": True}, {"index": "7"}])
def test_an_entry_without_an_index_raises(members: dict[str, Any]) -> None:
    gateway = StandIn()

    def lie(reply: dict[str, Any]) -> None:
        del reply["index"]
        reply.update(members)

    gateway.lie = lie
    with pytest.raises(UnexpectedReply):
        gateway.citizen().decline(REQUEST_ID, "00" * 32)


@pytest.mark.parametrize("name", ["second-key", "bad-certificate", "unknown-key"])
def test_a_refusal_is_a_value(name: str) -> None:
    gateway = StandIn()
    gateway.refuse = name
    for outcome in (
        gateway.citizen().enrol(CERTIFICATE, NUMBER),
        gateway.citizen().decline(REQUEST_ID, "00" * 32),
        gateway.citizen().report(),
        gateway.citizen().accesses(),
        gateway.citizen().consent(CONSENT_ID),
        gateway.citizen().withdraw(Wallet(LOG).sign_withdrawal_of(CONSENT_ID, LOG, CITIZEN_KEY)),
    ):
        assert isinstance(outcome, Refused)
        assert outcome.problem.name == name


def test_the_report_and_the_citizens_own_records_can_be_read() -> None:
    citizen = StandIn().citizen()
    assert citizen.report() == {"categories": {}}
    request = citizen.consent_request(REQUEST_ID)
    assert isinstance(request, dict)
    assert request["document"]["consent_id"] == CONSENT_ID


def test_accesses_are_proved_one_by_one() -> None:
    accesses = listed(looked_at())
    assert [access.type for access in accesses] == ["consent.requested", "query.disclosed", "query.refused"]
    assert all(access.proven and access.institution == BANK for access in accesses)
    assert (accesses[1].decision, accesses[2].decision) == ("disclosed", "refused")


def test_an_entry_of_this_second_is_listed_before_its_proof() -> None:
    gateway = looked_at()
    gateway.published = 2
    assert [access.proven for access in listed(gateway)] == [True, True, False]


def _in(index: int, /, **members: object) -> Lie:
    return lambda reply: reply["accesses"][index].update(members) if "accesses" in reply else None


@pytest.mark.parametrize(
    "lie",
    [
        _in(1, institution="91460000MA5T000001"),
        _in(1, institution=None),
        _in(1, purpose="03"),
        _in(1, categories=["judgment"]),
        _in(1, categories=[]),
        _in(1, decision="refused"),
        _in(1, at="2026-11-21T08:00:01.000Z"),
        _in(1, index=0),
        _in(1, type="query.refused"),
        _in(2, reason="expired"),
        _in(2, reason=None),
        _in(0, institution="91460000MA5T000001"),
        _in(2, query=QUERY_ID),
    ],
)
def test_a_list_that_says_other_than_its_leaf_raises(lie: Lie) -> None:
    gateway = looked_at()
    gateway.lie = lie
    with pytest.raises((EvidenceFailed, UnexpectedReply)):
        gateway.citizen().accesses()


@pytest.mark.parametrize("leaf", [b"", b"[]", b"{}", b'{"body":[]}', b"{ }"])
def test_a_leaf_that_is_none_raises(leaf: bytes) -> None:
    gateway = looked_at()
    gateway.lie = _in(1, leaf=b64u(leaf))
    with pytest.raises(EvidenceFailed):
        gateway.citizen().accesses()


def test_an_invented_leaf_has_no_proof() -> None:
    """The insider swaps a leaf after its checkpoint: the list and the leaf agree, the tree does not."""
    gateway = looked_at()
    proofs = [gateway.proof(index).decode() for index in range(3)]
    gateway.leaves[2] = gateway.leaves[2].replace(b'"withdrawn"', b'"exhausted"')

    def swap(reply: dict[str, Any]) -> None:
        for access, proof in zip(reply["accesses"], proofs, strict=True):
            access["proof"] = proof

    gateway.lie = swap
    with pytest.raises(EvidenceFailed):
        gateway.citizen().accesses()


def test_a_log_signed_by_another_key_is_no_proof() -> None:
    gateway = looked_at()
    gateway.log_key = FOREIGN_KEY
    with pytest.raises(EvidenceFailed):
        gateway.citizen().accesses()


@pytest.mark.parametrize(
    "lie",
    [
        lambda reply: reply["accesses"].pop(0),
        lambda reply: reply["accesses"].pop(1),
        lambda reply: reply["accesses"].reverse(),
        lambda reply: reply["accesses"].append(reply["accesses"][0]),
        lambda reply: reply["accesses"].append(reply["accesses"][2]),
    ],
)
def test_a_list_with_an_entry_left_out_moved_or_doubled_raises(lie: Lie) -> None:
    gateway = looked_at()
    gateway.lie = lie
    with pytest.raises(EvidenceFailed):
        gateway.citizen().accesses()


def test_another_persons_entry_cannot_be_slipped_in() -> None:
    gateway = looked_at()
    gateway.leaves[2] = gateway.leaves[2].replace(b"11" * 16, b"22" * 16)
    with pytest.raises(EvidenceFailed):
        gateway.citizen().accesses()


def test_an_entry_about_nobody_cannot_be_slipped_in() -> None:
    gateway = looked_at()
    leaf = parse_canonical(gateway.leaves[0])
    del leaf["subject"]
    gateway.leaves = [canonical(leaf)]
    with pytest.raises(EvidenceFailed):
        gateway.citizen().accesses()


def test_pages_are_followed_and_chained() -> None:
    gateway = looked_at()
    gateway.append("subject.read", {"what": "report"})
    gateway.append("consent.granted", {"recipient": BANK, "purpose": "02", "categories": ["loan"]})
    assert [access.index for access in listed(gateway)] == [0, 1, 2, 3, 4]
    gateway.lie = lambda reply: reply["accesses"].pop(0) if "next" not in reply else None
    with pytest.raises(EvidenceFailed):
        gateway.citizen().accesses()


def test_an_endless_list_raises() -> None:
    gateway = StandIn()
    gateway.lie = lambda reply: reply.update(next=0)
    with pytest.raises(UnexpectedReply):
        gateway.citizen().accesses()
