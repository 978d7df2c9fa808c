"""A real file custody with every key the tests name, at the lowest Argon2id cost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from keys.custody.file import FileCustody, create_file_custody
from keys.custody.sealed_file import LEAST

PASSPHRASE = b"a passphrase of the tests"


@pytest.fixture
def custody(tmp_path: Path) -> Iterator[FileCustody]:
    made = create_file_custody(tmp_path / "custody", PASSPHRASE, os.urandom, LEAST)
    for name, kind in (
        ("epoch-1", "aead"),
        ("epoch-2", "aead"),
        ("index-1", "mac"),
        ("index-2", "mac"),
        ("receipt", "ed25519"),
    ):
        made.generate(name, kind)
    yield made
    made.close()
