"""What an insider with write access to the custody directory may try."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from keys.canonical import canonical, parse_canonical
from keys.custody import Custody
from keys.errors import (
    CustodyError,
    CustodyPermissions,
    KeyNameTaken,
)
from tests.keys.conftest import Provider


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_modes_are_tight_whatever_the_umask(tmp_path: Path, provider: Provider) -> None:
    before = os.umask(0)
    try:
        provider.create(tmp_path / "c").generate("epoch-1", "aead")
    finally:
        os.umask(before)
    assert mode(tmp_path / "c") == mode(tmp_path / "c" / "keys") == 0o700
    assert mode(tmp_path / "c" / "root") == mode(tmp_path / "c" / "keys" / "epoch-1") == 0o600


@pytest.mark.parametrize("path", [".", "keys", "root"])
@pytest.mark.parametrize("extra", [0o040, 0o020, 0o010, 0o004, 0o002, 0o001, 0o4000])
def test_a_custody_open_to_others_is_refused(
    directory: Path, path: str, extra: int, provider: Provider
) -> None:
    target = directory / path
    target.chmod(mode(target) | extra)
    with pytest.raises(CustodyPermissions):
        provider.open(directory)


def test_a_key_file_open_to_others_is_refused(directory: Path, provider: Provider) -> None:
    (directory / "keys" / "index-1").chmod(0o640)
    with pytest.raises(CustodyPermissions):
        provider.open(directory).mac("index-1", b"")


def test_links_are_refused(custody: Custody, directory: Path, tmp_path: Path, provider: Provider) -> None:
    (tmp_path / "link").symlink_to(directory)
    with pytest.raises(CustodyPermissions):
        provider.open(tmp_path / "link")
    (directory / "root").rename(tmp_path / "root")
    (directory / "root").symlink_to(tmp_path / "root")
    with pytest.raises(CustodyPermissions):
        provider.open(directory)
    (directory / "keys" / "planted").symlink_to(directory / "keys" / "index-1")
    with pytest.raises(CustodyPermissions):
        custody.mac("planted", b"")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_files_of_another_user_are_refused(directory: Path, provider: Provider) -> None:
    os.chown(directory / "root", 12345, -1)
    with pytest.raises(CustodyPermissions):
        provider.open(directory)


def test_a_key_file_under_another_name_is_refused(custody: Custody, directory: Path) -> None:
    (directory / "keys" / "index-1").unlink()
    (directory / "keys" / "index-2").rename(directory / "keys" / "index-1")
    with pytest.raises(CustodyError):
        custody.mac("index-1", b"")


@pytest.mark.parametrize(("member", "value"), [("kind", "aead"), ("name", "index-2")])
def test_a_key_file_with_an_altered_header_is_refused(
    directory: Path, member: str, value: str, provider: Provider
) -> None:
    path = directory / "keys" / ("index-1" if member == "kind" else "index-2")
    target = directory / "keys" / ("index-1" if member == "kind" else "index-9")
    content = parse_canonical(path.read_bytes())
    content[member] = value if member == "kind" else "index-9"
    target.touch(0o600)
    target.write_bytes(canonical(content))
    with pytest.raises(CustodyError):
        provider.open(directory).mac(target.name, b"")


def test_a_key_file_of_another_custody_is_refused(
    custody: Custody, directory: Path, tmp_path: Path, provider: Provider
) -> None:
    other = provider.create(tmp_path / "other")
    other.generate("index-1", "mac")
    (directory / "keys" / "index-1").write_bytes((tmp_path / "other" / "keys" / "index-1").read_bytes())
    with pytest.raises(CustodyError):
        custody.mac("index-1", b"")


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"{", b"x" * 5_000], ids=lambda content: repr(content[:4])
)
def test_a_damaged_root_is_refused(directory: Path, content: bytes, provider: Provider) -> None:
    (directory / "root").write_bytes(content)
    with pytest.raises(CustodyError):
        provider.open(directory)


def test_a_custody_is_not_created_over_another(directory: Path, provider: Provider) -> None:
    before = (directory / "root").read_bytes()
    with pytest.raises(KeyNameTaken):
        provider.create(directory)
    assert (directory / "root").read_bytes() == before


def test_a_new_root_is_not_put_over_keys_it_cannot_open(directory: Path, provider: Provider) -> None:
    (directory / "root").unlink()
    with pytest.raises(CustodyError):
        provider.create(directory)


def test_a_custody_is_created_in_an_empty_directory_of_ours_alone(tmp_path: Path, provider: Provider) -> None:
    (tmp_path / "ours").mkdir(0o700)
    provider.create(tmp_path / "ours")
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o755)
    with pytest.raises(CustodyPermissions):
        provider.create(tmp_path / "open")


def test_where_there_is_no_custody_none_is_opened(tmp_path: Path, provider: Provider) -> None:
    with pytest.raises(CustodyError):
        provider.open(tmp_path / "missing")
