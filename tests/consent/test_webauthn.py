"""Passkey proofs: an assertion counts for one document, by one key, its holder verified, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.document import format_consent, format_withdrawal
from consent.errors import BadProof, ConsentError, MalformedDocument
from consent.proof import (
    Proof,
    format_proof,
    parse_proof,
    proof_kind,
    proof_sha256,
    sign_consent,
    verify_consent,
    verify_withdrawal,
)
from consent.webauthn import (
    Assertion,
    KeptProof,
    check_relying_party,
    consent_challenge,
    format_assertion,
    format_kept,
    keep,
    kept_sha256,
    parse_assertion,
    parse_kept,
    withdrawal_challenge,
)
from keys.canonical import b64u, canonical, sha256_hex, unb64u
from keys.errors import KeysError
from keys.signing import parse_public_jwk
from ledger.verify import webauthn as auditors
from tests.vectors.webauthn.cases import NONCE, PARTY, PHONE, TABLET, document, made, passkey

VECTORS = Path(__file__).parent.parent / "vectors" / "webauthn"
FILES = ("generated", "recorded")


def cases(expect: str) -> list[Any]:
    return [
        pytest.param(case, id=f"{name}-{case['name']}".replace(" ", "-"))
        for name in FILES
        for case in json.loads((VECTORS / f"{name}.json").read_text("utf-8"))["cases"]
        if case["expect"] == expect
    ]


def judge(case: dict[str, Any]) -> KeptProof:
    kept = parse_kept(canonical(case["proof"]))
    verify = verify_consent if case["kind"] == "consent" else verify_withdrawal
    verify(canonical(case["document"]), kept, parse_public_jwk(case["public"]))
    return kept


def audit(case: dict[str, Any]) -> None:
    check = auditors.check_consent if case["kind"] == "consent" else auditors.check_withdrawal
    check(case["document"], case["proof"], parse_public_jwk(case["public"]))


def kept_of(case: dict[str, Any]) -> KeptProof:
    return parse_kept(canonical(case["proof"]))


# --- the vectors, with our reader and with the auditor's ---


@pytest.mark.parametrize("case", cases("valid"))
def test_a_genuine_assertion_verifies_with_both_readers(case: dict[str, Any]) -> None:
    kept, signed = judge(case), canonical(case["document"])
    audit(case)
    made_of = consent_challenge if case["kind"] == "consent" else withdrawal_challenge
    assert b64u(made_of(unb64u(kept.server_nonce), signed)) == case["challenge"]
    assert kept_sha256(kept, signed) == case["proof_sha256"]
    assert auditors.proof_hash(case["document"], case["proof"]) == case["proof_sha256"]


@pytest.mark.parametrize("case", cases("refused"))
def test_a_lie_is_refused_by_both_readers(case: dict[str, Any]) -> None:
    with pytest.raises(ConsentError):
        judge(case)
    with pytest.raises(KeysError):
        audit(case)


def test_recorded_assertions_are_of_both_algorithms_and_both_kinds() -> None:
    recorded = [case.values[0] for case in cases("valid") if str(case.id).startswith("recorded")]
    assert {(case["public"]["kty"], case["kind"]) for case in recorded} == {
        (kty, kind) for kty in ("EC", "OKP") for kind in ("consent", "withdrawal")
    }


# --- whatever is changed ---


@pytest.mark.parametrize("soft", [passkey(PHONE), passkey(TABLET)], ids=lambda soft: soft.key.alg)
@given(data=st.data())
def test_no_changed_byte_is_accepted(soft: Any, data: st.DataObject) -> None:
    case = made("", soft)
    member = data.draw(
        st.sampled_from(["authenticator_data", "client_data_json", "signature", "server_nonce"])
    )
    raw = bytearray(unb64u(case["proof"][member]))
    position = data.draw(st.integers(0, len(raw) - 1))
    raw[position] ^= data.draw(st.integers(1, 255))
    case["proof"][member] = b64u(bytes(raw))
    with pytest.raises(BadProof):
        judge(case)


@pytest.mark.parametrize("alg_of", [PHONE, TABLET], ids=lambda key: key.alg)
def test_a_proof_of_consent_is_none_of_withdrawal_though_the_hash_were_the_same(alg_of: Any) -> None:
    """The two tags differ, so that even a document read both ways could not make one serve for the other."""
    signed = document("consent", alg_of.kid)
    back = document("withdrawal", alg_of.kid)
    crossed = made("", passkey(alg_of), "withdrawal", consent_challenge(NONCE, signed))
    with pytest.raises(BadProof):
        judge(crossed)
    assert consent_challenge(NONCE, signed) != withdrawal_challenge(NONCE, back)


def test_another_subject_than_the_key_is_refused() -> None:
    case = made("", passkey(PHONE))
    signed = document("consent", TABLET.kid)
    with pytest.raises(BadProof, match="another key"):
        verify_consent(signed, kept_of(case), parse_public_jwk(PHONE.jwk))


def test_a_challenge_is_made_of_a_document_only() -> None:
    signed = document("consent", PHONE.kid)
    for bad, nonce in (
        (signed[:-1], NONCE),
        (document("withdrawal", PHONE.kid), NONCE),
        (signed, NONCE[:31]),
    ):
        with pytest.raises(MalformedDocument):
            consent_challenge(nonce, bad)
    with pytest.raises(MalformedDocument):
        withdrawal_challenge(NONCE, signed)


# --- forms ---


def test_every_form_is_read_as_it_was_written() -> None:
    for case in (made("", passkey(PHONE)), made("", passkey(TABLET), "withdrawal")):
        kept = kept_of(case)
        assert parse_kept(format_kept(kept)) == kept
        sent = Assertion(
            server_nonce=kept.server_nonce,
            authenticator_data=kept.authenticator_data,
            client_data_json=kept.client_data_json,
            signature=kept.signature,
        )
        assert parse_assertion(format_assertion(sent)) == sent
        assert kept.is_of(sent)
        assert keep(sent, PARTY, parse_public_jwk(case["public"])) == kept
        other = Assertion(
            **{name: getattr(sent, name) for name in sent.__struct_fields__} | {"signature": "AA"}
        )
        assert not kept.is_of(other)


def test_a_stored_proof_is_a_jws_or_a_kept_set_and_says_which(world: Any) -> None:
    consent = world.consent()
    token: Proof = sign_consent(consent, world.citizen)
    case = made("", passkey(PHONE))
    kept = kept_of(case)
    signed = canonical(case["document"])
    assert (parse_proof(format_proof(token)), proof_kind(token)) == (token, "jws")
    assert (parse_proof(format_proof(kept)), proof_kind(kept)) == (kept, "webauthn")
    assert (
        proof_sha256(token, format_consent(consent)) == proof_sha256(token) == sha256_hex(str(token).encode())
    )
    assert proof_sha256(kept, signed) == case["proof_sha256"]
    with pytest.raises(MalformedDocument):
        proof_sha256(kept)
    with pytest.raises(MalformedDocument):
        parse_proof("{}")


def test_a_proof_hides_itself_from_logs() -> None:
    kept = kept_of(made("", passkey(PHONE)))
    assert repr(kept) == "KeptProof(…)"


BAD_MEMBERS: dict[str, dict[str, Any]] = {
    "no nonce": {"server_nonce": ""},
    "a nonce of 33 bytes": {"server_nonce": b64u(bytes(33))},
    "empty": {"signature": ""},
    "no text": {"signature": 7},
    "null": {"client_data_json": None},
    "too long": {"client_data_json": b64u(bytes(4_097))},
    "far too long": {"authenticator_data": "A" * 8_000},
    "another type": {"type": "chengxin/webauthn-proof/v1"},
    "an unknown member": {"user_handle": "AA"},
}


@pytest.mark.parametrize("change", BAD_MEMBERS.values(), ids=BAD_MEMBERS.keys())
def test_an_assertion_out_of_form_is_refused_before_any_key_is_touched(change: dict[str, Any]) -> None:
    proof = made("", passkey(PHONE))["proof"]
    members = {name: proof[name] for name in Assertion.__struct_fields__} | {"type": "webauthn"}
    assert parse_assertion(members)
    with pytest.raises(MalformedDocument):
        parse_assertion(members | change)


@pytest.mark.parametrize(
    ("rp_id", "origins"),
    [
        ("localhost", ("http://localhost:8460",)),
        ("credit.example.cn", ("https://credit.example.cn", "https://m.credit.example.cn:8443")),
        ("example.cn", ("https://a.example.cn", "https://example.cn")),
        ("xn--fiqs8s.cn", ("https://xn--fiqs8s.cn",)),
    ],
)
def test_a_relying_party_is_a_domain_and_its_pages(rp_id: str, origins: tuple[str, ...]) -> None:
    check_relying_party(rp_id, origins)


@pytest.mark.parametrize(
    ("rp_id", "origins"),
    [
        ("", ()),
        ("127.0.0.1", ("https://127.0.0.1",)),
        ("Example.cn", ()),
        ("example.cn.", ()),
        ("exa mple.cn", ()),
        ("example..cn", ()),
        ("诚信.cn", ()),
        ("a" * 254, ()),
        ("example.cn", ("http://example.cn",)),
        ("example.cn", ("https://example.cn/",)),
        ("example.cn", ("https://example.cn:0",)),
        ("example.cn", ("https://user@example.cn",)),
        ("example.cn", ("https://notexample.cn",)),
        ("a.example.cn", ("https://example.cn",)),
        ("example.cn", ("https://example.cn", "https://a.example.cn")),
        ("localhost", ("http://localhost.example.cn",)),
        ("example.cn", ("android:apk-key-hash:AAAA",)),
    ],
)
def test_what_is_none_is_refused(rp_id: str, origins: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"domain|origin|sorted"):
        check_relying_party(rp_id, origins)


def test_a_withdrawal_carries_its_reason_into_the_challenge() -> None:
    """What a citizen says of their own accord is signed with the rest."""
    from consent.document import parse_withdrawal

    plain = parse_withdrawal(document("withdrawal", PHONE.kid))
    members = {name: getattr(plain, name) for name in plain.__struct_fields__}
    reasoned = format_withdrawal(type(plain)(**members | {"reason": "不再需要"}))
    assert withdrawal_challenge(NONCE, reasoned) != withdrawal_challenge(NONCE, format_withdrawal(plain))


def test_the_counter_and_backup_flags_do_not_matter() -> None:
    """A synced passkey says 0 for ever, and an old proof must verify after a newer one."""
    for count, flags in ((0, 0x05), (1, 0x1D), (2**32 - 1, 0x0D)):
        judge(made("", replace(passkey(PHONE), count=count, flags=flags)))
