"""Two readers of passkey proofs, one rule: what either refuses, the other refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from consent import webauthn as theirs
from consent.errors import ConsentError
from keys.canonical import b64u, canonical, unb64u
from keys.errors import KeysError
from keys.signing import PrivateKey, PublicKey, generate_key, parse_public_jwk
from ledger.verify import webauthn as ours
from tests.ledger.verify.forge import Source
from tests.ledger.verify.passkeys import CONSENT, ORIGINS, WITHDRAWAL, assertion
from tests.ledger.verify.people import template

SOURCE = Source("passkeys")
KEYS = {alg: generate_key(alg, SOURCE.bytes) for alg in ("ES256", "Ed25519")}
NONCE = SOURCE.bytes(32)
VECTORS = Path(__file__).parents[2] / "vectors" / "webauthn"


def consent(key: PrivateKey) -> dict[str, Any]:
    return template(SOURCE, subject=key.kid)


def accepted(document: dict[str, Any], kept: dict[str, Any], key: PublicKey) -> bool:
    """Whether the auditor's reader takes a consent's proof; the gateway's own must say the same."""
    try:
        read = theirs.parse_kept(canonical(kept))
        challenge = theirs.consent_challenge(unb64u(read.server_nonce), canonical(document))
        theirs.verify_assertion(challenge, read, key)
        taken = True
    except (ConsentError, KeysError):
        taken = False
    try:
        ours.check_consent(document, kept, key)
    except KeysError:
        assert not taken, "the gateway would take what the auditor refuses"
        return False
    assert taken, "the auditor would take what the gateway refuses"
    return True


def respelled(signature: str, how: Any) -> str:
    r, s = decode_dss_signature(unb64u(signature))
    return b64u(how(r, s))


@pytest.mark.parametrize("alg", KEYS)
@pytest.mark.parametrize(
    "fine",
    [
        {},
        {"flags": 0x0D},
        {"flags": 0x1D},
        {"client": {"crossOrigin": None}},
        {"client": {"origin": ORIGINS[1]}},
        {"client": {"other_keys_can_be_added_here": "do not compare", "hashAlgorithm": "SHA-256"}},
    ],
    ids=str,
)
def test_assertions_that_both_readers_take(alg: str, fine: dict[str, Any]) -> None:
    document = consent(KEYS[alg])
    kept = assertion(document, KEYS[alg], NONCE, **fine)
    assert accepted(document, kept, parse_public_jwk(KEYS[alg].jwk))


@pytest.mark.parametrize("alg", KEYS)
@pytest.mark.parametrize(
    "wrong",
    [
        {"tag": f"{WITHDRAWAL}/webauthn"},
        {"tag": CONSENT},
        {"flags": 0x01},
        {"flags": 0x04},
        {"flags": 0x00},
        {"flags": 0x45},
        {"flags": 0x85, "more": b"\xa0"},
        {"flags": 0x07},
        {"flags": 0x25},
        {"more": b"\0"},
        {"more": b"\xa0"},
        {"rp_id": "example.cn"},
        {"client": {"type": "webauthn.create"}},
        {"client": {"type": None}},
        {"client": {"challenge": None}},
        {"client": {"challenge": b64u(bytes(32))}},
        {"client": {"challenge": 7}},
        {"client": {"origin": "https://credit.example.cn.evil.example"}},
        {"client": {"origin": None}},
        {"client": {"crossOrigin": True}},
        {"client": {"crossOrigin": "false"}},
        {"client": {"topOrigin": "https://credit.example.cn"}},
        {"server_nonce": b64u(bytes(32))},
        {"server_nonce": b64u(bytes(16))},
        {"rp_id": "example.cn", "origins": ["https://credit.example.cn"]},
        {"origins": []},
        {"origins": ["https://my.credit.example.cn:8443"]},
        {"jwk": KEYS["Ed25519"].jwk | {"x": b64u(bytes(31) + b"\1")}},
        {"type": "chengxin/webauthn-proof/v2"},
        {"signature": b64u(bytes(64))},
        {"signature": ""},
        {"unknown": "member"},
    ],
    ids=str,
)
def test_assertions_that_both_readers_refuse(alg: str, wrong: dict[str, Any]) -> None:
    document = consent(KEYS[alg])
    kept = assertion(document, KEYS[alg], NONCE, **wrong)
    assert not accepted(document, kept, parse_public_jwk(KEYS[alg].jwk))


