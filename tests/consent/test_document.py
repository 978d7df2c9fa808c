"""One byte form for one consent; a signed document is its template, narrowed at most."""

from __future__ import annotations

import hashlib
import json
import traceback
from typing import Any
from uuid import UUID

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from consent import wire
from consent.document import (
    Consent,
    Decline,
    Notice,
    Template,
    Withdrawal,
    consent_hash,
    document_sha256,
    format_consent,
    format_decline,
    format_template,
    format_withdrawal,
    narrowed,
    parse_consent,
    parse_decline,
    parse_template,
    parse_withdrawal,
    with_subject,
)
from consent.errors import MalformedDocument
from keys.canonical import b64u

uuids = st.uuids().map(str)
hexes = st.binary(min_size=32, max_size=32).map(bytes.hex)
thumbprints = st.binary(min_size=32, max_size=32).map(b64u)
nonces = st.binary(min_size=16, max_size=16).map(b64u)
origins = st.from_regex(r"\A[a-z][a-z0-9]{0,9}\.[a-z]{2,6}(:[0-9]{2,5})?/[a-zA-Z0-9_-]{1,9}\Z")
codes = st.from_regex(r"\A[a-z][a-z0-9_]{0,31}\Z")


@st.composite
def consents(draw: st.DrawFn) -> Consent:
    not_before = draw(st.integers(0, 2**42))
    return Consent(
        consent_id=draw(uuids),
        gateway=draw(origins),
        subject=draw(thumbprints),
        recipient=draw(st.from_regex(r"\A[0-9A-HJ-NPQRTUWXY]{2}[0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}\Z")),
        purpose=draw(st.from_regex(r"\A[0-9]{2}\Z")),
        categories=tuple(sorted(draw(st.sets(codes, min_size=1, max_size=6)))),
        answer=draw(st.sampled_from(["report", "predicate:no-adverse-3y"])),
        not_before=not_before,
        not_after=not_before + draw(st.integers(1, 2**40)),
        max_uses=draw(st.integers(1, 100_000)),
        retention_days=draw(st.integers(1, 36_500)),
        notice=Notice(
            language=draw(st.sampled_from(["zh-CN", "en"])), template="consent-02/v1", sha256=draw(hexes)
        ),
        case_ref_sha256=draw(hexes),
        nonce=draw(nonces),
    )


withdrawals = st.builds(
    Withdrawal,
    consent_id=uuids,
    gateway=origins,
    subject=thumbprints,
    reason=st.none() | st.text("不再需要 a.é😀", min_size=1, max_size=200),
    nonce=nonces,
)
declines = st.builds(Decline, request_id=uuids, document_sha256=hexes)


def wire_members(world: Any) -> dict[str, Any]:
    members: dict[str, Any] = json.loads(format_consent(world.consent()))
    return members


def jcs(members: Any) -> bytes:
    return rfc8785.dumps(members)


@given(consents())
def test_a_consent_survives_its_bytes(consent: Consent) -> None:
    data = format_consent(consent)
    assert parse_consent(data) == consent
    assert rfc8785.dumps(json.loads(data)) == data


@given(consents())
def test_a_template_survives_its_bytes_and_takes_a_subject(consent: Consent) -> None:
    members = msgspec.structs.asdict(consent)
    subject = members.pop("subject")
    template = Template(**members)
    assert parse_template(format_template(template)) == template
    assert with_subject(template, subject) == consent


@given(withdrawals)
def test_a_withdrawal_survives_its_bytes(withdrawal: Withdrawal) -> None:
    data = format_withdrawal(withdrawal)
    assert parse_withdrawal(data) == withdrawal
    assert ("reason" in json.loads(data)) == (withdrawal.reason is not None)


@given(declines)
def test_a_decline_survives_its_bytes(decline: Decline) -> None:
    assert parse_decline(format_decline(decline)) == decline


@given(consents(), st.data())
def test_whatever_parses_is_what_the_formatter_emits(consent: Consent, data: st.DataObject) -> None:
    raw = bytearray(format_consent(consent))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    try:
        parsed = parse_consent(bytes(raw))
    except MalformedDocument:
        return
    assert format_consent(parsed) == bytes(raw)


