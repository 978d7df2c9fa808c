"""A consent's token in any form but one is no proof: algorithm confusion, keys brought along, other types.

Who makes these has all that the form asks for: the honest document, the citizen's public key, mostly even the
citizen's own signature. What is wrong is the form alone (RFC 7515, RFC 7797, RFC 8725).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from keys.canonical import b64u, canonical, unb64u
from keys.jws import sign_jws
from keys.signing import PrivateKey
from tests.attacks.lure import TYP, Lure, token
from tests.attacks.siege import Attack, Attacks, besieged, check_refused, nothing_given, somebody
from tests.gateway.world import Citizen, World, fresh_key

NEXT = count(100)
ATTACKS = Attacks()
ORDER = 2**252 + 27742317777372353535851937790883648493
"""Of the group that Ed25519 signs in (RFC 8032 section 5.1)."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with besieged("sqlite", tmp_path_factory) as made:
        yield made


@pytest.fixture(scope="module")
def victim(world: World) -> Citizen:
    return somebody(world, next(NEXT))


def usual(lure: Lure, **changes: Any) -> dict[str, Any]:
    """The one header, but for `changes`; None leaves a member out."""
    header = {"alg": "Ed25519", "kid": lure.citizen.key.kid, "typ": TYP} | changes
    return {name: value for name, value in header.items() if value is not None}


def under(lure: Lure, key: PrivateKey | None = None, **changes: Any) -> dict[str, Any]:
    """The honest document under a header with `changes`, signed by the citizen or by `key`."""
    return lure.body(key=key, header=usual(lure, **changes))


def with_proof(lure: Lure, proof: object) -> dict[str, Any]:
    return {**lure.body(), "proof": proof}


def parts(lure: Lure) -> tuple[str, str, str]:
    """Header, payload and signature of the honest token."""
    header, payload, signature = lure.body()["proof"].split(".")
    return header, payload, signature


# --- algorithm confusion


@ATTACKS.refused(422, "bad-proof")
def alg_none(lure: Lure) -> Any:
    unsigned = f"{b64u(canonical(usual(lure, alg='none')))}.{b64u(canonical(lure.document()))}."
    return with_proof(lure, unsigned)


@ATTACKS.refused(422, "bad-proof")
def alg_none_in_other_letters(lure: Lure) -> Any:
    return under(lure, alg="nOnE")


@ATTACKS.refused(422, "bad-proof")
def alg_none_over_a_good_signature(lure: Lure) -> Any:
    return under(lure, alg="none")


@ATTACKS.refused(422, "bad-proof")
def no_signature_at_all(lure: Lure) -> Any:
    header, payload, _ = parts(lure)
    return with_proof(lure, f"{header}.{payload}.")


@ATTACKS.refused(422, "bad-proof")
def hs256_with_the_public_key(lure: Lure) -> Any:
    return with_proof(lure, _hs256(lure, unb64u(lure.citizen.key.jwk["x"])))


@ATTACKS.refused(422, "bad-proof")
def hs256_with_the_public_key_as_json(lure: Lure) -> Any:
    return with_proof(lure, _hs256(lure, canonical(dict(lure.citizen.key.jwk))))


@ATTACKS.refused(422, "bad-proof")
def hs512_with_the_public_key(lure: Lure) -> Any:
    """As long as an Ed25519 signature is."""
    return with_proof(lure, _hs256(lure, unb64u(lure.citizen.key.jwk["x"]), "HS512", hashlib.sha512))


@ATTACKS.refused(422, "bad-proof")
def hmac_under_the_right_name(lure: Lure) -> Any:
    """HMAC with the public key, and the header says Ed25519."""
    return with_proof(lure, _hs256(lure, unb64u(lure.citizen.key.jwk["x"]), "Ed25519", hashlib.sha512))


def _hs256(lure: Lure, secret: bytes, alg: str = "HS256", digest: Any = hashlib.sha256) -> str:
    signing_input = f"{b64u(canonical(usual(lure, alg=alg)))}.{b64u(canonical(lure.document()))}"
    return f"{signing_input}.{b64u(hmac.digest(secret, signing_input.encode(), digest))}"


@ATTACKS.refused(422, "bad-proof")
def another_algorithms_name(lure: Lure) -> Any:
    return under(lure, alg="ES256")


