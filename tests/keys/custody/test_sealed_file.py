from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.canonical import b64u
from keys.custody.sealed_file import (
    LEAST,
    MOST,
    Cost,
    Derivation,
    SealedFile,
    XChaCha,
    format_derivation,
    format_sealed_file,
    parse_derivation,
    parse_sealed_file,
    seal_file,
)
from keys.errors import CustodyError, DecryptionFailed

SECRETS = st.binary(min_size=32, max_size=32)
MEMBERS = {"v", "name"}


@given(SECRETS, SECRETS, st.text(st.characters(exclude_categories=["Cs"])))
def test_sealed_files_round_trip(key: bytes, secret: bytes, name: str) -> None:
    file = seal_file(XChaCha(key), secret, {"v": 1, "name": name}, os.urandom)
    parsed = parse_sealed_file(format_sealed_file(file), MEMBERS, 24)
    assert parsed == file
    assert parsed.open(XChaCha(key)) == secret


def test_a_sealed_file_opens_only_as_it_was_written() -> None:
    key = XChaCha(b"\x01" * 32)
    file = seal_file(key, b"\x02" * 32, {"v": 1, "name": "a"}, os.urandom)
    for other in (
        SealedFile({"v": 1, "name": "b"}, file.nonce, file.wrapped),
        SealedFile(file.header, bytes(24), file.wrapped),
        SealedFile(file.header, file.nonce, file.wrapped[:-1] + bytes([file.wrapped[-1] ^ 1])),
    ):
        with pytest.raises(DecryptionFailed):
            other.open(key)
    with pytest.raises(DecryptionFailed):
        file.open(XChaCha(b"\x03" * 32))


@given(st.binary(max_size=100))
def test_noise_is_no_sealed_file(data: bytes) -> None:
    with pytest.raises(CustodyError):
        parse_sealed_file(data, MEMBERS, 24)


def test_missing_and_further_members_are_refused() -> None:
    file = seal_file(XChaCha(b"\x01" * 32), b"\x02" * 32, {"v": 1, "name": "a"}, os.urandom)
    for members in ({"v"}, {"v", "name", "kind"}, {"v", "kind"}):
        with pytest.raises(CustodyError):
            parse_sealed_file(format_sealed_file(file), members, 24)


def test_a_version_that_only_equals_one_is_refused() -> None:
    file = SealedFile({"v": True, "name": "a"}, b"\x01" * 24, b"\x02" * 48)
    with pytest.raises(CustodyError):
        parse_sealed_file(format_sealed_file(file), {"v", "name"}, 24)


@given(
    st.binary(min_size=16, max_size=16),
    st.integers(LEAST.passes, MOST.passes),
    st.integers(LEAST.memory, MOST.memory),
)
def test_derivations_round_trip(salt: bytes, passes: int, memory: int) -> None:
    derivation = Derivation(salt, Cost(passes, memory))
    assert parse_derivation(format_derivation(derivation)) == derivation


def test_the_key_depends_on_passphrase_salt_and_cost() -> None:
    least = Derivation(bytes(16), LEAST)
    keys = {
        least.key(b"a passphrase"),
        least.key(b"another passphrase"),
        Derivation(b"\x01" * 16, LEAST).key(b"a passphrase"),
        Derivation(bytes(16), Cost(2, LEAST.memory)).key(b"a passphrase"),
        Derivation(bytes(16), Cost(1, 2 * LEAST.memory)).key(b"a passphrase"),
    }
    assert len(keys) == 5


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"v": 1, "kdf": "argon2i", "cost": {"passes": 1, "memory": LEAST.memory}, "salt": b64u(bytes(16))},
        {"v": 1, "kdf": "argon2id", "cost": {"passes": 1, "memory": LEAST.memory}, "salt": b64u(bytes(8))},
        {"v": 1, "kdf": "argon2id", "cost": None, "salt": b64u(bytes(16))},
    ],
)
def test_other_derivations_are_refused(header: dict[str, object]) -> None:
    with pytest.raises(CustodyError):
        parse_derivation(header)
