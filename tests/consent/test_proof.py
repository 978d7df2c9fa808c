"""Signatures of others are accepted in the one profile; every confusion of algorithm, key or document is
refused.
"""

from __future__ import annotations

import json
import warnings
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey

from consent.document import Withdrawal, format_consent, format_withdrawal
from consent.errors import BadProof, MalformedDocument
from consent.proof import (
    parse_proof,
    proof_sha256,
    sign_consent,
    sign_withdrawal,
    verify_consent,
    verify_withdrawal,
)
from keys.canonical import b64u, unb64u
from keys.jws import sign_jws
from keys.signing import PrivateKey, parse_public_jwk, private_jwk

TYP = "consent+jwt"


def key_of(key: PrivateKey) -> Any:
    kind = ECKey if key.alg == "ES256" else OKPKey
    return kind.import_key(private_jwk(key))


def by_joserfc(payload: bytes, key: PrivateKey, **changed: Any) -> str:
    header = {"alg": key.alg, "kid": key.kid, "typ": TYP} | changed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # joserfc warns of `EdDSA`, which is what one test is about
        return jws.serialize_compact(header, payload, key_of(key), algorithms=["Ed25519", "ES256", "EdDSA"])


@pytest.mark.parametrize("name", ["citizen", "phone"])
def test_our_own_signature_verifies(world: Any, name: str) -> None:
    key = getattr(world, name)
    consent = world.consent(subject=key.kid)
    verify_consent(format_consent(consent), sign_consent(consent, key), parse_public_jwk(key.jwk))


@pytest.mark.parametrize("name", ["citizen", "phone"])
def test_joserfc_signs_a_consent_that_verifies(world: Any, name: str) -> None:
    key = getattr(world, name)
    document = format_consent(world.consent(subject=key.kid))
    verify_consent(document, by_joserfc(document, key), parse_public_jwk(key.jwk))


def test_joserfc_verifies_a_consent_that_we_signed(world: Any) -> None:
    consent = world.consent()
    token = sign_consent(consent, world.citizen)
    read = jws.deserialize_compact(token, OKPKey.import_key(world.citizen.jwk), algorithms=["Ed25519"])
    assert read.payload == format_consent(consent)


def test_the_old_name_of_ed25519_is_accepted(world: Any) -> None:
    document = format_consent(world.consent())
    verify_consent(
        document, by_joserfc(document, world.citizen, alg="EdDSA"), parse_public_jwk(world.citizen.jwk)
    )


def forge(header: dict[str, Any], payload: bytes, signature: bytes) -> str:
    return f"{b64u(json.dumps(header).encode())}.{b64u(payload)}.{b64u(signature)}"


def test_algorithm_confusions_are_refused(world: Any) -> None:
    citizen, phone = world.citizen, world.phone
    document = format_consent(world.consent(subject=citizen.kid))
    on_phone = format_consent(world.consent(subject=phone.kid))
    secret = OctKey.import_key({"kty": "oct", "k": citizen.jwk["x"]})
    header = {"alg": "HS256", "kid": citizen.kid, "typ": TYP}
    hmac = jws.serialize_compact(header, document, secret, algorithms=["HS256"])
    ours = parse_public_jwk(citizen.jwk)
    for token in (
        hmac,
        forge(header | {"alg": "none"}, document, b""),
        forge(header | {"alg": "none"}, document, bytes(64)),
        forge(header | {"alg": "ES256"}, document, bytes(64)),
        forge(header | {"alg": "Ed25519"}, document, bytes(64)),
        by_joserfc(document, phone, kid=citizen.kid),
        by_joserfc(document, phone),
    ):
        with pytest.raises(BadProof):
            verify_consent(document, token, ours)
    with pytest.raises(BadProof):
        verify_consent(on_phone, by_joserfc(on_phone, citizen, kid=phone.kid), parse_public_jwk(phone.jwk))


