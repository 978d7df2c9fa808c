from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.canonical import b64u, canonical, sha256, unb64u
from keys.errors import BadSignature, Malformed
from keys.signing import (
    ED25519,
    ES256,
    Ed25519PrivateKey,
    Es256PrivateKey,
    ed25519_public_key,
    generate_key,
    load_private_jwk,
    parse_public_jwk,
    private_jwk,
    thumbprint,
    thumbprint_bytes,
)

ALGORITHMS = pytest.mark.parametrize("alg", [ED25519, ES256])
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

# RFC 8032 section 7.1: seed, public key, message, signature
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
            "d25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
            "387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
            "4a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
]


@pytest.mark.parametrize(("seed", "public", "message", "signature"), RFC_8032)
def test_rfc_8032_vectors(seed: str, public: str, message: str, signature: str) -> None:
    key = Ed25519PrivateKey(bytes.fromhex(seed))
    assert unb64u(key.jwk["x"]).hex() == public
    assert key.sign(bytes.fromhex(message)).hex() == signature
    ed25519_public_key(bytes.fromhex(public)).verify(bytes.fromhex(message), bytes.fromhex(signature))


def test_rfc_6979_vector_for_p256() -> None:
    """RFC 6979 appendix A.2.5, SHA-256, message "sample"."""
    key = Es256PrivateKey(bytes.fromhex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721"))
    assert unb64u(key.jwk["x"]).hex() == "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
    assert unb64u(key.jwk["y"]).hex() == "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
    assert key.sign(b"sample").hex() == (
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
        "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
    )


def test_rfc_7638_vector() -> None:
    """RFC 7638 section 3.1: its RSA key, by the same hash over the same canonical bytes."""
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3okn"
        "jhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qM"
        "QvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJz"
        "KnqDKgw"
    )
    required = {"e": "AQAB", "kty": "RSA", "n": modulus}
    assert b64u(sha256(canonical(required))) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_rfc_8037_thumbprint() -> None:
    """RFC 8037 appendix A.3: an Ed25519 key."""
    jwk = {"crv": "Ed25519", "kty": "OKP", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    assert parse_public_jwk(jwk).kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    assert thumbprint(jwk) == thumbprint({**jwk, "use": "sig"})
    assert thumbprint_bytes(thumbprint(jwk)) == sha256(canonical(jwk))


@ALGORITHMS
@given(message=st.binary(max_size=200), other=st.binary(max_size=200))
def test_a_signature_holds_for_its_message_alone(alg: str, message: bytes, other: bytes) -> None:
    key = generate_key(alg, os.urandom)
    public = parse_public_jwk(key.jwk)
    signature = key.sign(message)
    assert len(signature) == 64
    assert (public.alg, public.kid, public.jwk) == (alg, key.kid, key.jwk)
    public.verify(message, signature)
    if other != message:
        with pytest.raises(BadSignature):
            public.verify(other, signature)


@ALGORITHMS
def test_every_flipped_bit_of_a_signature_is_noticed(alg: str) -> None:
    key = generate_key(alg, os.urandom)
    public = parse_public_jwk(key.jwk)
    signature = key.sign(b"message")
    for bit in range(512):
        altered = (int.from_bytes(signature, "big") ^ (1 << bit)).to_bytes(64, "big")
        with pytest.raises(BadSignature):
            public.verify(b"message", altered)


@ALGORITHMS
def test_another_keys_signature_is_refused(alg: str) -> None:
    public = parse_public_jwk(generate_key(alg, os.urandom).jwk)
    with pytest.raises(BadSignature):
        public.verify(b"message", generate_key(alg, os.urandom).sign(b"message"))


@ALGORITHMS
@pytest.mark.parametrize(
    "signature",
    [b"", bytes(63), bytes(65), bytes(64), b"\xff" * 64, P256_ORDER.to_bytes(32, "big") * 2],
    ids=["empty", "short", "long", "zeros", "ones", "order"],
)
def test_degenerate_signatures_are_refused(alg: str, signature: bytes) -> None:
    """Zeros are the ECDSA signature that a verifier without range checks takes for anything."""
    with pytest.raises(BadSignature):
        parse_public_jwk(generate_key(alg, os.urandom).jwk).verify(b"message", signature)


@ALGORITHMS
@given(st.integers(1, P256_ORDER - 1))
def test_private_keys_round_trip(alg: str, secret: int) -> None:
    key = generate_key(alg, lambda count: secret.to_bytes(count, "big"))
    loaded = load_private_jwk(private_jwk(key))
    assert (loaded.alg, loaded.kid, loaded.jwk) == (key.alg, key.kid, key.jwk)
    assert private_jwk(loaded) == private_jwk(key)
    assert loaded.sign(b"m") == key.sign(b"m")


def test_a_p256_secret_out_of_range_is_drawn_again() -> None:
    draws = iter([bytes(32), P256_ORDER.to_bytes(32, "big"), b"\x01" * 32])
    key = generate_key(ES256, lambda _: next(draws))
    assert private_jwk(key)["d"] == b64u(b"\x01" * 32)


@ALGORITHMS
def test_a_private_key_does_not_show_in_its_representation(alg: str) -> None:
    key = generate_key(alg, os.urandom)
    assert private_jwk(key)["d"] not in repr(key)
    assert unb64u(private_jwk(key)["d"]).hex() not in repr(key)


# Points of order 1, 2, 4 and 8, canonical and not: under them one signature fits many messages.
SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0100000000000000000000000000000000000000000000000000000000000080",
]


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_ed25519_points_of_small_order_are_no_keys(point: str) -> None:
    with pytest.raises(Malformed):
        parse_public_jwk({"kty": "OKP", "crv": "Ed25519", "x": b64u(bytes.fromhex(point))})


