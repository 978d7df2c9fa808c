"""The conformance vectors, against our own code and against other people's libraries.

A vector that another library reads otherwise than we do is either its looseness, said here, or our mistake.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric import ed25519
from joserfc import jwe, jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey

from consent.document import consent_hash, parse_consent
from consent.errors import ConsentError
from consent.proof import proof_sha256, verify_consent
from gateway.client.errors import EvidenceFailed
from gateway.client.evidence import Pins
from gateway.http.signature import SignatureRefused, parse_signature, target_uri, verify_request
from keys.canonical import canonical, parse_canonical, unb64u
from keys.errors import KeysError
from keys.jwe import open_answer
from keys.notes import parse_vkey
from keys.signing import PublicKey, parse_public_jwk

VECTORS = Path(__file__).parent.parent / "vectors"
FILES = ("answers", "canonical", "consents", "http-signatures", "keys", "proofs", "receipts")


def load(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((VECTORS / f"{name}.json").read_text("utf-8"))
    return found


def cases(name: str, expect: str) -> list[Any]:
    return [
        pytest.param(case, id=case["name"].replace(" ", "-"))
        for case in load(name)["cases"]
        if case.get("expect") == expect
    ]


def key_of(case: dict[str, Any]) -> PublicKey:
    return parse_public_jwk(case["public"])


@pytest.mark.parametrize("name", FILES)
def test_every_file_says_what_it_is_about_and_names_its_cases_once(name: str) -> None:
    found = load(name)
    names = [case["name"] for case in found["cases"]]
    assert found["about"]
    assert len(names) == len(set(names)) > 0
    if name != "keys":
        assert {case["expect"] for case in found["cases"]} == {"valid", "refused"}


# --- canonical JSON ---


@pytest.mark.parametrize("case", cases("canonical", "valid"))
def test_the_canonical_form_is_the_one_that_rfc8785_writes(case: dict[str, Any]) -> None:
    data = case["canonical"].encode()
    assert canonical(case["value"]) == rfc8785.dumps(case["value"]) == data
    assert parse_canonical(data) == case["value"]
    assert hashlib.sha256(data).hexdigest() == case["sha256"]


@pytest.mark.parametrize("case", cases("canonical", "refused"))
def test_what_is_not_canonical_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(KeysError):
        parse_canonical(case["text"].encode())


# --- signed requests ---


def judge(case: dict[str, Any]) -> None:
    """What the gateway does with a request before it believes it."""
    headers = {name.lower(): value for name, value in case["headers"].items()}
    parsed = parse_signature(case["method"], headers)
    verify_request(
        parsed,
        case["method"],
        target_uri(load("http-signatures")["public_origin"], case["target"]),
        None if case["body"] is None else case["body"].encode(),
        headers.get("content-type"),
        headers.get("content-digest"),
        key_of(case),
        case["tag"],
        case["now"],
    )


@pytest.mark.parametrize("case", cases("http-signatures", "valid"))
def test_a_signed_request_verifies(case: dict[str, Any]) -> None:
    judge(case)
    if case["public"]["kty"] == "OKP":
        public = ed25519.Ed25519PublicKey.from_public_bytes(unb64u(case["public"]["x"]))
        raw = base64.b64decode(case["headers"]["Signature"].split(":")[1])
        public.verify(raw, case["signature_base"].encode())


@pytest.mark.parametrize("case", cases("http-signatures", "refused"))
def test_a_bent_request_is_refused_for_the_reason_given(case: dict[str, Any]) -> None:
    with pytest.raises(SignatureRefused) as refused:
        judge(case)
    assert refused.value.why.value == case["why"]


# --- consents ---


@pytest.mark.parametrize("case", cases("consents", "valid"))
def test_a_signed_consent_verifies_here_and_with_joserfc(case: dict[str, Any]) -> None:
    data = canonical(case["document"])
    verify_consent(data, case["proof"], key_of(case))
    assert consent_hash(data).hex() == case["consent_hash"]
    assert proof_sha256(case["proof"]) == case["proof_sha256"]
    key = (OKPKey if case["public"]["kty"] == "OKP" else ECKey).import_key(case["public"])
    algorithm = "Ed25519" if case["public"]["kty"] == "OKP" else "ES256"
    assert jws.deserialize_compact(case["proof"], key, algorithms=[algorithm]).payload == data


@pytest.mark.parametrize("case", cases("consents", "refused"))
def test_a_consent_that_was_not_signed_so_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises((ConsentError, KeysError, WrongGateway)):
        take(case)


class WrongGateway(Exception):
    """The consent is for another gateway."""


def take(case: dict[str, Any]) -> None:
    """What a gateway does with a consent before it believes it."""
    data = canonical(case["document"])
    verify_consent(data, case["proof"], key_of(case))
    if parse_consent(data).gateway != load("consents")["gateway"]:
        raise WrongGateway


# --- receipts and proofs ---


def pins(vkey: str, public: dict[str, str]) -> Pins:
    return Pins(parse_vkey(vkey), parse_public_jwk(public))


def believe(case: dict[str, Any]) -> None:
    """What a bank's client does before it believes a reply."""
    own = pins(load("proofs")["vkey"], load("receipts")["public"])
    if "answer" in case:
        own.disclosure(case["receipt"], case["query_id"], case["answer"])
    else:
        own.refusal(case["receipt"], case["query_id"], case["reason"])