def test_an_es256_signature_in_der_is_refused(world: Any) -> None:
    consent = world.consent(subject=world.phone.kid)
    head, payload, signature = sign_consent(consent, world.phone).split(".")
    raw = unb64u(signature)
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    with pytest.raises(BadProof):
        verify_consent(
            format_consent(consent), f"{head}.{payload}.{b64u(der)}", parse_public_jwk(world.phone.jwk)
        )


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "withdrawal+jwt"},
        {"typ": "JWT"},
        {"typ": "Consent+JWT"},
        {"jwk": {"kty": "oct"}},
        {"cty": "json"},
        {"kid": "AAAA"},
    ],
    ids=lambda h: "-".join(f"{k}={v}" for k, v in h.items()),
)
def test_a_header_outside_the_profile_is_refused(world: Any, header: dict[str, Any]) -> None:
    document = format_consent(world.consent())
    members = {"alg": "Ed25519", "kid": world.citizen.kid, "typ": TYP} | header
    signing_input = f"{b64u(json.dumps(members).encode())}.{b64u(document)}"
    token = f"{signing_input}.{b64u(world.citizen.sign(signing_input.encode()))}"
    with pytest.raises(BadProof):
        verify_consent(document, token, parse_public_jwk(world.citizen.jwk))


def test_an_unencoded_payload_is_refused(world: Any) -> None:
    document = format_consent(world.consent())
    header = {"alg": "Ed25519", "kid": world.citizen.kid, "typ": TYP, "b64": False, "crit": ["b64"]}
    head = b64u(json.dumps(header).encode())
    signature = world.citizen.sign(head.encode() + b"." + document)
    with pytest.raises(BadProof):
        verify_consent(
            document, f"{head}.{b64u(document)}.{b64u(signature)}", parse_public_jwk(world.citizen.jwk)
        )


def test_a_signature_over_another_document_is_refused(world: Any) -> None:
    ours = parse_public_jwk(world.citizen.jwk)
    narrow, wide = world.consent(categories=("loan",)), world.consent()
    with pytest.raises(BadProof, match="another document"):
        verify_consent(format_consent(wide), sign_consent(narrow, world.citizen), ours)
    spaced = json.dumps(json.loads(format_consent(wide))).encode()
    with pytest.raises(BadProof, match="another document"):
        verify_consent(format_consent(wide), sign_jws(spaced, world.citizen, TYP), ours)
    with pytest.raises(MalformedDocument):
        verify_consent(spaced, sign_jws(spaced, world.citizen, TYP), ours)


def test_nobody_signs_for_another_subject(world: Any) -> None:
    consent = world.consent(subject=world.citizen.kid)
    with pytest.raises(BadProof, match="names another key"):
        sign_consent(consent, world.phone)
    document = format_consent(consent)
    with pytest.raises(BadProof, match="names another key"):
        verify_consent(document, by_joserfc(document, world.phone), parse_public_jwk(world.phone.jwk))


def test_a_withdrawal_is_signed_by_the_key_it_names(world: Any) -> None:
    withdrawal = Withdrawal(
        consent_id=world.consent().consent_id,
        gateway=world.gateway,
        subject=world.citizen.kid,
        nonce=b64u(b"w" * 16),
    )
    document = format_withdrawal(withdrawal)
    token = sign_withdrawal(withdrawal, world.citizen)
    verify_withdrawal(document, token, parse_public_jwk(world.citizen.jwk))
    with pytest.raises(BadProof):
        verify_withdrawal(document, token, parse_public_jwk(world.phone.jwk))
    with pytest.raises(BadProof):
        verify_withdrawal(
            document, sign_jws(document, world.citizen, TYP), parse_public_jwk(world.citizen.jwk)
        )
    with pytest.raises(MalformedDocument):
        verify_consent(document, token, parse_public_jwk(world.citizen.jwk))


def test_a_proof_hash_tells_two_tokens_apart(world: Any) -> None:
    document = format_consent(world.consent())
    ours, theirs = sign_consent(world.consent(), world.citizen), by_joserfc(document, world.citizen)
    assert len(proof_sha256(ours)) == 64
    assert (proof_sha256(ours) == proof_sha256(theirs)) == (ours == theirs)
    with pytest.raises(BadProof):
        proof_sha256("é")


def test_a_stored_proof_that_has_no_utf8_is_refused() -> None:
    with pytest.raises(MalformedDocument):
        parse_proof('{"\ud800":1}')