@pytest.mark.parametrize(
    ("origin", "rp_id"),
    [
        ("http://credit.example.cn", "credit.example.cn"),
        ("https://evil.example", "credit.example.cn"),
        ("https://notcredit.example.cn", "credit.example.cn"),
    ],
)
def test_an_origin_that_no_browser_would_let_use_the_key_is_refused(origin: str, rp_id: str) -> None:
    key = KEYS["ES256"]
    document = consent(key)
    kept = assertion(document, key, NONCE, rp_id=rp_id, client={"origin": origin}, origins=[origin])
    assert not accepted(document, kept, parse_public_jwk(key.jwk))


@pytest.mark.parametrize(
    "how",
    [
        lambda r, s: r.to_bytes(32, "big") + s.to_bytes(32, "big"),
        lambda r, s: encode_dss_signature(r, s) + b"\0",
        lambda r, s: b"\x30\x81" + encode_dss_signature(r, s)[1:],
        lambda r, s: encode_dss_signature(r, s + 2**256),
        lambda r, s: encode_dss_signature(0, s),
    ],
    ids=["raw", "trailing", "long length", "too big", "zero"],
)
def test_other_spellings_of_a_signature_are_refused(how: Any) -> None:
    key = KEYS["ES256"]
    document = consent(key)
    kept = assertion(document, key, NONCE)
    assert accepted(document, kept, parse_public_jwk(key.jwk))
    other = kept | {"signature": respelled(kept["signature"], how)}
    assert other != kept
    assert not accepted(document, other, parse_public_jwk(key.jwk))


def test_client_data_in_which_a_member_stands_twice_is_refused() -> None:
    key = KEYS["Ed25519"]
    document = consent(key)
    kept = assertion(document, key, NONCE)
    said = unb64u(kept["client_data_json"])
    for data in (said[:-1] + b',"type":"webauthn.get"}', b"[" + said + b"]", said + b" {}", b"", b"\xff"):
        assert not accepted(document, kept | {"client_data_json": b64u(data)}, parse_public_jwk(key.jwk))
    assert json.loads(said)["type"] == "webauthn.get"


def test_a_proof_serves_its_own_document_only() -> None:
    key = KEYS["ES256"]
    document = consent(key)
    kept = assertion(document, key, NONCE)
    assert not accepted(document | {"max_uses": 7}, kept, parse_public_jwk(key.jwk))


@pytest.mark.parametrize("alg", KEYS)
def test_a_withdrawal_is_read_alike_and_never_as_a_consent(alg: str) -> None:
    key = KEYS[alg]
    public = parse_public_jwk(key.jwk)
    document = {
        "type": "chengxin/withdrawal/v1",
        "consent_id": SOURCE.uuid(),
        "gateway": "credit.example.cn/log0",
        "subject": key.kid,
        "nonce": SOURCE.salt(),
    }
    kept = assertion(document, key, NONCE, about=WITHDRAWAL)
    ours.check_withdrawal(document, kept, public)
    read = theirs.parse_kept(canonical(kept))
    theirs.verify_assertion(theirs.withdrawal_challenge(NONCE, canonical(document)), read, public)
    with pytest.raises(KeysError):
        ours.check_consent(document, kept, public)
    as_consent = assertion(document, key, NONCE, about=WITHDRAWAL, tag=f"{CONSENT}/webauthn")
    with pytest.raises(KeysError):
        ours.check_withdrawal(document, as_consent, public)


CASES = [
    pytest.param(case, id=f"{name}: {case['name']}")
    for name in ("generated", "recorded")
    for case in json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))["cases"]
]


@pytest.mark.parametrize("case", CASES)
def test_the_vectors_that_everybody_shares_are_read_as_they_say(case: dict[str, Any]) -> None:
    key = parse_public_jwk(case["public"])
    check = {"consent": ours.check_consent, "withdrawal": ours.check_withdrawal}[case["kind"]]
    try:
        check(case["document"], case["proof"], key)
        stands = case["document"]["subject"] == key.kid  # another rule's matter in the verifier
    except KeysError:
        stands = False
    assert stands == (case["expect"] == "valid")
    if stands:
        assert ours.proof_hash(case["document"], case["proof"]) == case["proof_sha256"]


def test_the_kept_set_is_hashed_alike_with_its_document() -> None:
    key = KEYS["ES256"]
    document = consent(key)
    kept = assertion(document, key, NONCE)
    read = theirs.parse_kept(canonical(kept))
    assert ours.proof_hash(document, kept) == theirs.kept_sha256(read, canonical(document))
