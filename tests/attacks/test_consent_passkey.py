"""A passkey's assertion that was not made for this consent is none: a sign-in, a registration, a payment.

Each is by the citizen's own passkey, on the right page, its holder verified: a dishonest page had them touch
it for something else. What an authenticator or a page may otherwise lie about is tried in
tests/gateway/consents/test_passkeys.py, the life of a challenge in test_challenges.py beside it.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from consent.document import CONSENT_TYPE
from consent.webauthn import RESUMPTION_TAG, WITHDRAWAL_TAG, consent_challenge, withdrawal_challenge
from gateway.client.citizen import Recorded
from gateway.client.passkey import Challenge
from gateway.client.reply import Refused
from keys.canonical import b64u, canonical, parse_canonical, sha256, tagged_hash
from tests.attacks.lure import post_grant
from tests.attacks.siege import Attack, Attacks, besieged, check_refused, nothing_given
from tests.gateway.consents.passkeys import Holder, holder
from tests.gateway.world import World

ATTACKS = Attacks()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with besieged("sqlite", tmp_path_factory) as made:
        yield made


@pytest.fixture(scope="module")
def victim(world: World) -> Holder:
    """Somebody whose passkey is enrolled."""
    citizen = holder(world)
    citizen.grant()
    return citizen


class Touched:
    """A consent that waits for its proof, a fresh nonce for it, and what the passkey can be had to sign."""

    def __init__(self, victim: Holder) -> None:
        self.victim = victim
        self.document = victim.consent_document()
        made = victim.client.challenge(self.document)
        assert isinstance(made, Challenge)
        self.made = made

    def over(self, challenge: bytes, **lies: Any) -> dict[str, Any]:
        """The consent's body with an assertion over this challenge, under the fresh nonce."""
        signed = replace(self.victim.passkey, **lies)(challenge, self.made.rp_id)
        proof = {
            "type": "webauthn",
            "server_nonce": b64u(self.made.server_nonce),
            "authenticator_data": b64u(signed.authenticator_data),
            "client_data_json": b64u(signed.client_data_json),
            "signature": b64u(signed.signature),
        }
        return self.body(proof)

    def body(self, proof: object) -> dict[str, Any]:
        """The body of a grant of this document."""
        return {"document": parse_canonical(self.document), "proof": proof}

    def honest(self) -> bytes:
        return self.made.challenge

    def tagged(self, tag: str) -> bytes:
        """What the honest challenge would be under another tag."""
        return tagged_hash(tag, self.made.server_nonce + tagged_hash(CONSENT_TYPE, self.document))

    def page_says(self, written: str) -> dict[str, Any]:
        """An assertion whose client data are these, `%s` standing for the honest challenge."""
        return self.over(self.honest(), raw_client_data=(written % b64u(self.honest())).encode())


# --- the passkey signed something else


@ATTACKS.refused(422, "bad-proof")
def a_sign_in(touched: Touched) -> Any:
    """Over a nonce of chance, as every site that signs people in sends."""
    return touched.over(os.urandom(32))


@ATTACKS.refused(422, "bad-proof")
def a_sign_in_over_the_gateways_nonce(touched: Touched) -> Any:
    return touched.over(touched.made.server_nonce)


@ATTACKS.refused(422, "bad-proof")
def a_sign_in_over_the_document(touched: Touched) -> Any:
    """The hash of the document itself, without the tag that says what the touch is for."""
    return touched.over(sha256(touched.document))


@ATTACKS.refused(422, "bad-proof")
def a_sign_in_under_a_tag_of_its_own(touched: Touched) -> Any:
    return touched.over(tagged_hash("chengxin/sign-in/v1/webauthn", touched.made.server_nonce))


@ATTACKS.refused(422, "bad-proof")
def a_withdrawal(touched: Touched) -> Any:
    nonce = touched.made.server_nonce
    return touched.over(withdrawal_challenge(nonce, touched.victim.withdrawal_document(str(uuid.uuid4()))))


@ATTACKS.refused(422, "bad-proof")
def the_consent_under_the_tag_of_a_withdrawal(touched: Touched) -> Any:
    return touched.over(touched.tagged(WITHDRAWAL_TAG))


