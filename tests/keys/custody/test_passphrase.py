from __future__ import annotations

import os
from pathlib import Path

import pytest

from keys.custody.file import read_passphrase
from keys.errors import (
    CustodyError,
    CustodyPermissions,
)
from tests.keys.conftest import PASSPHRASE


def written(path: Path, content: bytes, file_mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(file_mode)
    return path


@pytest.mark.parametrize(
    "content", [PASSPHRASE, PASSPHRASE + b"\n", PASSPHRASE + b"\r\n", b"\xe8\xaf\x9a" * 8, b"x" * 1_024]
)
@pytest.mark.parametrize("file_mode", [0o600, 0o400])
def test_a_passphrase_is_the_one_line_of_its_file(tmp_path: Path, content: bytes, file_mode: int) -> None:
    assert read_passphrase(written(tmp_path / "p", content, file_mode)) == content.rstrip(b"\r\n")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"x" * 15 + b"\n",
        PASSPHRASE + b"\n\n",
        PASSPHRASE + b"\nsecond\n",
        b"x" * 1_025,
        b"x" * 20 + b"\0",
    ],
    ids=repr,
)
def test_any_other_content_is_no_passphrase(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(CustodyError):
        read_passphrase(written(tmp_path / "p", content))


@pytest.mark.parametrize("file_mode", [0o640, 0o660, 0o604, 0o644, 0o700, 0o601, 0o777, 0o4600])
def test_a_passphrase_open_to_others_is_refused(tmp_path: Path, file_mode: int) -> None:
    with pytest.raises(CustodyPermissions):
        read_passphrase(written(tmp_path / "p", PASSPHRASE, file_mode))


def test_a_passphrase_is_read_from_a_plain_file_alone(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(written(tmp_path / "p", PASSPHRASE))
    (tmp_path / "directory").mkdir(0o700)
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("link", "directory", "pipe"):
        with pytest.raises(CustodyPermissions):
            read_passphrase(tmp_path / name)
    with pytest.raises(CustodyError):
        read_passphrase(tmp_path / "missing")
