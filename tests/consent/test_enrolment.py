"""Only a pinned registrar's two officers enrol; every other way to a certificate is refused."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from consent.enrolment import (
    Certificate,
    certificate_hash,
    format_certificate,
    format_enrolment,
    make_certificate,
    officer_sign,
    parse_certificate,
    parse_enrolment,
    person_hash,
    verify_certificate,
    verify_officer,
)
from consent.errors import BadCertificate, MalformedDocument
from keys.blind import canonical_citizen_number
from keys.errors import BadIdentifier
from keys.instant import DAY
from keys.jws import sign_jws
from keys.signing import generate_key, parse_public_jwk


def verify(world: Any, certificate: Certificate, **changed: Any) -> Any:
    known: dict[str, Any] = {
        "registrar": parse_public_jwk(world.registrar.jwk),
        "gateway": world.gateway,
        "at": world.now,
        "registrar_id": "haikou",
    } | changed
    return verify_certificate(certificate, **known)


def rejoined(world: Any, document: Any = None, **changed: Any) -> Certificate:
    """The world's certificate with its parts put together otherwise."""
    document = document or world.enrolment()
    parts = {
        "signatures": (officer_sign(document, world.wang), officer_sign(document, world.zhao)),
        "officers": (world.officer("wang", world.wang), world.officer("zhao", world.zhao)),
    } | changed
    return make_certificate(document, **parts)


def test_two_officers_of_the_pinned_registrar_enrol_a_person(world: Any) -> None:
    proved = verify(world, world.certificate())
    assert proved.thumbprint == proved.key.kid == world.citizen.kid
    assert proved.officers == ("wang", "zhao")
    assert (proved.registrar, proved.assurance, proved.effective) == ("haikou", "in-person", world.now)
    assert proved.is_of(world.citizen_number)
    assert not proved.is_of("11010119900307281X"[:17] + _digit("11010119900307281"))


def _digit(number: str) -> str:
    weights = [pow(2, 17 - i, 11) for i in range(17)]
    return "10X98765432"[sum(w * int(d) for w, d in zip(weights, number, strict=True)) % 11]


def test_the_person_is_a_salted_hash_of_the_canonical_number(world: Any) -> None:
    expected = hashlib.sha256(b"s" * 16 + b"11010519491231002X").hexdigest()
    assert person_hash(b"s" * 16, " 11010519491231002x ") == expected
    assert canonical_citizen_number(world.citizen_number) == "11010519491231002X"
    assert world.citizen_number.encode() not in format_certificate(world.certificate())
    with pytest.raises(BadIdentifier):
        person_hash(b"s" * 16, "110105194912310021")


def test_a_certificate_survives_its_bytes(world: Any) -> None:
    certificate = world.certificate()
    data = format_certificate(certificate)
    assert parse_certificate(data) == certificate
    assert rfc8785.dumps(json.loads(data)) == data
    assert sorted(json.loads(data)) == ["document", "officers", "signatures"]
    expected = hashlib.sha256(b"chengxin/enrolment/v1\x00" + data).digest()
    assert certificate_hash(data) == certificate_hash(certificate) == expected


@given(
    assurance=st.sampled_from(["in-person", "eid", "guardian"]),
    at=st.integers(0, 2**42),
    wait=st.integers(0, 2**40),
    salt=st.binary(min_size=16, max_size=16),
    officers=st.sets(st.from_regex(r"\A[a-z][a-z0-9-]{0,20}\Z"), min_size=2, max_size=2).map(tuple),
)
def test_an_enrolment_survives_its_bytes(world: Any, wait: int, at: int, **members: Any) -> None:
    document = world.enrolment(at=at, effective=at + wait, **members)
    assert parse_enrolment(format_enrolment(document)) == document


def test_an_officer_cannot_sign_twice(world: Any) -> None:
    document = world.enrolment()
    once, certified = officer_sign(document, world.wang), world.officer("wang", world.wang)
    with pytest.raises(BadCertificate):
        verify(world, rejoined(world, signatures=(once, once), officers=(certified, certified)))
    with pytest.raises(MalformedDocument):
        world.enrolment(officers=("wang", "wang"))


def test_two_officers_cannot_share_a_key(world: Any) -> None:
    document = world.enrolment()
    once = officer_sign(document, world.wang)
    shared = rejoined(
        world,
        signatures=(once, once),
        officers=(world.officer("wang", world.wang), world.officer("zhao", world.wang)),
    )
    with pytest.raises(BadCertificate, match="share a key"):
        verify(world, shared)


def test_neither_citizen_nor_registrar_can_be_the_officer(world: Any) -> None:
    for key in (world.citizen, world.registrar):
        document = world.enrolment()
        own = rejoined(
            world,
            signatures=(officer_sign(document, key), officer_sign(document, world.zhao)),
            officers=(world.officer("wang", key), world.officer("zhao", world.zhao)),
        )
        with pytest.raises(BadCertificate, match="share a key"):
            verify(world, own)


@pytest.mark.parametrize("shift", [(-2 * DAY, 0), (1, DAY)], ids=["expired", "not-yet"])
def test_an_officer_out_of_time_is_refused(world: Any, shift: tuple[int, int]) -> None:
    late = world.officer("zhao", world.zhao, not_before=world.now + shift[0], not_after=world.now + shift[1])
    with pytest.raises(BadCertificate, match="at the time"):
        verify(world, rejoined(world, officers=(world.officer("wang", world.wang), late)))


