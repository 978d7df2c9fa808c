from __future__ import annotations

import hmac
import json
import os
import warnings
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws as joserfc_jws
from joserfc.jwk import ECKey, OKPKey

from keys.canonical import b64u, canonical, unb64u
from keys.errors import BadSignature, KeysError, Malformed
from keys.jws import sign_jws, verify_jws
from keys.signing import ED25519, ES256, PrivateKey, PublicKey, generate_key, parse_public_jwk, private_jwk

TYP = "consent+jwt"
ALGORITHMS = pytest.mark.parametrize("alg", [ED25519, ES256])


@pytest.fixture(params=[ED25519, ES256])
def key(request: pytest.FixtureRequest) -> PrivateKey:
    return generate_key(request.param, os.urandom)


@pytest.fixture
def public(key: PrivateKey) -> PublicKey:
    return parse_public_jwk(key.jwk)


def token_of(key: PrivateKey, header: bytes, payload: bytes = b"payload") -> str:
    """A correctly signed token with any header bytes."""
    signing_input = f"{b64u(header)}.{b64u(payload)}"
    return f"{signing_input}.{b64u(key.sign(signing_input.encode()))}"


def header_of(key: PrivateKey, **members: object) -> bytes:
    return json.dumps({"alg": key.alg, "kid": key.kid, "typ": TYP, **members}).encode()


@ALGORITHMS
@given(payload=st.binary(max_size=300), typ=st.text(st.characters(min_codepoint=33, max_codepoint=126)))
def test_round_trip(alg: str, payload: bytes, typ: str) -> None:
    key = generate_key(alg, os.urandom)
    token = sign_jws(payload, key, typ)
    assert verify_jws(token, parse_public_jwk(key.jwk), typ) == payload
    assert unb64u(token.split(".")[0]) == canonical({"alg": alg, "kid": key.kid, "typ": typ})


def peer_key(key: PrivateKey) -> ECKey | OKPKey:
    return (OKPKey if key.alg == ED25519 else ECKey).import_key(private_jwk(key))


def test_joserfc_verifies_what_we_sign(key: PrivateKey) -> None:
    token = sign_jws(b'{"a":1}', key, TYP)
    found = joserfc_jws.deserialize_compact(token, peer_key(key), algorithms=[key.alg])
    assert found.payload == b'{"a":1}'
    assert found.headers() == {"alg": key.alg, "kid": key.kid, "typ": TYP}


def test_we_verify_what_joserfc_signs(key: PrivateKey, public: PublicKey) -> None:
    header = {"typ": TYP, "alg": key.alg, "kid": key.kid}
    token = joserfc_jws.serialize_compact(header, b'{"a":1}', peer_key(key), algorithms=[key.alg])
    assert verify_jws(token, public, TYP) == b'{"a":1}'


def test_joserfc_signing_as_eddsa_is_read_as_ed25519() -> None:
    key = generate_key(ED25519, os.urandom)
    header = {"alg": "EdDSA", "kid": key.kid, "typ": TYP}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # joserfc warns that RFC 9864 deprecates the name: it is what we test
        token = joserfc_jws.serialize_compact(header, b"p", peer_key(key), algorithms=["EdDSA"])
    assert verify_jws(token, parse_public_jwk(key.jwk), TYP) == b"p"


@pytest.mark.parametrize("layout", ['{{"typ":"{typ}",\n "kid" : "{kid}","\\u0061lg":"{alg}"}}'])
def test_any_legal_layout_of_the_header_is_accepted(key: PrivateKey, public: PublicKey, layout: str) -> None:
    header = layout.format(typ=TYP, kid=key.kid, alg=key.alg).encode()
    assert verify_jws(token_of(key, header), public, TYP) == b"payload"


def test_alg_none_is_refused(key: PrivateKey, public: PublicKey) -> None:
    for alg in ("none", "None", "NONE", ""):
        unsigned = f"{b64u(header_of(key, alg=alg))}.{b64u(b'payload')}."
        for token in (unsigned, unsigned + b64u(bytes(64)), token_of(key, header_of(key, alg=alg))):
            with pytest.raises(KeysError):
                verify_jws(token, public, TYP)


def test_hs256_keyed_with_the_public_key_is_refused(key: PrivateKey, public: PublicKey) -> None:
    secrets = (public.point, b"\x04" + public.point, canonical(public.jwk), json.dumps(public.jwk).encode())
    for secret in secrets:
        for hash_name in ("sha256", "sha512"):
            signing_input = f"{b64u(header_of(key, alg='HS256'))}.{b64u(b'payload')}".encode()
            mac = hmac.digest(secret, signing_input, hash_name)
            for tag in (mac, mac.ljust(64, b"\0")):
                with pytest.raises(Malformed):
                    verify_jws(f"{signing_input.decode()}.{b64u(tag)}", public, TYP)


@pytest.mark.parametrize("alg", ["HS256", "RS256", "PS256", "ES384", "ES256K", "Ed448", "ed25519", "es256"])
def test_algorithms_outside_the_profile_are_refused(key: PrivateKey, public: PublicKey, alg: str) -> None:
    with pytest.raises(Malformed):
        verify_jws(token_of(key, header_of(key, alg=alg)), public, TYP)


def test_the_header_cannot_choose_the_algorithm(key: PrivateKey, public: PublicKey) -> None:
    other = ES256 if key.alg == ED25519 else ED25519
    with pytest.raises(BadSignature):
        verify_jws(token_of(key, header_of(key, alg=other)), public, TYP)


