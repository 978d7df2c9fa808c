"""The wallet works offline, signs only what was shown, and only for its own gateway."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.document import format_template, narrowed, parse_consent, parse_withdrawal
from consent.errors import MalformedDocument
from consent.proof import verify_consent, verify_withdrawal
from gateway.client import Wallet, WillNotSign
from keys.canonical import canonical
from keys.signing import PrivateKey, parse_public_jwk
from tests.gateway.client.stand_in import CITIZEN_KEY, CONSENT_ID, LOG, NOTICE, OPERATOR_KEY, TEMPLATE

WALLET = Wallet(LOG, random=bytes)
FORM = format_template(TEMPLATE)


@pytest.mark.parametrize("key", [OPERATOR_KEY, CITIZEN_KEY], ids=lambda key: key.alg)
def test_a_signed_consent_verifies_and_is_its_template(key: PrivateKey) -> None:
    body = WALLET.sign_consent(FORM, key, notice_text=NOTICE)
    assert body.keys() == {"document", "proof"}
    document = canonical(body["document"])
    verify_consent(document, body["proof"], parse_public_jwk(key.jwk))
    consent = parse_consent(document)
    narrowed(TEMPLATE, consent, TEMPLATE.categories)
    assert consent.subject == key.kid


@given(st.sets(st.sampled_from(TEMPLATE.categories), max_size=1))
def test_left_out_categories_are_left_out_and_nothing_else_changes(without: set[str]) -> None:
    consent = parse_consent(canonical(WALLET.sign_consent(FORM, CITIZEN_KEY, without=without)["document"]))
    assert set(consent.categories) == set(TEMPLATE.categories) - without
    narrowed(TEMPLATE, consent, set(TEMPLATE.categories) - without)


@pytest.mark.parametrize("without", [TEMPLATE.categories, ["salary"]])
def test_nothing_left_or_never_asked_for_is_not_signed(without: list[str]) -> None:
    with pytest.raises(MalformedDocument):
        WALLET.sign_consent(FORM, CITIZEN_KEY, without=without)


def test_another_gateways_document_is_not_signed() -> None:
    with pytest.raises(WillNotSign):
        Wallet("other.example.cn/log0").sign_consent(FORM, CITIZEN_KEY)
    with pytest.raises(WillNotSign):
        Wallet("other.example.cn/log0").sign_withdrawal_of(CONSENT_ID, LOG, CITIZEN_KEY)


def test_a_notice_that_was_not_shown_is_not_signed() -> None:
    with pytest.raises(WillNotSign):
        WALLET.sign_consent(FORM, CITIZEN_KEY, notice_text=NOTICE + " ")


@pytest.mark.parametrize("form", [b"", b"{}", FORM + b"\n", FORM.replace(b'"02"', b'"2"')])
def test_what_is_no_template_is_not_signed(form: bytes) -> None:
    with pytest.raises(MalformedDocument):
        WALLET.sign_consent(form, CITIZEN_KEY)


def test_a_first_grant_carries_its_certificate() -> None:
    certificate = b'{ "officers": [], "signatures": [], "document": {} }'
    body = WALLET.sign_consent(FORM, CITIZEN_KEY, certificate=certificate)
    assert body["certificate"] == {"document": {}, "officers": [], "signatures": []}


def test_a_withdrawal_of_a_signed_consent_verifies() -> None:
    signed = canonical(WALLET.sign_consent(FORM, CITIZEN_KEY)["document"])
    body = WALLET.sign_withdrawal(signed, CITIZEN_KEY)
    document = canonical(body["document"])
    verify_withdrawal(document, body["proof"], parse_public_jwk(CITIZEN_KEY.jwk))
    withdrawal = parse_withdrawal(document)
    assert (withdrawal.consent_id, withdrawal.subject, withdrawal.reason) == (
        CONSENT_ID,
        CITIZEN_KEY.kid,
        None,
    )
    assert WALLET.sign_withdrawal(parse_consent(signed), CITIZEN_KEY) == body


def test_two_withdrawals_differ_by_their_nonce() -> None:
    wallet = Wallet()
    first, second = (wallet.sign_withdrawal_of(CONSENT_ID, LOG, CITIZEN_KEY) for _ in range(2))
    assert first["document"]["nonce"] != second["document"]["nonce"]