@ATTACKS.refused(422, "bad-proof")
def the_consent_under_the_tag_of_a_resumption(touched: Touched) -> Any:
    return touched.over(touched.tagged(RESUMPTION_TAG))


@ATTACKS.refused(422, "bad-proof")
def a_consent_to_another_request(touched: Touched) -> Any:
    return touched.over(consent_challenge(touched.made.server_nonce, touched.victim.consent_document()))


@ATTACKS.refused(422, "bad-proof")
def the_consent_under_another_nonce(touched: Touched) -> Any:
    return touched.over(consent_challenge(os.urandom(32), touched.document))


# --- the browser says that it was for something else, or says it twice


@ATTACKS.refused(422, "bad-proof")
def a_registration(touched: Touched) -> Any:
    return touched.over(touched.honest(), client_data={"type": "webauthn.create"})


@ATTACKS.refused(422, "bad-proof")
def a_payment(touched: Touched) -> Any:
    return touched.over(touched.honest(), client_data={"type": "payment.get"})


@ATTACKS.refused(422, "bad-proof")
def a_type_in_other_letters(touched: Touched) -> Any:
    return touched.over(touched.honest(), client_data={"type": "WebAuthn.get"})


@ATTACKS.refused(422, "bad-proof")
def a_page_whose_name_begins_like_ours(touched: Touched) -> Any:
    return touched.over(touched.honest(), client_data={"origin": f"{touched.victim.world.url}.evil.cn"})


@ATTACKS.refused(422, "bad-proof")
def two_types(touched: Touched) -> Any:
    origin = touched.victim.world.url
    return touched.page_says(
        '{"type":"webauthn.create","type":"webauthn.get","challenge":"%s"'
        f',"origin":"{origin}","crossOrigin":false}}'
    )


@ATTACKS.refused(422, "bad-proof")
def two_challenges(touched: Touched) -> Any:
    origin = touched.victim.world.url
    return touched.page_says(
        f'{{"type":"webauthn.get","challenge":"{b64u(bytes(32))}","challenge":"%s"'
        f',"origin":"{origin}","crossOrigin":false}}'
    )


@ATTACKS.refused(422, "bad-proof")
def client_data_with_more_behind_it(touched: Touched) -> Any:
    honest = {"type": "webauthn.get", "challenge": "%s", "origin": touched.victim.world.url}
    return touched.page_says(json.dumps(honest) + "{}")


@ATTACKS.each
def test_an_assertion_is_no_consent(world: World, victim: Holder, attack: Attack) -> None:
    touched = Touched(victim)
    body = attack.make(touched)
    with nothing_given(world):
        check_refused(post_grant(world, body), attack)
    assert isinstance(victim.client.send_grant(touched.over(touched.honest())), Recorded)


def test_an_assertion_serves_once_and_for_its_own_consent(world: World, victim: Holder) -> None:
    """The honest proof of one consent, with its nonce, under another document of the same person."""
    first, second = Touched(victim), Touched(victim)
    body = first.over(first.honest())
    stolen = second.body(body["proof"])
    for _ in range(2):  # before and after it was used for its own
        with nothing_given(world):
            check_refused(post_grant(world, stolen), Attack(first.over, 422, "bad-proof"))
        assert isinstance(victim.client.send_grant(body), Recorded)
    assert not isinstance(victim.client.grant(second.document, victim.passkey), Refused)


def test_a_passkeys_proof_is_no_token_and_a_token_no_assertion(world: World, victim: Holder) -> None:
    """The signature over one form carried in the other."""
    touched = Touched(victim)
    signed = victim.passkey(touched.honest(), touched.made.rp_id)
    header = canonical({"alg": victim.passkey.key.alg, "kid": victim.kid, "typ": "consent+jwt"})
    token = f"{b64u(header)}.{b64u(touched.document)}.{b64u(signed.signature)}"
    with nothing_given(world):
        check_refused(post_grant(world, touched.body(token)), Attack(touched.over, 422, "bad-proof"))
    assert isinstance(victim.client.send_grant(touched.over(touched.honest())), Recorded)