def attacker_headers() -> Mapping[str, object]:
    attacker = generate_key(ED25519, os.urandom)
    return {
        "jwk": attacker.jwk,
        "jku": "https://attacker.example/keys",
        "x5c": ["MIIB"],
        "x5u": "https://attacker.example/chain",
        "x5t": "AAAA",
        "crit": ["exp"],
        "b64": False,
        "cty": "json",
        "zip": "DEF",
        "exp": 1,
        "": "",
    }


@pytest.mark.parametrize("member", attacker_headers())
def test_any_further_header_member_is_refused(key: PrivateKey, public: PublicKey, member: str) -> None:
    with pytest.raises(Malformed):
        verify_jws(token_of(key, header_of(key, **{member: attacker_headers()[member]})), public, TYP)


def test_an_embedded_attackers_key_is_never_used(public: PublicKey) -> None:
    attacker = generate_key(public.alg, os.urandom)
    with pytest.raises(KeysError):
        verify_jws(token_of(attacker, header_of(attacker, kid=public.kid, jwk=attacker.jwk)), public, TYP)
    with pytest.raises(BadSignature):
        verify_jws(token_of(attacker, header_of(attacker, kid=public.kid)), public, TYP)


def test_an_unencoded_payload_is_refused(key: PrivateKey, public: PublicKey) -> None:
    """RFC 7797 with crit, signed over the raw payload: the hole that older libraries had."""
    header = b64u(header_of(key, b64=False, crit=["b64"]))
    signature = b64u(key.sign(f"{header}.payload".encode()))
    with pytest.raises(Malformed):
        verify_jws(f"{header}.payload.{signature}", public, TYP)


@pytest.mark.parametrize("member", ["alg", "kid", "typ"])
def test_a_missing_or_duplicate_header_member_is_refused(
    key: PrivateKey, public: PublicKey, member: str
) -> None:
    members = json.loads(header_of(key))
    missing = json.dumps({name: value for name, value in members.items() if name != member}).encode()
    repeated = json.dumps(members)[:-1] + f', "{member}": {json.dumps(members[member])}}}'
    escaped = json.dumps(members)[:-1] + f', "\\u00{ord(member[0]):02x}{member[1:]}": "other"}}'
    for header in (missing, repeated.encode(), escaped.encode()):
        with pytest.raises(Malformed):
            verify_jws(token_of(key, header), public, TYP)


@pytest.mark.parametrize("header", [b"[]", b'"alg"', b"7", b"{", b"\xff", b""], ids=repr)
def test_a_header_that_is_no_object_is_refused(key: PrivateKey, public: PublicKey, header: bytes) -> None:
    with pytest.raises(Malformed):
        verify_jws(token_of(key, header), public, TYP)


@pytest.mark.parametrize(("member", "value"), [("alg", 1), ("kid", ["a"]), ("typ", True), ("kid", "short")])
def test_header_members_of_another_type_are_refused(
    key: PrivateKey, public: PublicKey, member: str, value: object
) -> None:
    with pytest.raises(Malformed):
        verify_jws(token_of(key, header_of(key, **{member: value})), public, TYP)


def test_a_token_signed_for_another_purpose_is_refused(key: PrivateKey, public: PublicKey) -> None:
    token = sign_jws(b"payload", key, "withdrawal+jwt")
    for typ in (TYP, "withdrawal+JWT", "JWT", ""):
        with pytest.raises(BadSignature):
            verify_jws(token, public, typ)


def test_a_token_naming_another_key_is_refused(key: PrivateKey, public: PublicKey) -> None:
    other = generate_key(key.alg, os.urandom)
    with pytest.raises(BadSignature):
        verify_jws(token_of(key, header_of(key, kid=other.kid)), public, TYP)
    with pytest.raises(BadSignature):
        verify_jws(sign_jws(b"payload", other, TYP), public, TYP)


def test_a_changed_payload_is_refused(key: PrivateKey, public: PublicKey) -> None:
    header, _, signature = sign_jws(b"payload", key, TYP).split(".")
    with pytest.raises(BadSignature):
        verify_jws(f"{header}.{b64u(b'payloae')}.{signature}", public, TYP)


def test_other_spellings_of_one_token_are_refused(key: PrivateKey, public: PublicKey) -> None:
    """One proof has one string, so its hash in the ledger names it."""
    token = sign_jws(b"payload", key, TYP)
    last = token[-1]
    sibling = (
        chr(ord(last) + 1)
        if last not in "Zz9_-"
        else {"Z": "a", "z": "0", "9": "-", "_": "-", "-": "_"}[last]
    )
    spellings = [
        token + "=",
        token + "\n",
        " " + token,
        token[:-1] + sibling,
        token.replace(".", "..", 1),
        token + ".",
        token.rsplit(".", 1)[0],
        token + "é",
        json.dumps({"payload": token.split(".")[1], "signatures": []}),
        "",
        "A" * 300_000,
    ]
    for spelling in spellings:
        with pytest.raises(KeysError):
            verify_jws(spelling, public, TYP)


@given(st.text(st.sampled_from("eyJhbGciOi.AQ=_-\n"), max_size=60))
def test_noise_raises_only_malformed(text: str) -> None:
    key = parse_public_jwk(generate_key(ED25519, os.urandom).jwk)
    with pytest.raises(Malformed):
        verify_jws(text, key, TYP)
