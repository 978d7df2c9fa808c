"""Key files: created once, private ones for their owner alone, read back as the same key."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.client.errors import KeyFileError, KeyFileExists, KeyFileExposed, KeyFileMalformed
from gateway.client.keyfile import (
    read_jwk,
    read_private_key,
    read_public_key,
    write_jwk,
    write_private_key,
    write_public_key,
)
from keys.signing import Ed25519PrivateKey, Es256PrivateKey, PrivateKey, parse_public_jwk
from tests.gateway.client.stand_in import CITIZEN_KEY, OPERATOR_KEY


@pytest.mark.parametrize("key", [OPERATOR_KEY, CITIZEN_KEY], ids=lambda key: key.alg)
def test_a_key_is_read_back_as_it_was_written(tmp_path: Path, key: PrivateKey) -> None:
    write_private_key(tmp_path / "key.json", key)
    write_public_key(tmp_path / "key.pub.json", key)
    assert read_private_key(tmp_path / "key.json").jwk == key.jwk
    assert read_public_key(tmp_path / "key.pub.json") == parse_public_jwk(key.jwk)


@given(seed=st.binary(min_size=32, max_size=32))
def test_every_key_survives_its_file(tmp_path_factory: pytest.TempPathFactory, seed: bytes) -> None:
    path = tmp_path_factory.mktemp("key") / "key.json"
    write_private_key(path, Ed25519PrivateKey(seed))
    loaded = read_private_key(path)
    assert isinstance(loaded, Ed25519PrivateKey)
    assert loaded.seed == seed


def test_a_private_file_is_the_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_private_key(tmp_path / "key.json", OPERATOR_KEY)
    finally:
        os.umask(before)
    assert (tmp_path / "key.json").stat().st_mode & 0o777 == 0o600


def test_a_public_file_holds_no_secret(tmp_path: Path) -> None:
    write_public_key(tmp_path / "key.pub.json", OPERATOR_KEY)
    assert read_jwk(tmp_path / "key.pub.json") == OPERATOR_KEY.jwk


def test_nothing_is_ever_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    write_private_key(path, OPERATOR_KEY)
    with pytest.raises(KeyFileExists):
        write_private_key(path, Es256PrivateKey(bytes(31) + b"\x07"))
    assert read_private_key(path).kid == OPERATOR_KEY.kid


def test_a_link_to_nowhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "key.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeyFileExists):
        write_private_key(tmp_path / "key.json", OPERATOR_KEY)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644, 0o666, 0o700])
def test_a_private_key_that_others_could_touch_is_not_read(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key.json"
    write_private_key(path, OPERATOR_KEY)
    path.chmod(mode)
    with pytest.raises(KeyFileExposed):
        read_private_key(path)


def test_a_read_only_private_key_is_read(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    write_private_key(path, OPERATOR_KEY)
    path.chmod(0o400)
    assert read_private_key(path).kid == OPERATOR_KEY.kid


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_private_key_of_another_account_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    write_private_key(path, OPERATOR_KEY)
    os.chown(path, 65534, -1)
    with pytest.raises(KeyFileExposed):
        read_private_key(path)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b'{"kty":7}', b"\xff", b'{"kty":"OKP"}', b" " * 5000, b'{"d":"x"}']
)
def test_what_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key.json"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyFileMalformed):
        read_private_key(path)


def test_a_private_key_is_no_public_key_and_the_reverse(tmp_path: Path) -> None:
    write_private_key(tmp_path / "key.json", OPERATOR_KEY)
    write_public_key(tmp_path / "key.pub.json", OPERATOR_KEY)
    with pytest.raises(KeyFileMalformed):
        read_public_key(tmp_path / "key.json")
    with pytest.raises(KeyFileMalformed):
        read_private_key(tmp_path / "key.pub.json")


def test_a_missing_file_a_directory_and_a_pipe_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "missing", tmp_path, tmp_path / "pipe"):
        with pytest.raises(KeyFileMalformed):
            read_private_key(path)


def test_a_directory_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError):
        write_private_key(tmp_path / "missing" / "key.json", OPERATOR_KEY)


def test_keys_of_other_kinds_keep_the_same_rules(tmp_path: Path) -> None:
    jwk = {"kty": "OKP", "crv": "X25519", "x": "AA", "d": "AA"}
    write_jwk(tmp_path / "key.json", jwk)
    assert (tmp_path / "key.json").stat().st_mode & 0o777 == 0o600
    assert read_jwk(tmp_path / "key.json") == jwk