@ATTACKS.refused(422, "bad-proof")
def another_algorithms_key(lure: Lure) -> Any:
    """P-256, of the attacker's, under the citizen's name."""
    return under(lure, fresh_key("ES256"), alg="ES256")


@ATTACKS.refused(422, "bad-proof")
def no_algorithm(lure: Lure) -> Any:
    return under(lure, alg=None)


@ATTACKS.refused(422, "bad-proof")
def a_list_of_algorithms(lure: Lure) -> Any:
    return under(lure, alg=["Ed25519"])


# --- a header that says more


@ATTACKS.refused(422, "bad-proof")
def embedded_jwk(lure: Lure) -> Any:
    """The attacker's key, brought along (CVE-2018-0114)."""
    key = fresh_key()
    return under(lure, key, jwk=dict(key.jwk))


@ATTACKS.refused(422, "bad-proof")
def embedded_jwk_of_the_citizen(lure: Lure) -> Any:
    return under(lure, jwk=dict(lure.citizen.key.jwk))


@ATTACKS.refused(422, "bad-proof")
def a_key_to_fetch(lure: Lure) -> Any:
    return under(lure, fresh_key(), jku=f"{lure.world.url}/v1/keys")


@ATTACKS.refused(422, "bad-proof")
def a_certificate_in_the_header(lure: Lure) -> Any:
    return under(lure, x5c=["MIIB"])


@ATTACKS.refused(422, "bad-proof")
def crit(lure: Lure) -> Any:
    return under(lure, crit=["exp"], exp=4_102_444_800)


@ATTACKS.refused(422, "bad-proof")
def crit_of_nothing(lure: Lure) -> Any:
    return under(lure, crit=[])


@ATTACKS.refused(422, "bad-proof")
def b64(lure: Lure) -> Any:
    """RFC 7797: the signature is over the payload as it is, which another reader may take for another."""
    payload, key = canonical(lure.document()), lure.citizen.key
    header = b64u(canonical(usual(lure, b64=False, crit=["b64"])))
    signature = key.sign(header.encode() + b"." + payload)
    return with_proof(lure, f"{header}.{b64u(payload)}.{b64u(signature)}")


@ATTACKS.refused(422, "bad-proof")
def b64_true(lure: Lure) -> Any:
    return under(lure, b64=True)


# --- for another use, by another name


@ATTACKS.refused(422, "bad-proof")
def typ_of_a_withdrawal(lure: Lure) -> Any:
    return under(lure, typ="withdrawal+jwt")


@ATTACKS.refused(422, "bad-proof")
def typ_of_a_sign_in(lure: Lure) -> Any:
    """What a page that signs people in would have them sign."""
    return under(lure, typ="JWT")


@ATTACKS.refused(422, "bad-proof")
def typ_with_its_tree(lure: Lure) -> Any:
    return under(lure, typ=f"application/{TYP}")


@ATTACKS.refused(422, "bad-proof")
def typ_in_other_letters(lure: Lure) -> Any:
    return under(lure, typ=TYP.upper())


@ATTACKS.refused(422, "bad-proof")
def no_typ(lure: Lure) -> Any:
    return under(lure, typ=None)


@ATTACKS.refused(422, "bad-proof")
def no_kid(lure: Lure) -> Any:
    return under(lure, kid=None)


@ATTACKS.refused(422, "bad-proof")
def kid_of_another_key(lure: Lure) -> Any:
    return under(lure, kid=fresh_key().kid)


@ATTACKS.refused(422, "bad-proof")
def kid_that_is_a_path(lure: Lure) -> Any:
    return under(lure, kid="../../../dev/null")


# --- another serialisation


@ATTACKS.refused(400, "malformed-body")
def flattened_json(lure: Lure) -> Any:
    header, payload, signature = parts(lure)
    return with_proof(lure, {"protected": header, "payload": payload, "signature": signature})


@ATTACKS.refused(400, "malformed-body")
def general_json_of_two_signatures(lure: Lure) -> Any:
    header, payload, signature = parts(lure)
    one = {"protected": header, "signature": signature}
    return with_proof(lure, {"payload": payload, "signatures": [one, one]})