def test_the_hash_is_the_one_of_the_format(world: Any) -> None:
    data = jcs(wire_members(world))
    expected = hashlib.sha256(b"chengxin/consent/v1\x00" + data).digest()
    assert consent_hash(data) == consent_hash(world.consent()) == expected
    with pytest.raises(MalformedDocument):
        consent_hash(data + b"\n")


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda d: d + b"\n", id="trailing-newline"),
        pytest.param(lambda d: d + d, id="trailing-document"),
        pytest.param(lambda d: b"\xef\xbb\xbf" + d, id="byte-order-mark"),
        pytest.param(lambda d: d.replace(b'","', b'", "', 1), id="white-space"),
        pytest.param(lambda d: d.replace(b'"answer"', b'"\\u0061nswer"', 1), id="escaped-name"),
        pytest.param(lambda d: d.replace(b"/v1", b"\\/v1", 1), id="escaped-solidus"),
        pytest.param(
            lambda d: d.replace(b'"max_uses":2', b'"max_uses":2,"max_uses":2', 1), id="duplicate-member"
        ),
        pytest.param(lambda d: d.replace(b'"max_uses":2', b'"max_uses":2.0', 1), id="float"),
        pytest.param(lambda d: d.replace(b'"max_uses":2', b'"max_uses":2e0', 1), id="exponent"),
        pytest.param(
            lambda d: d.replace(b'"max_uses":2', b'"max_uses":9007199254740993', 1), id="above-2-53"
        ),
        pytest.param(lambda d: d.replace(b'"max_uses":2', b'"max_uses":-0', 1), id="minus-zero"),
        pytest.param(lambda d: d.decode().encode("utf-16"), id="utf-16"),
        pytest.param(lambda d: d[:-1], id="truncated"),
        pytest.param(lambda d: b"[" + d + b"]", id="array"),
        pytest.param(lambda d: b"", id="empty"),
        pytest.param(lambda d: b"[" * 100_000, id="too-long-and-too-deep"),
    ],
)
def test_bytes_that_are_not_canonical_are_refused(world: Any, spoil: Any) -> None:
    data = format_consent(world.consent())
    assert spoil(data) != data
    with pytest.raises(MalformedDocument):
        parse_consent(spoil(data))


REFUSED_MEMBERS = [
    ("type", "chengxin/withdrawal/v1"),
    ("type", "chengxin/consent/v2"),
    ("consent_id", "0B9D5A52-7D1F-4C3E-9A52-3F1F5F0C8A11"),
    ("consent_id", "0b9d5a527d1f4c3e9a523f1f5f0c8a11"),
    ("gateway", "https://credit.example.cn/log0"),
    ("gateway", "credit.example.cn/../log0"),
    ("gateway", "credit.example.cn/log0\n"),
    ("subject", "AAAA"),
    ("subject", b64u(b"k" * 32)[:-1] + "h"),
    ("recipient", "91310000ma1fl00000"),
    ("recipient", "91310000MA1FL0000"),
    ("purpose", "2"),
    ("purpose", "02\n"),
    ("purpose", "０２"),
    ("categories", ["loan", "judgment"]),
    ("categories", ["loan", "loan"]),
    ("categories", []),
    ("categories", ["Loan"]),
    ("categories", "loan"),
    ("answer", "score"),
    ("answer", "predicate:"),
    ("not_before", "2026-11-21T08:00:00Z"),
    ("not_before", "2026-11-21T08:00:00.000+00:00"),
    ("not_before", "2026-02-30T08:00:00.000Z"),
    ("not_before", "2026-11-21t08:00:00.000z"),
    ("not_before", "2026-11-21T08:00:60.000Z"),
    ("not_before", 1795248000000),
    ("not_after", "2026-11-21T08:00:00.000Z"),
    ("not_after", "2026-11-21T07:59:59.999Z"),
    ("max_uses", 0),
    ("max_uses", -1),
    ("max_uses", True),
    ("max_uses", "2"),
    ("max_uses", 2**52),
    ("retention_days", 0),
    ("retention_days", 36_501),
    ("notice", {"language": "zh-CN", "template": "consent-02/v1"}),
    ("notice", {"language": "zh-CN", "template": "consent-02/v1", "sha256": "ab" * 32, "x": 1}),
    ("notice", {"language": "zh-CN", "template": "../v1", "sha256": "ab" * 32}),
    ("case_ref_sha256", "CD" * 32),
    ("nonce", b64u(b"n" * 15)),
    ("nonce", b64u(b"n" * 16) + "=="),
    ("surprise", 1),
]


@pytest.mark.parametrize(("name", "value"), REFUSED_MEMBERS, ids=lambda v: str(v)[:40])
def test_a_member_out_of_form_is_refused(world: Any, name: str, value: Any) -> None:
    with pytest.raises(MalformedDocument):
        parse_consent(jcs(wire_members(world) | {name: value}))


