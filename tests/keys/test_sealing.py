from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from nacl.bindings import crypto_scalarmult, crypto_scalarmult_base

from keys.canonical import b64u, canonical, sha256, unb64u
from keys.errors import DecryptionFailed, KeysError, Malformed
from keys.sealing import (
    SEALING_INFO,
    generate_x25519,
    hpke_open,
    hpke_seal,
    open_details,
    parse_private_x25519_jwk,
    parse_x25519_jwk,
    seal_details,
    x25519_jwk,
)
from keys.signing import ED25519, generate_key, thumbprint

ORIGIN = "credit.example.cn/log0"
SALT = b"\x05" * 16
KEY = b"\x06" * 32


@dataclass(frozen=True)
class Hpke:
    """RFC 9180 base mode, DHKEM(X25519, HKDF-SHA256) and HKDF-SHA256, written from the RFC as a peer."""

    aead: int  # 1: AES-128-GCM, 2: AES-256-GCM

    def _extract(self, suite: bytes, salt: bytes, label: bytes, ikm: bytes) -> bytes:
        return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, "sha256")

    def _expand(self, suite: bytes, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
        labelled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
        return hmac.digest(prk, labelled + b"\x01", "sha256")[:length]  # one block is enough

    def context(self, shared_point: bytes, enc: bytes, recipient: bytes, info: bytes) -> tuple[AESGCM, bytes]:
        """Sections 4.1 (DHKEM) and 5.1 (key schedule): the cipher, and the nonce of its first message."""
        kem = b"KEM\x00\x20"
        prk = self._extract(kem, b"", b"eae_prk", shared_point)
        shared = self._expand(kem, prk, b"shared_secret", enc + recipient, 32)
        suite = b"HPKE\x00\x20\x00\x01" + self.aead.to_bytes(2, "big")
        context = b"\x00" + b"".join(
            self._extract(suite, b"", label, value)
            for label, value in ((b"psk_id_hash", b""), (b"info_hash", info))
        )
        secret = self._extract(suite, shared, b"secret", b"")
        key = self._expand(suite, secret, b"key", context, 16 * self.aead)
        return AESGCM(key), self._expand(suite, secret, b"base_nonce", context, 12)

    def seal(self, recipient: bytes, info: bytes, aad: bytes, plaintext: bytes, ephemeral: bytes) -> bytes:
        enc = crypto_scalarmult_base(ephemeral)
        cipher, nonce = self.context(crypto_scalarmult(ephemeral, recipient), enc, recipient, info)
        return enc + cipher.encrypt(nonce, plaintext, aad)

    def open(self, private: bytes, info: bytes, aad: bytes, sealed: bytes) -> bytes:
        enc, recipient = sealed[:32], crypto_scalarmult_base(private)
        cipher, nonce = self.context(crypto_scalarmult(private, enc), enc, recipient, info)
        return cipher.decrypt(nonce, sealed[32:], aad)


# First message of the published base-mode vectors for X25519 and HKDF-SHA256: RFC 9180 A.1.1 (AES-128-GCM)
# and, from the machine-readable set that accompanies the RFC, the suite we use (AES-256-GCM): private keys of
# recipient and sender, enc, ciphertext.
INFO = bytes.fromhex("4f6465206f6e2061204772656369616e2055726e")
PLAINTEXT = bytes.fromhex("4265617574792069732074727574682c20747275746820626561757479")
RFC_9180 = [
    (
        1,
        "4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8",
        "52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736",
        "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431",
        "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a",
    ),
    (
        2,
        "497b4502664cfea5d5af0b39934dac72242a74f8480451e1aee7d6a53320333d",
        "179d4b53b6365c45b600c4163b61d95cbc2f4d9e36f1695558dce265ab8bab11",
        "6c93e09869df3402d7bf231bf540fadd35cd56be14f97178f0954db94b7fc256",
        "e5d84cd531cfb583096e7cfa9641bd3079cf3a91cda813c52deb5f512be9931980a41de125a925cdad859d5b7a",
    ),
]


@pytest.mark.parametrize(("aead", "recipient", "ephemeral", "enc", "ciphertext"), RFC_9180)
def test_the_peer_gives_the_published_vectors(
    aead: int, recipient: str, ephemeral: str, enc: str, ciphertext: str
) -> None:
    public = crypto_scalarmult_base(bytes.fromhex(recipient))
    sealed = Hpke(aead).seal(public, INFO, b"Count-0", PLAINTEXT, bytes.fromhex(ephemeral))
    assert sealed.hex() == enc + ciphertext


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32), st.binary(max_size=64))
def test_hpke_agrees_with_the_peer_both_ways(private: bytes, ephemeral: bytes, plaintext: bytes) -> None:
    public = crypto_scalarmult_base(private)
    theirs = Hpke(2).seal(public, SEALING_INFO, b"", plaintext, ephemeral)
    assert hpke_open(private, SEALING_INFO, theirs) == plaintext
    ours = hpke_seal(public, SEALING_INFO, plaintext)
    assert Hpke(2).open(private, SEALING_INFO, b"", ours) == plaintext
    assert len(ours) == 32 + len(plaintext) + 16