@pytest.mark.parametrize("case", cases("receipts", "valid"))
def test_a_receipt_covers_its_reply(case: dict[str, Any]) -> None:
    believe(case)
    key = OKPKey.import_key(load("receipts")["public"])
    payload = jws.deserialize_compact(case["receipt"], key, algorithms=["Ed25519"]).payload
    assert json.loads(payload)["decision"] == case["decision"]


@pytest.mark.parametrize("case", cases("receipts", "refused"))
def test_a_receipt_of_something_else_is_not_believed(case: dict[str, Any]) -> None:
    with pytest.raises(EvidenceFailed):
        believe(case)


@pytest.mark.parametrize("case", cases("proofs", "valid"))
def test_a_proof_leads_to_the_pinned_log(case: dict[str, Any]) -> None:
    own = pins(load("proofs")["vkey"], load("receipts")["public"])
    checkpoint = own.inclusion(case["proof"].encode(), case["index"], bytes.fromhex(case["leaf_hash"]))
    assert checkpoint.size == 5


@pytest.mark.parametrize("case", cases("proofs", "refused"))
def test_a_proof_that_leads_elsewhere_is_refused(case: dict[str, Any]) -> None:
    own = pins(load("proofs")["vkey"], load("receipts")["public"])
    with pytest.raises(EvidenceFailed):
        own.inclusion(case["proof"].encode(), case["index"], bytes.fromhex(case["leaf_hash"]))


@pytest.mark.parametrize("case", cases("answers", "valid"))
def test_a_sealed_answer_opens_here_and_with_joserfc(case: dict[str, Any]) -> None:
    private = load("answers")["private"]
    plain = open_answer(case["jwe"], private)
    assert parse_canonical(plain) == case["answer"]
    assert hashlib.sha256(plain).hexdigest() == case["answer_sha256"]
    key = OKPKey.import_key(private)
    assert jwe.decrypt_compact(case["jwe"], key, algorithms=["ECDH-ES", "A256GCM"]).plaintext == plain


@pytest.mark.parametrize("case", cases("answers", "refused"))
def test_what_is_no_answer_to_this_bank_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(KeysError):
        open_answer(case["jwe"], load("answers")["private"])


def test_other_libraries_refuse_the_forged_signatures_too() -> None:
    """Only those cases whose fault is the signature itself: the others are no JOSE library's business."""
    for case in load("consents")["cases"]:
        if case["name"] in ("one bit of the signature turned", "algorithm none", "signed by a stranger"):
            key = OKPKey.import_key(case["public"])
            with pytest.raises(JoseError):
                jws.deserialize_compact(case["proof"], key, algorithms=["Ed25519"])