def test_every_member_is_needed(world: Any) -> None:
    members = wire_members(world)
    for name in members:
        with pytest.raises(MalformedDocument):
            parse_consent(jcs({kept: value for kept, value in members.items() if kept != name}))


def test_errors_quote_no_value(world: Any) -> None:
    for changed in (
        {"zhangsan": 1},
        {"answer": "zhangsan"},
        {"notice": "zhangsan"},
        {"max_uses": "zhangsan"},
    ):
        with pytest.raises(MalformedDocument) as refused:
            parse_consent(jcs(wire_members(world) | changed))
        assert "zhangsan" not in "".join(traceback.format_exception_only(refused.value))
        assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_the_formatter_writes_nothing_that_the_parser_refuses(world: Any) -> None:
    for changed in ({"gateway": "No Origin"}, {"max_uses": 0}, {"not_after": 2**52}, {"purpose": "002"}):
        with pytest.raises(MalformedDocument):
            format_consent(world.consent(**changed))


def test_a_template_is_no_consent_and_a_consent_no_template(world: Any) -> None:
    with pytest.raises(MalformedDocument):
        parse_consent(format_template(world.template()))
    with pytest.raises(MalformedDocument):
        parse_template(format_consent(world.consent()))
    with pytest.raises(MalformedDocument):
        format_template(world.consent())


def test_a_withdrawal_reason_cannot_carry_control_characters(world: Any) -> None:
    members = {
        "type": "chengxin/withdrawal/v1",
        "consent_id": str(UUID(int=1)),
        "gateway": world.gateway,
        "subject": world.citizen.kid,
        "nonce": b64u(b"n" * 16),
    }
    assert parse_withdrawal(jcs(members)).reason is None
    assert parse_withdrawal(jcs(members | {"reason": "不再需要"})).reason == "不再需要"
    for reason in ("", "a\nb", "a\u202eb", "a\u2028b", "x" * 201):
        with pytest.raises(MalformedDocument):
            parse_withdrawal(jcs(members | {"reason": reason}))


def test_no_document_is_longer_than_the_bound(world: Any) -> None:
    assert len(format_consent(world.consent())) < wire.MAX_BYTES
    with pytest.raises(MalformedDocument, match="longer"):
        parse_consent(b" " * (wire.MAX_BYTES + 1))


def test_the_citizen_may_leave_out_what_is_not_necessary(world: Any) -> None:
    template = world.template(categories=("judgment", "loan", "residence"))
    narrowed(template, with_subject(template, world.citizen.kid), ["loan"])
    narrowed(template, with_subject(template, world.citizen.kid, {"judgment", "residence"}), ["loan"])


@pytest.mark.parametrize(
    "changed",
    [
        {"categories": ("judgment",)},
        {"categories": ("judgment", "loan", "residence")},
        {"categories": ("residence",)},
        {"consent_id": str(UUID(int=7))},
        {"gateway": "other.example.cn/log0"},
        {"recipient": "91310000MA1FL00001"},
        {"purpose": "03"},
        {"answer": "predicate:no-adverse-3y"},
        {"max_uses": 1},
        {"max_uses": 3},
        {"retention_days": 31},
        {"not_before": 1},
        {"case_ref_sha256": "ef" * 32},
        {"nonce": b64u(b"m" * 16)},
        {"notice": Notice(language="zh-CN", template="consent-02/v2", sha256="ab" * 32)},
    ],
    ids="-".join,
)
def test_a_document_that_is_not_its_template_is_refused(world: Any, changed: dict[str, Any]) -> None:
    with pytest.raises(MalformedDocument):
        narrowed(world.template(), world.consent(**changed), ["loan"])


def test_nothing_that_was_not_asked_for_can_be_left_out(world: Any) -> None:
    with pytest.raises(MalformedDocument):
        with_subject(world.template(), world.citizen.kid, ["residence"])
    with pytest.raises(MalformedDocument):
        with_subject(world.template(), world.citizen.kid, ["judgment", "loan"])
    with pytest.raises(MalformedDocument):
        with_subject(world.template(), "not-a-thumbprint")


def test_a_decline_names_the_text_it_answers(world: Any) -> None:
    template = world.template()
    assert document_sha256(template) == hashlib.sha256(format_template(template)).hexdigest()
    assert document_sha256(template) != document_sha256(world.template(max_uses=1))
