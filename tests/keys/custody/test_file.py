"""What only the `file` custody has: its passphrase, stretched at a bounded cost."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from keys.canonical import canonical, parse_canonical
from keys.custody.file import create_file_custody, open_file_custody
from keys.custody.sealed_file import LEAST, MOST, Cost
from keys.errors import CustodyError, CustodyLocked
from tests.keys.conftest import PASSPHRASE


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    create_file_custody(tmp_path / "custody", PASSPHRASE, os.urandom, LEAST).generate("epoch-1", "aead")
    return tmp_path / "custody"


def test_a_wrong_passphrase_opens_nothing(directory: Path) -> None:
    for passphrase in (b"", b"wrong", PASSPHRASE + b"\n", PASSPHRASE.upper()):
        with pytest.raises(CustodyLocked):
            open_file_custody(directory, passphrase)


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
        open_file_custody(directory, PASSPHRASE)
    assert not isinstance(caught.value, CustodyLocked)


def test_a_planted_cost_within_bounds_opens_nothing(directory: Path) -> None:
    with_root(directory, cost={"passes": 2, "memory": LEAST.memory})
    with pytest.raises(CustodyLocked):
        open_file_custody(directory, PASSPHRASE)


@pytest.mark.parametrize(
    "members",
    [{"kdf": "scrypt"}, {"salt": "AA"}, {"salt": 1}, {"v": 2}, {"wrapped": "AA"}, {"more": 1}],
    ids=repr,
)
def test_a_root_of_another_form_is_refused(directory: Path, members: dict[str, object]) -> None:
    with_root(directory, **members)
    with pytest.raises(CustodyError):
        open_file_custody(directory, PASSPHRASE)


@pytest.mark.parametrize("cost", [Cost(0, LEAST.memory), Cost(1, LEAST.memory - 1), Cost(17, LEAST.memory)])
def test_a_custody_is_not_created_at_a_cost_that_would_not_open(tmp_path: Path, cost: Cost) -> None:
    with pytest.raises(CustodyError):
        create_file_custody(tmp_path / "c", PASSPHRASE, os.urandom, cost)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("passphrase", [b"", b"x" * 15, b"x" * 1_025])
def test_a_passphrase_too_short_or_long_is_refused(tmp_path: Path, passphrase: bytes) -> None:
    with pytest.raises(CustodyError):
        create_file_custody(tmp_path / "c", passphrase, os.urandom, LEAST)