def test_an_officer_of_another_registrar_is_refused(world: Any) -> None:
    foreign = world.officer("zhao", world.zhao, registrar="sanya")
    with pytest.raises(BadCertificate, match="another registrar"):
        verify(world, rejoined(world, officers=(world.officer("wang", world.wang), foreign)))


def test_an_officer_certified_by_anyone_else_is_refused(world: Any) -> None:
    insider = generate_key("Ed25519", lambda n: b"i" * n)
    for by in (insider, world.wang, world.citizen):
        forged = world.officer("zhao", world.zhao, by=by)
        with pytest.raises(BadCertificate, match="did not certify"):
            verify(world, rejoined(world, officers=(world.officer("wang", world.wang), forged)))


def test_officers_out_of_order_are_refused(world: Any) -> None:
    certificate = world.certificate()
    for swapped in (
        rejoined(world, officers=certificate.officers[::-1]),
        rejoined(world, signatures=certificate.signatures[::-1]),
        rejoined(world, officers=certificate.officers[::-1], signatures=certificate.signatures[::-1]),
    ):
        with pytest.raises(BadCertificate):
            verify(world, swapped)
    members = json.loads(format_certificate(certificate))
    members["document"]["officers"].reverse()
    with pytest.raises(MalformedDocument):
        parse_certificate(rfc8785.dumps(members))


def test_a_signature_over_another_payload_is_refused(world: Any) -> None:
    other = world.enrolment(salt=b"t" * 16)
    signatures = (officer_sign(world.enrolment(), world.wang), officer_sign(other, world.zhao))
    with pytest.raises(BadCertificate, match="another document"):
        verify(world, rejoined(world, signatures=signatures))


def test_a_signature_for_another_purpose_is_refused(world: Any) -> None:
    payload = format_enrolment(world.enrolment())
    for typ in ("officer+jwt", "consent+jwt"):
        signatures = (officer_sign(world.enrolment(), world.wang), sign_jws(payload, world.zhao, typ))
        with pytest.raises(BadCertificate, match="does not hold"):
            verify(world, rejoined(world, signatures=signatures))


def test_one_signature_or_three_are_refused(world: Any) -> None:
    members = json.loads(format_certificate(world.certificate()))
    for count in (1, 3):
        tokens = (members["signatures"] * 2)[:count]
        with pytest.raises(MalformedDocument):
            parse_certificate(rfc8785.dumps(members | {"signatures": tokens}))


def test_a_certificate_for_another_gateway_is_refused(world: Any) -> None:
    with pytest.raises(BadCertificate, match="another gateway"):
        verify(world, world.certificate(gateway="credit.example.cn/log1"))


def test_a_registrar_who_is_not_pinned_is_refused(world: Any) -> None:
    stranger = generate_key("Ed25519", lambda n: b"r" * n)
    with pytest.raises(BadCertificate):
        verify(world, world.certificate(), registrar=parse_public_jwk(stranger.jwk))
    with pytest.raises(BadCertificate, match="another registrar"):
        verify(world, world.certificate(), registrar_id="sanya")


def test_a_certificate_from_the_future_is_refused(world: Any) -> None:
    with pytest.raises(BadCertificate, match="after it was used"):
        verify(world, world.certificate(), at=world.now - 1)


def test_another_key_cannot_be_slipped_into_a_signed_certificate(world: Any) -> None:
    members = json.loads(format_certificate(world.certificate()))
    members["document"]["jwk"] = world.phone.jwk
    with pytest.raises(MalformedDocument):
        parse_certificate(rfc8785.dumps(members))
    members["document"]["key"] = world.phone.kid
    with pytest.raises(BadCertificate, match="another document"):
        verify(world, parse_certificate(rfc8785.dumps(members)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("type", "chengxin/officer/v1"),
        ("assurance", "self"),
        ("person", "AB" * 32),
        ("salt", "AAAA"),
        ("effective", "2026-11-21T07:59:59.999Z"),
        ("at", "2026-11-21"),
        ("registrar", ""),
        ("jwk", {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43}),
        ("surprise", True),
    ],
)
def test_an_enrolment_out_of_form_is_refused(world: Any, name: str, value: Any) -> None:
    members = json.loads(format_enrolment(world.enrolment()))
    with pytest.raises(MalformedDocument):
        parse_enrolment(rfc8785.dumps(members | {name: value}))
    whole = json.loads(format_certificate(world.certificate()))
    whole["document"][name] = value
    with pytest.raises(MalformedDocument):
        parse_certificate(rfc8785.dumps(whole))


def test_a_private_key_never_passes_for_a_public_one(world: Any) -> None:
    with pytest.raises(ValueError, match="public key"):
        world.officer("wang", world.wang, jwk=world.wang.jwk | {"d": "A" * 43})


def test_an_officers_certificate_is_read_back(world: Any) -> None:
    read = verify_officer(world.officer("wang", world.wang), parse_public_jwk(world.registrar.jwk))
    assert (read.officer, read.registrar, read.jwk) == ("wang", "haikou", world.wang.jwk)
    with pytest.raises(BadCertificate):
        verify_officer("not a token", parse_public_jwk(world.registrar.jwk))
