"""Answers under an institution's key: one profile of JWE, and nothing beside it opens."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.canonical import b64u, canonical, unb64u
from keys.errors import DecryptionFailed, KeysError, Malformed
from keys.jwe import open_answer, seal_answer
from keys.sealing import generate_x25519
from keys.signing import generate_key, thumbprint

PRIVATE, PUBLIC = generate_x25519(os.urandom)
ANSWER = canonical({"type": "chengxin/answer/v1", "records": {"loan": [{"amount": 2096}]}})
TOKEN = seal_answer(ANSWER, PUBLIC)


def header_of(token: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(unb64u(token.split(".", maxsplit=1)[0]))
    return found


def with_header(**changes: Any) -> str:
    """The token under another header; what is None is left out."""
    header = {name: value for name, value in (header_of(TOKEN) | changes).items() if value is not None}
    return ".".join([b64u(json.dumps(header).encode()), *TOKEN.split(".")[1:]])


@given(st.binary(max_size=4096))
def test_what_was_sealed_opens_to_the_same_bytes(jcs: bytes) -> None:
    assert open_answer(seal_answer(jcs, PUBLIC), PRIVATE) == jcs


def test_an_answer_larger_than_the_librarys_own_limit_opens() -> None:
    large = os.urandom(300_000)
    assert open_answer(seal_answer(large, PUBLIC), PRIVATE) == large


def test_the_header_says_exactly_four_things() -> None:
    header = header_of(TOKEN)
    assert header.keys() == {"alg", "enc", "epk", "kid"}
    assert (header["alg"], header["enc"], header["kid"]) == ("ECDH-ES", "A256GCM", thumbprint(PUBLIC))
    assert header["epk"].keys() == {"kty", "crv", "x"}
    assert TOKEN.split(".")[1] == ""


def test_every_answer_has_keys_of_its_own() -> None:
    again = seal_answer(ANSWER, PUBLIC)
    assert header_of(again)["epk"] != header_of(TOKEN)["epk"]
    assert again.split(".")[2:] != TOKEN.split(".")[2:]


HEADERS: dict[str, dict[str, Any]] = {
    "another-alg": {"alg": "ECDH-ES+A256KW"},
    "direct": {"alg": "dir"},
    "none": {"alg": "none"},
    "another-enc": {"enc": "A128GCM"},
    "cbc": {"enc": "A256CBC-HS512"},
    "zip": {"zip": "DEF"},
    "crit": {"crit": ["exp"]},
    "apu": {"apu": "AAAA"},
    "apv": {"apv": "AAAA"},
    "typ": {"typ": "JWT"},
    "jwk": {"jwk": PUBLIC},
    "no-kid": {"kid": None},
    "no-epk": {"epk": None},
    "epk-of-p-256": {"epk": generate_key("ES256", os.urandom).jwk},
    "epk-of-ed25519": {"epk": generate_key("Ed25519", os.urandom).jwk},
    "epk-with-more": {"epk": PUBLIC | {"kid": "x"}},
    "epk-of-small-order": {"epk": {"kty": "OKP", "crv": "X25519", "x": b64u(bytes(32))}},
    "epk-no-object": {"epk": "x"},
    "kid-no-text": {"kid": 1},
}


@pytest.mark.parametrize("changes", HEADERS.values(), ids=HEADERS.keys())
def test_a_header_that_says_anything_else_is_refused_before_any_key_is_used(changes: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        open_answer(with_header(**changes), PRIVATE)


@pytest.mark.parametrize("part", [2, 3, 4])
def test_a_changed_byte_anywhere_does_not_open(part: int) -> None:
    parts = TOKEN.split(".")
    data = bytearray(unb64u(parts[part]))
    data[0] ^= 1
    parts[part] = b64u(bytes(data))
    with pytest.raises(DecryptionFailed):
        open_answer(".".join(parts), PRIVATE)


def test_a_header_changed_in_layout_alone_does_not_open() -> None:
    with pytest.raises(DecryptionFailed):
        open_answer(with_header(), PRIVATE)


def test_another_ephemeral_key_does_not_open() -> None:
    with pytest.raises(DecryptionFailed):
        open_answer(with_header(epk=generate_x25519(os.urandom)[1]), PRIVATE)


def test_another_institutions_key_does_not_open_even_under_its_own_name() -> None:
    other, public = generate_x25519(os.urandom)
    with pytest.raises(DecryptionFailed, match="another key"):
        open_answer(TOKEN, other)
    with pytest.raises(DecryptionFailed):
        open_answer(with_header(kid=thumbprint(public)), other)


TOKENS = {
    "empty": "",
    "four-parts": TOKEN.rpartition(".")[0],
    "six-parts": TOKEN + ".AAAA",
    "an-encrypted-key": TOKEN.replace("..", ".AAAA.", 1),
    "not-ascii": TOKEN + "é",
    "padding": TOKEN + "=",
    "a-short-tag": TOKEN[:-4],
    "no-header": TOKEN[TOKEN.index(".") :],
}


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS.keys())
def test_what_is_no_token_of_the_profile_is_refused(token: str) -> None:
    with pytest.raises(Malformed):
        open_answer(token, PRIVATE)


@pytest.mark.parametrize(
    "key",
    [{}, PRIVATE, generate_key("Ed25519", os.urandom).jwk, PUBLIC | {"x": b64u(bytes(32))}],
    ids=["nothing", "private", "ed25519", "small-order"],
)
def test_nothing_is_sealed_to_what_is_no_public_x25519_key(key: dict[str, str]) -> None:
    with pytest.raises(KeysError):
        seal_answer(ANSWER, key)


def test_a_public_key_opens_nothing() -> None:
    with pytest.raises(Malformed):
        open_answer(TOKEN, PUBLIC)
