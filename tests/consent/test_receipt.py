"""A receipt has exactly the members of its decision, and is the gateway's word under its receipt key."""

from __future__ import annotations

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from consent.errors import BadProof, MalformedDocument
from consent.receipt import Receipt, format_receipt, parse_receipt, verify_receipt
from keys.jws import sign_jws
from keys.signing import generate_key, parse_public_jwk

uuids = st.uuids().map(str)
hexes = st.binary(min_size=32, max_size=32).map(bytes.hex)


@st.composite
def receipts(draw: st.DrawFn) -> Receipt:
    decision = draw(
        st.sampled_from(["disclosed", "refused", "predicate", "redelivered", "granted", "withdrawn"])
    )
    of_consent = decision in ("granted", "withdrawn")
    return Receipt(
        log="credit.example.cn/log0",
        index=draw(st.integers(0, 2**53 - 1)),
        leaf=draw(hexes),
        at=draw(st.integers(0, 2**42)),
        decision=decision,
        query_id=None if of_consent else draw(uuids),
        consent_id=draw(uuids) if of_consent else None,
        reason="no-consent" if decision == "refused" else None,
        answer_sha256=draw(hexes) if decision in ("disclosed", "predicate", "redelivered") else None,
    )


@given(receipts())
def test_a_receipt_survives_its_bytes(receipt: Receipt) -> None:
    data = format_receipt(receipt)
    assert parse_receipt(data) == receipt
    assert rfc8785.dumps(json.loads(data)) == data
    assert None not in json.loads(data).values()


@given(receipts(), st.sampled_from(["query_id", "consent_id", "reason", "answer_sha256"]))
def test_a_member_of_another_decision_is_refused(receipt: Receipt, name: str) -> None:
    members = json.loads(format_receipt(receipt))
    if name in members:
        del members[name]
    else:
        members[name] = "ab" * 32 if name == "answer_sha256" else "0b9d5a52-7d1f-4c3e-9a52-3f1f5f0c8a11"
    with pytest.raises(MalformedDocument):
        parse_receipt(rfc8785.dumps(members))


REFUSAL: dict[str, Any] = {
    "type": "chengxin/receipt/v1",
    "log": "credit.example.cn/log0",
    "index": 7,
    "leaf": "ab" * 32,
    "at": "2026-11-21T08:00:00.000Z",
    "query_id": "0b9d5a52-7d1f-4c3e-9a52-3f1f5f0c8a11",
    "decision": "refused",
    "reason": "no-consent",
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("index", -1),
        ("index", True),
        ("leaf", "AB" * 32),
        ("decision", "maybe"),
        ("reason", "No consent!"),
        ("at", 7),
        ("name", "x"),
    ],
)
def test_a_receipt_out_of_form_is_refused(name: str, value: Any) -> None:
    assert parse_receipt(rfc8785.dumps(REFUSAL)).reason == "no-consent"
    with pytest.raises(MalformedDocument):
        parse_receipt(rfc8785.dumps(REFUSAL | {name: value}))


def test_only_the_receipt_key_signs_receipts() -> None:
    ours, other = (generate_key("Ed25519", lambda n, b=b: b * n) for b in (b"a", b"b"))
    payload = rfc8785.dumps(REFUSAL)
    key = parse_public_jwk(ours.jwk)
    assert verify_receipt(sign_jws(payload, ours, "receipt+jwt"), key).index == 7
    for token in (
        sign_jws(payload, other, "receipt+jwt"),
        sign_jws(payload, ours, "consent+jwt"),
        "no token",
    ):
        with pytest.raises(BadProof):
            verify_receipt(token, key)
    with pytest.raises(MalformedDocument):
        verify_receipt(sign_jws(b"{}", ours, "receipt+jwt"), key)