def test_an_hpke_message_opens_for_its_recipient_and_info_alone() -> None:
    private, other = b"\x01" * 32, b"\x02" * 32
    sealed = hpke_seal(crypto_scalarmult_base(private), SEALING_INFO, KEY)
    assert hpke_open(private, SEALING_INFO, sealed) == KEY
    with pytest.raises(DecryptionFailed):
        hpke_open(other, SEALING_INFO, sealed)
    with pytest.raises(DecryptionFailed):
        hpke_open(private, b"chengxin/other/v1", sealed)
    for bit in range(len(sealed) * 8):
        altered = (int.from_bytes(sealed, "big") ^ (1 << bit)).to_bytes(len(sealed), "big")
        with pytest.raises(KeysError):
            hpke_open(private, SEALING_INFO, altered)


def test_a_small_order_encapsulation_is_refused() -> None:
    for enc in (bytes(32), b"\x01" + bytes(31)):
        with pytest.raises(KeysError):
            hpke_open(b"\x01" * 32, SEALING_INFO, enc + bytes(48))


@given(st.binary(max_size=100))
def test_noise_never_opens(data: bytes) -> None:
    with pytest.raises(KeysError):
        hpke_open(b"\x01" * 32, SEALING_INFO, data)
    with pytest.raises(KeysError):
        open_details(KEY, data, ORIGIN, SALT)


@given(st.binary(max_size=200), st.text(max_size=30), st.binary(min_size=16, max_size=16))
def test_details_round_trip(details: bytes, origin: str, salt: bytes) -> None:
    blob = seal_details(KEY, details, origin, salt, os.urandom)
    assert open_details(KEY, blob, origin, salt) == details


def test_details_follow_the_published_format() -> None:
    blob = seal_details(KEY, b"details", ORIGIN, SALT, lambda count: b"\x09" * count)
    assert blob == b"\x09" * 12 + AESGCM(KEY).encrypt(b"\x09" * 12, b"details", ORIGIN.encode() + SALT)


def test_details_moved_to_another_leaf_or_log_fail() -> None:
    blob = seal_details(KEY, b"details", ORIGIN, SALT, os.urandom)
    for key, origin, salt in (
        (KEY, ORIGIN, b"\x04" * 16),
        (KEY, "credit.example.cn/log1", SALT),
        (b"\x07" * 32, ORIGIN, SALT),
    ):
        with pytest.raises(DecryptionFailed):
            open_details(key, blob, origin, salt)


def test_salts_and_keys_of_other_lengths_are_refused() -> None:
    for key, salt in ((KEY, b""), (KEY, bytes(15)), (KEY, bytes(17)), (bytes(16), SALT)):
        with pytest.raises(Malformed):
            seal_details(key, b"", ORIGIN, salt, os.urandom)


@given(st.binary(min_size=32, max_size=32))
def test_x25519_jwks_round_trip(secret: bytes) -> None:
    private, public = generate_x25519(lambda _: secret)
    assert parse_private_x25519_jwk(private) == secret
    assert parse_x25519_jwk(public) == crypto_scalarmult_base(secret)
    assert x25519_jwk(parse_x25519_jwk(public)) == public
    assert thumbprint(private) == thumbprint(public) == b64u(sha256(canonical(public)))


PRIVATE, PUBLIC = generate_x25519(lambda count: b"\x03" * count)


@pytest.mark.parametrize(
    "jwk",
    [
        {},
        PRIVATE,
        {**PUBLIC, "use": "enc"},
        {**PUBLIC, "crv": "Ed25519"},
        {**PUBLIC, "kty": "EC"},
        {**PUBLIC, "x": PUBLIC["x"] + "="},
        {**PUBLIC, "x": 7},
        generate_key(ED25519, lambda count: b"\x03" * count).jwk,
    ],
    ids=repr,
)
def test_anything_but_an_exact_x25519_jwk_is_refused(jwk: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        parse_x25519_jwk(jwk)


@pytest.mark.parametrize(
    "jwk", [PUBLIC, {**PRIVATE, "d": b64u(b"\x04" * 32)}, {**PRIVATE, "use": "enc"}], ids=repr
)
def test_a_private_jwk_whose_parts_do_not_belong_together_is_refused(jwk: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        parse_private_x25519_jwk(jwk)


PRIME = 2**255 - 19


@pytest.mark.parametrize(
    "point", [0, 1, PRIME - 1, PRIME, PRIME + 1, PRIME + 9, 2**255 - 1, 2**255 + 9, 2**256 - 1], ids=hex
)
def test_unusable_x25519_points_are_no_keys(point: int) -> None:
    """Zero shared secrets, and second spellings of a point, which would give a key two thumbprints."""
    raw = point.to_bytes(32, "little")
    with pytest.raises(Malformed):
        parse_x25519_jwk({"kty": "OKP", "crv": "X25519", "x": b64u(raw)})
    with pytest.raises(Malformed):
        hpke_seal(raw, SEALING_INFO, b"")
    assert unb64u(b64u(raw)) == raw


def test_the_sealing_info_is_the_one_of_the_format() -> None:
    assert SEALING_INFO == b"chengxin/sealing/v1"
    assert hashlib.sha256(SEALING_INFO).digest() == sha256(SEALING_INFO)
