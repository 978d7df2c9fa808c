"""What an insider with write access to the custody directory may try."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from keys.canonical import canonical, parse_canonical
from keys.custody.file import FileCustody, create_file_custody, open_file_custody
from keys.custody.sealed_file import LEAST, MOST, Cost
from keys.errors import (
    CustodyError,
    CustodyLocked,
    CustodyPermissions,
    KeyNameTaken,
)
from tests.keys.conftest import PASSPHRASE


@pytest.fixture
def directory(custody: FileCustody, tmp_path: Path) -> Path:
    return tmp_path / "custody"


def reopened(directory: Path) -> FileCustody:
    return open_file_custody(directory, PASSPHRASE)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_no_key_stands_on_disk_in_clear(tmp_path: Path) -> None:
    drawn: list[bytes] = []

    def recording(count: int) -> bytes:
        drawn.append(os.urandom(count))
        return drawn[-1]

    custody = create_file_custody(tmp_path / "c", PASSPHRASE, recording, LEAST)
    custody.generate("epoch-1", "aead")
    secrets = [value for value in drawn if len(value) == 32]
    assert len(secrets) == 2
    stored = b"".join(path.read_bytes() for path in (tmp_path / "c").rglob("*") if path.is_file())
    for secret in [*secrets, PASSPHRASE]:
        for spelling in (secret, secret.hex().encode(), json.dumps(secret.hex()).encode()):
            assert spelling not in stored
    assert custody.mac  # the object itself shows nothing either
    assert all(secret.hex() not in repr(custody) for secret in secrets)


def test_modes_are_tight_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        create_file_custody(tmp_path / "c", PASSPHRASE, os.urandom, LEAST).generate("epoch-1", "aead")
    finally:
        os.umask(before)
    assert mode(tmp_path / "c") == mode(tmp_path / "c" / "keys") == 0o700
    assert mode(tmp_path / "c" / "root") == mode(tmp_path / "c" / "keys" / "epoch-1") == 0o600


@pytest.mark.parametrize("path", [".", "keys", "root"])
@pytest.mark.parametrize("extra", [0o040, 0o020, 0o010, 0o004, 0o002, 0o001, 0o4000])
def test_a_custody_open_to_others_is_refused(directory: Path, path: str, extra: int) -> None:
    target = directory / path
    target.chmod(mode(target) | extra)
    with pytest.raises(CustodyPermissions):
        reopened(directory)


def test_a_key_file_open_to_others_is_refused(directory: Path) -> None:
    (directory / "keys" / "index-1").chmod(0o640)
    with pytest.raises(CustodyPermissions):
        reopened(directory).mac("index-1", b"")


def test_links_are_refused(custody: FileCustody, directory: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(directory)
    with pytest.raises(CustodyPermissions):
        reopened(tmp_path / "link")
    (directory / "root").rename(tmp_path / "root")
    (directory / "root").symlink_to(tmp_path / "root")
    with pytest.raises(CustodyPermissions):
        reopened(directory)
    (directory / "keys" / "planted").symlink_to(directory / "keys" / "index-1")
    with pytest.raises(CustodyPermissions):
        custody.mac("planted", b"")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_files_of_another_user_are_refused(directory: Path) -> None:
    os.chown(directory / "root", 12345, -1)
    with pytest.raises(CustodyPermissions):
        reopened(directory)


def test_a_key_file_under_another_name_is_refused(custody: FileCustody, directory: Path) -> None:
    (directory / "keys" / "index-1").unlink()
    (directory / "keys" / "index-2").rename(directory / "keys" / "index-1")
    with pytest.raises(CustodyError):
        custody.mac("index-1", b"")


@pytest.mark.parametrize(("member", "value"), [("kind", "aead"), ("name", "index-2")])
def test_a_key_file_with_an_altered_header_is_refused(directory: Path, member: str, value: str) -> None:
    path = directory / "keys" / ("index-1" if member == "kind" else "index-2")
    target = directory / "keys" / ("index-1" if member == "kind" else "index-9")
    content = parse_canonical(path.read_bytes())
    content[member] = value if member == "kind" else "index-9"
    target.touch(0o600)
    target.write_bytes(canonical(content))
    with pytest.raises(CustodyError):
        reopened(directory).mac(target.name, b"")


def test_a_key_file_of_another_custody_is_refused(
    custody: FileCustody, directory: Path, tmp_path: Path
) -> None:
    other = create_file_custody(tmp_path / "other", PASSPHRASE, os.urandom, LEAST)
    other.generate("index-1", "mac")
    (directory / "keys" / "index-1").write_bytes((tmp_path / "other" / "keys" / "index-1").read_bytes())
    with pytest.raises(CustodyError):
        custody.mac("index-1", b"")


def with_root(directory: Path, **members: object) -> None:
    content = parse_canonical((directory / "root").read_bytes())
    (directory / "root").write_bytes(canonical({**content, **members}))


@pytest.mark.parametrize(
    "cost",
    [
        {"passes": LEAST.passes, "memory": MOST.memory + 1},
        {"passes": LEAST.passes, "memory": 2**50},
        {"passes": MOST.passes + 1, "memory": LEAST.memory},
        {"passes": 0, "memory": LEAST.memory},
        {"passes": 1, "memory": 8_192},
        {"passes": True, "memory": LEAST.memory},
        {"passes": "1", "memory": LEAST.memory},
        {"passes": 1},
        {"passes": 1, "memory": LEAST.memory, "lanes": 4},
        [1, LEAST.memory],
        7,
    ],
    ids=repr,
)
def test_a_planted_cost_out_of_bounds_is_refused_before_it_is_paid(directory: Path, cost: object) -> None:
    with_root(directory, cost=cost)
    with pytest.raises(CustodyError) as caught:
        reopened(directory)
    assert not isinstance(caught.value, CustodyLocked)


def test_a_planted_cost_within_bounds_opens_nothing(directory: Path) -> None:
    with_root(directory, cost={"passes": 2, "memory": LEAST.memory})
    with pytest.raises(CustodyLocked):
        reopened(directory)


@pytest.mark.parametrize(
    "members",
    [{"kdf": "scrypt"}, {"salt": "AA"}, {"salt": 1}, {"v": 2}, {"wrapped": "AA"}, {"more": 1}],
    ids=repr,
)
def test_a_root_of_another_form_is_refused(directory: Path, members: dict[str, object]) -> None:
    with_root(directory, **members)
    with pytest.raises(CustodyError):
        reopened(directory)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"{", b"x" * 5_000], ids=lambda content: repr(content[:4])
)
def test_a_damaged_root_is_refused(directory: Path, content: bytes) -> None:
    (directory / "root").write_bytes(content)
    with pytest.raises(CustodyError):
        reopened(directory)


@pytest.mark.parametrize("cost", [Cost(0, LEAST.memory), Cost(1, LEAST.memory - 1), Cost(17, LEAST.memory)])
def test_a_custody_is_not_created_at_a_cost_that_would_not_open(tmp_path: Path, cost: Cost) -> None:
    with pytest.raises(CustodyError):
        create_file_custody(tmp_path / "c", PASSPHRASE, os.urandom, cost)
    assert not (tmp_path / "c").exists()


def test_a_custody_is_not_created_over_another(directory: Path) -> None:
    before = (directory / "root").read_bytes()
    with pytest.raises(KeyNameTaken):
        create_file_custody(directory, PASSPHRASE, os.urandom, LEAST)
    assert (directory / "root").read_bytes() == before


def test_a_new_root_is_not_put_over_keys_it_cannot_open(directory: Path) -> None:
    (directory / "root").unlink()
    with pytest.raises(CustodyError):
        create_file_custody(directory, PASSPHRASE, os.urandom, LEAST)


def test_a_custody_is_created_in_an_empty_directory_of_ours_alone(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir(0o700)
    create_file_custody(tmp_path / "ours", PASSPHRASE, os.urandom, LEAST)
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o755)
    with pytest.raises(CustodyPermissions):
        create_file_custody(tmp_path / "open", PASSPHRASE, os.urandom, LEAST)


@pytest.mark.parametrize("passphrase", [b"", b"x" * 15, b"x" * 1_025])
def test_a_passphrase_too_short_or_long_is_refused(tmp_path: Path, passphrase: bytes) -> None:
    with pytest.raises(CustodyError):
        create_file_custody(tmp_path / "c", passphrase, os.urandom, LEAST)


def test_where_there_is_no_custody_none_is_opened(tmp_path: Path) -> None:
    with pytest.raises(CustodyError):
        open_file_custody(tmp_path / "missing", PASSPHRASE)