@ATTACKS.refused(422, "bad-proof")
def detached(lure: Lure) -> Any:
    header, _, signature = parts(lure)
    return with_proof(lure, f"{header}..{signature}")


@ATTACKS.refused(422, "bad-proof")
def of_four_parts(lure: Lure) -> Any:
    return with_proof(lure, ".".join([*parts(lure), parts(lure)[2]]))


@ATTACKS.refused(422, "bad-proof")
def padded(lure: Lure) -> Any:
    return with_proof(lure, ".".join(parts(lure)) + "==")


@ATTACKS.refused(422, "bad-proof")
def with_unused_bits_set(lure: Lure) -> Any:
    """The last character of 64 bytes has four bits that no byte needs: a second spelling."""
    header, payload, signature = parts(lure)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return with_proof(
        lure, f"{header}.{payload}.{signature[:-1]}{alphabet[alphabet.index(signature[-1]) + 1]}"
    )


@ATTACKS.refused(422, "bad-proof")
def with_a_final_newline(lure: Lure) -> Any:
    return with_proof(lure, ".".join(parts(lure)) + "\n")


@ATTACKS.refused(422, "bad-proof")
def with_its_scalar_not_reduced(lure: Lure) -> Any:
    """S + L for S: the equation holds, and RFC 8032 section 5.1.7 refuses it."""
    header, payload, signature = parts(lure)
    raw = unb64u(signature)
    scalar = int.from_bytes(raw[32:], "little") + ORDER
    return with_proof(lure, f"{header}.{payload}.{b64u(raw[:32] + scalar.to_bytes(32, 'little'))}")


# --- what is inside reads two ways


@ATTACKS.refused(422, "bad-proof")
def two_algorithms_in_one_header(lure: Lure) -> Any:
    return _headed(lure, b'{"alg":"none","alg":"Ed25519","kid":"%s","typ":"consent+jwt"}')


@ATTACKS.refused(422, "bad-proof")
def two_algorithms_one_of_them_escaped(lure: Lure) -> Any:
    return _headed(lure, b'{"alg":"Ed25519","kid":"%s","typ":"consent+jwt","\\u0061lg":"none"}')


@ATTACKS.refused(422, "bad-proof")
def a_header_with_more_behind_it(lure: Lure) -> Any:
    return _headed(lure, b'{"alg":"Ed25519","kid":"%s","typ":"consent+jwt"}{}')


def _headed(lure: Lure, header: bytes) -> dict[str, Any]:
    key = lure.citizen.key
    return with_proof(lure, token(canonical(lure.document()), key, header % key.kid.encode()))


@ATTACKS.refused(422, "bad-proof")
def a_payload_that_says_it_twice(lure: Lure) -> Any:
    """Signed by the citizen; a reader that takes the last word for it reads the honest document."""
    said = canonical(lure.document())
    return with_proof(lure, sign_jws(b'{"purpose":"03",' + said[1:], lure.citizen.key, TYP))


@ATTACKS.refused(422, "bad-proof")
def a_payload_in_another_layout(lure: Lure) -> Any:
    said = canonical(lure.document()).replace(b",", b", ", 1)
    return with_proof(lure, sign_jws(said, lure.citizen.key, TYP))


@ATTACKS.refused(422, "bad-proof")
def a_payload_with_more_behind_it(lure: Lure) -> Any:
    return with_proof(lure, sign_jws(canonical(lure.document()) + b"\n", lure.citizen.key, TYP))


@ATTACKS.each
def test_a_token_is_no_proof(world: World, victim: Citizen, attack: Attack) -> None:
    lure = Lure(world, victim)
    body = attack.make(lure)
    with nothing_given(world):
        check_refused(lure.send(body), attack, victim)
    lure.check_honest_serves()


@pytest.mark.parametrize("alg", ["Ed25519", "EdDSA"])
def test_the_one_form_is_a_proof_in_any_legal_json(world: World, victim: Citizen, alg: str) -> None:
    """What is refused above is refused for what it is: three members in any order and layout serve."""
    lure, key = Lure(world, victim), victim.key
    header = b'{ "typ":"consent\\u002bjwt",\n"kid": "%s", "alg":"%s" }' % (key.kid.encode(), alg.encode())
    assert lure.send(with_proof(lure, token(canonical(lure.document()), key, header))).status_code == 201
