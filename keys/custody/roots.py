"""The root key of a `file` custody: opened by the passphrase, replaced by another, given back by its shares.

Invariant: at every step of a replacement each key file opens under a root that the passphrase leads to, so
that a process killed anywhere leaves a custody that opens, and the same command finishes the work. Once it is
done the old root, and so every share of it, opens nothing that is written from then on.

    DIR/root        the root under Argon2id(passphrase)
    DIR/root-next   only while a root is being replaced: JCS {"for":"root","nonce","v":1,"wrapped"}, the new
                    root sealed under the old one; key files stand under either until all are under the new

Order: root-next, each key file, root, root-next removed. A root-next that the root does not open was left by
a kill between the last two.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import Final

from keys.canonical import sha256
from keys.custody import storage
from keys.custody.copies import CustodyCopy
from keys.custody.directory import KEYS, ROOT, KeyDirectory, prepare, read_root, write_root
from keys.custody.sealed_file import (
    MAX_FILE_BYTES,
    SALT_BYTES,
    SECRET_BYTES,
    STANDARD,
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
from keys.errors import BadShare, CustodyError, CustodyLocked, DecryptionFailed
from keys.signing import Random

Progress = Callable[[int, int], None]
"""(keys done, keys in all)"""

MEMBERS: Final = frozenset({"v", "kdf", "cost", "salt"})
NONCE_BYTES: Final = XChaCha.nonce_bytes

_NEXT = "root-next"
_NEXT_HEADER = {"v": 1, "for": "root"}


@dataclass(frozen=True, slots=True)
class Roots:
    """The root that the passphrase opens, and the one that is taking its place, if one is. 32 bytes each."""

    current: bytes = field(repr=False)
    after: bytes | None = field(default=None, repr=False)


def open_roots(directory: Path, passphrase: bytes) -> Roots:
    """The root of a custody. Raises CustodyLocked for a wrong passphrase, CustodyError without one."""
    file = read_root(directory, MEMBERS, NONCE_BYTES)
    try:
        root = file.open(XChaCha(parse_derivation(file.header).key(passphrase)))
    except DecryptionFailed as error:
        raise CustodyLocked("the passphrase does not open this custody") from error
    return Roots(root, _next_under(directory, root))


def seal_root(root: bytes, passphrase: bytes, cost: Cost, random: Random) -> SealedFile:
    """The root under a passphrase, with a fresh salt."""
    derivation = Derivation(random(SALT_BYTES), cost)
    return seal_file(XChaCha(derivation.key(passphrase)), root, format_derivation(derivation), random)


def stamp(directory: Path) -> bytes:
    """A hash that changes with the root, so that a process sees that the one it holds is not it any more."""
    after = directory / _NEXT
    left = storage.read_file(after, MAX_FILE_BYTES) if after.exists() else b""
    return sha256(storage.read_file(directory / ROOT, MAX_FILE_BYTES) + b"\x00" + left)


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Alone in changing a custody: no key is made under a root while it is being replaced."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flock(descriptor, LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def rotate_root(directory: Path, passphrase: bytes, random: Random, progress: Progress) -> int:
    """Give a custody a new root and seal every key under it; how many keys. Finishes what was cut short."""
    with locked(directory):
        cost = parse_derivation(read_root(directory, MEMBERS, NONCE_BYTES).header).cost
        roots = open_roots(directory, passphrase)
        after = roots.after or _begin(directory, roots.current, random)
        keys = KeyDirectory(directory, XChaCha(roots.current), random, after=XChaCha(after))
        names = keys.names()
        for done, name in enumerate(names, start=1):
            keys.reseal(name)
            progress(done, len(names))
        sealed = format_sealed_file(seal_root(after, passphrase, cost, random))
        storage.replace_file(directory / ROOT, sealed, random)
        storage.remove_file(directory / _NEXT)
    return len(names)


def restore_custody(
    directory: Path,
    root: bytes,
    passphrase: bytes,
    copy: CustodyCopy | None,
    random: Random,
    cost: Cost = STANDARD,
) -> tuple[str, ...]:
    """A custody under a new passphrase, from its root; the names of its keys.

    Without `copy` the key files stand in `directory` already and only the passphrase was lost; with it the
    custody is made anew in a directory that is new or empty. All is checked before anything is written, and
    it is there whole or not at all. Raises BadShare when the root opens none of it, CustodyError otherwise.
    """
    stands = (directory / KEYS).is_dir() and any((directory / KEYS).iterdir())
    if copy is None:
        if not stands:
            raise CustodyError(f"{directory} holds no keys: give the copy of the custody too")
        return _reopen(directory, root, passphrase, random, cost)
    if stands:
        raise CustodyError(
            f"{directory} holds keys already: leave the copy out, or restore into an empty place"
        )
    return _rebuild(directory, root, passphrase, copy, random, cost)


def _reopen(directory: Path, root: bytes, passphrase: bytes, random: Random, cost: Cost) -> tuple[str, ...]:
    storage.check_directory(directory)
    with locked(directory):
        after = _next_under(directory, root)
        keys = KeyDirectory(directory, XChaCha(root), random, after=None if after is None else XChaCha(after))
        names = keys.names()
        for name in names:
            try:
                keys.open(name)
            except CustodyError as error:
                raise BadShare(
                    "the shares are of another root than the keys here: was it replaced since?"
                ) from error
        sealed = format_sealed_file(seal_root(root, passphrase, cost, random))
        storage.replace_file(directory / ROOT, sealed, random)
    return names


def _rebuild(
    directory: Path, root: bytes, passphrase: bytes, copy: CustodyCopy, random: Random, cost: Cost
) -> tuple[str, ...]:
    copy.require_under(root)
    building = directory.parent / f".{directory.name}.new-{random(8).hex()}"
    try:
        prepare(building)
        for name, data in copy.keys.items():
            storage.create_file(building / KEYS / name, data, random)
        keys = KeyDirectory(building, XChaCha(root), random)
        for name in copy.keys:
            keys.open(name)
        write_root(building, seal_root(root, passphrase, cost, random), random)
        storage.move_directory(building, directory)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    return keys_of(copy)


def keys_of(copy: CustodyCopy) -> tuple[str, ...]:
    """Names of the keys in a copy, sorted."""
    return tuple(sorted(copy.keys))


def _begin(directory: Path, current: bytes, random: Random) -> bytes:
    """A new root, durable under the old one before any key file depends on it."""
    after = random(SECRET_BYTES)
    if (directory / _NEXT).exists():
        storage.remove_file(directory / _NEXT)
    sealed = format_sealed_file(seal_file(XChaCha(current), after, _NEXT_HEADER, random))
    storage.create_file(directory / _NEXT, sealed, random)
    return after


def _next_under(directory: Path, current: bytes) -> bytes | None:
    path = directory / _NEXT
    if not path.exists():
        return None
    file = parse_sealed_file(storage.read_file(path, MAX_FILE_BYTES), frozenset(_NEXT_HEADER), NONCE_BYTES)
    try:
        return file.open(XChaCha(current))
    except DecryptionFailed:
        return None  # `current` is already the one that it was to become