def test_a_point_off_p256_is_no_key() -> None:
    jwk = generate_key(ES256, os.urandom).jwk
    flipped = bytearray(unb64u(jwk["y"]))
    flipped[31] ^= 1
    for y in (bytes(flipped), bytes(32), b"\xff" * 32):
        with pytest.raises(Malformed):
            parse_public_jwk({**jwk, "y": b64u(y)})


ED = generate_key(ED25519, lambda n: b"\x07" * n)
EC = generate_key(ES256, lambda n: b"\x07" * n)


@pytest.mark.parametrize(
    "jwk",
    [
        {},
        {"kty": "OKP", "crv": "Ed25519"},
        {**ED.jwk, "d": b64u(b"\x07" * 32)},
        {**ED.jwk, "kid": ED.kid},
        {**ED.jwk, "crv": "X25519"},
        {**ED.jwk, "crv": "Ed448"},
        {**ED.jwk, "kty": "EC"},
        {**ED.jwk, "x": ED.jwk["x"] + "="},
        {**ED.jwk, "x": b64u(bytes(31))},
        {**ED.jwk, "x": 7},
        {**ED.jwk, "x": None},
        {**EC.jwk, "crv": "P-384"},
        {**EC.jwk, "crv": "secp256k1"},
        {**EC.jwk, "alg": "ES256"},
        {**EC.jwk, "x": b64u(b"\0" + unb64u(EC.jwk["x"]))},
        {"kty": "EC", "crv": "P-256", "x": EC.jwk["x"]},
        {"kty": "oct", "k": b64u(bytes(32))},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
    ],
    ids=repr,
)
def test_anything_but_an_exact_public_jwk_is_refused(jwk: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        parse_public_jwk(jwk)


@pytest.mark.parametrize(
    "jwk",
    [
        ED.jwk,
        {**private_jwk(ED), "d": b64u(b"\x08" * 32)},
        {**private_jwk(EC), "d": b64u(b"\x08" * 32)},
        {**private_jwk(EC), "d": b64u(bytes(32))},
        {**private_jwk(EC), "d": b64u(P256_ORDER.to_bytes(32, "big"))},
        {**private_jwk(ED), "use": "sig"},
        {**EC.jwk, "d": private_jwk(ED)["d"], "kty": "OKP"},
    ],
    ids=repr,
)
def test_a_private_jwk_whose_parts_do_not_belong_together_is_refused(jwk: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        load_private_jwk(jwk)


def test_only_the_two_algorithms_exist() -> None:
    for alg in ("EdDSA", "ES384", "HS256", "none", ""):
        with pytest.raises(Malformed):
            generate_key(alg, os.urandom)
