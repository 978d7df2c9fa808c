"""A real custody of either kind, with every key the tests name: file, and pkcs11 on SoftHSM."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from keys.custody import Custody, Kind
from keys.custody.file import create_file_custody, open_file_custody
from keys.custody.pkcs11 import create_pkcs11_custody, open_pkcs11_custody
from keys.custody.sealed_file import LEAST
from keys.signing import Random
from tests import softhsm

PASSPHRASE = b"a passphrase of the tests"
KEYS: tuple[tuple[str, Kind], ...] = (
    ("epoch-1", "aead"),
    ("epoch-2", "aead"),
    ("index-1", "mac"),
    ("index-2", "mac"),
    ("receipt", "ed25519"),
    ("rows-1", "mac"),
)


class Provider(ABC):
    """How to come by a custody in a directory; `close` closes all of them."""

    def __init__(self) -> None:
        self._made: list[Custody] = []

    def create(self, directory: Path, random: Random = os.urandom) -> Custody:
        return self._kept(self._create(directory, random))

    def open(self, directory: Path) -> Custody:
        return self._kept(self._open(directory))

    def close(self) -> None:
        for custody in self._made:
            custody.close()

    def _kept(self, custody: Custody) -> Custody:
        self._made.append(custody)
        return custody

    @abstractmethod
    def _create(self, directory: Path, random: Random) -> Custody: ...

    @abstractmethod
    def _open(self, directory: Path) -> Custody: ...


class FileProvider(Provider):
    """The `file` custody, its passphrase stretched at the least cost."""

    def _create(self, directory: Path, random: Random) -> Custody:
        return create_file_custody(directory, PASSPHRASE, random, LEAST)

    def _open(self, directory: Path) -> Custody:
        return open_file_custody(directory, PASSPHRASE)


class Pkcs11Provider(Provider):
    """The `pkcs11` custody, on this run's token."""

    def _create(self, directory: Path, random: Random) -> Custody:
        return create_pkcs11_custody(directory, softhsm.token(), random)

    def _open(self, directory: Path) -> Custody:
        return open_pkcs11_custody(directory, softhsm.token())


@pytest.fixture(params=[FileProvider, Pkcs11Provider], ids=["file", "pkcs11"])
def provider(request: pytest.FixtureRequest) -> Iterator[Provider]:
    if request.param is Pkcs11Provider:
        softhsm.token()
    with closing(request.param()) as made:
        yield made


@pytest.fixture
def custody(tmp_path: Path, provider: Provider) -> Custody:
    made = provider.create(tmp_path / "custody")
    for name, kind in KEYS:
        made.generate(name, kind)
    return made


@pytest.fixture
def directory(custody: Custody, tmp_path: Path) -> Path:
    """Where `custody` is."""
    return tmp_path / "custody"
