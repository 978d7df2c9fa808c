"""The directory of a custody, whichever provider: a root, and one sealed file for each key.

Invariant: a key has its name exactly while its file stands, and the file is whole or absent. Its header
cannot be changed, moved to another name or to another custody. Nothing here overwrites.

    DIR/root          what opens the custody; written last, so that a custody without its root does not exist
    DIR/keys/<name>   a sealed file, its header {"kind","name","v":1} and what the provider adds
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from keys.custody import Kind, storage
from keys.custody.sealed_file import (
    MAX_FILE_BYTES,
    Cipher,
    SealedFile,
    format_sealed_file,
    parse_sealed_file,
    seal_file,
)
from keys.errors import CustodyError, DecryptionFailed, KeyNameTaken, Malformed, UnknownKeyName
from keys.signing import Random

_NAME = re.compile(r"[a-z][a-z0-9-]{0,47}")
ROOT = "root"
KEYS = "keys"
_MEMBERS = frozenset({"v", "name", "kind"})


def prepare(directory: Path) -> None:
    """Make an empty custody's directories, or find them empty and ours.

    Raises KeyNameTaken where a custody stands, CustodyError where keys without a root do.
    """
    storage.make_directory(directory)
    if (directory / ROOT).exists():
        raise KeyNameTaken("a custody stands in that directory already")
    storage.make_directory(directory / KEYS)
    if any((directory / KEYS).iterdir()):
        raise CustodyError("keys without a root stand in that directory")


def write_root(directory: Path, root: SealedFile, random: Random) -> None:
    """Give a prepared custody its root, durably. Raises KeyNameTaken."""
    storage.create_file(directory / ROOT, format_sealed_file(root), random)


def read_root(directory: Path, members: frozenset[str], nonce_bytes: int) -> SealedFile:
    """The root, its modes checked, its header of exactly `members`. Raises CustodyError."""
    storage.check_directory(directory)
    storage.check_directory(directory / KEYS)
    return parse_sealed_file(storage.read_file(directory / ROOT, MAX_FILE_BYTES), members, nonce_bytes)


def remove_root(directory: Path) -> None:
    """End a custody: what it holds opens no more."""
    storage.remove_file(directory / ROOT)


class KeyDirectory:
    """The key files of one custody, sealed under its root by `cipher`.

    `extra` names the members of a header that the provider adds to `v`, `name` and `kind`. While a root is
    replaced (`roots`), `after` is the cipher of the new one: files stand under either, new ones under it.
    """

    def __init__(
        self,
        directory: Path,
        cipher: Cipher,
        random: Random,
        extra: frozenset[str] = frozenset(),
        after: Cipher | None = None,
    ) -> None:
        self._keys = directory / KEYS
        self._cipher = cipher
        self._after = after
        self._random = random
        self._members = _MEMBERS | extra

    def names(self) -> tuple[str, ...]:
        """Names of all keys, sorted."""
        return tuple(sorted(path.name for path in self._keys.iterdir() if _NAME.fullmatch(path.name)))

    def has(self, name: str) -> bool:
        """Whether a key of that name stands."""
        return _NAME.fullmatch(name) is not None and (self._keys / name).is_file()

    def path(self, name: str) -> Path:
        """Where the file of a key stands, or would."""
        return self._keys / name

    def create(self, name: str, kind: Kind, secret: bytes, extra: Mapping[str, str] | None = None) -> None:
        """Write the file of a new key, durably. Raises KeyNameTaken, or CustodyError."""
        header = {"v": 1, "name": name, "kind": kind, **(extra or {})}
        file = seal_file(self._after or self._cipher, secret, header, self._random)
        storage.create_file(self._keys / name, format_sealed_file(file), self._random)

    def open(self, name: str) -> tuple[dict[str, Any], bytes]:
        """Header and 32-byte secret of a key. Raises UnknownKeyName, CustodyError for a damaged file."""
        if not self.has(name):
            raise UnknownKeyName("custody holds no such key")
        data = storage.read_file(self._keys / name, MAX_FILE_BYTES)
        file = parse_sealed_file(data, self._members, self._cipher.nonce_bytes)
        if file.header["name"] != name:
            raise CustodyError("a key file stands under another key's name")
        for cipher in filter(None, (self._cipher, self._after)):
            try:
                return file.header, file.open(cipher)
            except DecryptionFailed:
                continue
        raise CustodyError("a key file does not open with this custody's root (replaced since? then restart)")

    def reseal(self, name: str) -> None:
        """Have the file of a key stand under `after`, whole at every instant."""
        header, secret = self.open(name)
        file = seal_file(self._after or self._cipher, secret, header, self._random)
        storage.replace_file(self._keys / name, format_sealed_file(file), self._random)

    def remove(self, name: str) -> None:
        """Remove a key's file, durably, under every name it has. Raises UnknownKeyName."""
        if not self.has(name):
            raise UnknownKeyName("custody holds no such key")
        storage.remove_file(self._keys / name)


def is_key_name(name: str) -> bool:
    """Whether a key may have that name."""
    return _NAME.fullmatch(name) is not None


def check_new(name: str, kind: str) -> None:
    """Raise Malformed unless a key may be named and be of that kind."""
    if _NAME.fullmatch(name) is None or kind not in get_args(Kind):
        raise Malformed("a key is named in lower case and is aead, mac or ed25519")
