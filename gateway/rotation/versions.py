"""The versions of the blind index that are looked up by: those whose keys stand in custody.

Invariant: a key is made before the first row is written under it and destroyed after the last one under it is
gone; so whoever looks up by every version that custody has finds what there is, in whatever process, and does
the same work whether there is anything. What is written is written under the newest, and the index of persons
under each.
"""

from __future__ import annotations

from typing import Final

from gateway.errors import KeysMovedOn
from keys.blind import blind_index, index_key_name
from keys.custody import Custody
from keys.errors import UnknownKeyName

FIRST: Final = 1
_PREFIX: Final = "index-"


def index_versions(custody: Custody) -> tuple[int, ...]:
    """The live versions, the newest first."""
    found = (name.removeprefix(_PREFIX) for name in custody.names() if name.startswith(_PREFIX))
    return tuple(sorted((int(version) for version in found if version.isdecimal()), reverse=True))


def lookups(custody: Custody, domain: str, value: bytes) -> dict[int, bytes]:
    """The blind index of a value under each live version, the newest first."""
    try:
        return _lookups(custody, domain, value)
    except UnknownKeyName:  # another process has just destroyed an old version's key
        return _lookups(custody, domain, value)


def _lookups(custody: Custody, domain: str, value: bytes) -> dict[int, bytes]:
    return {version: blind_index(custody, version, domain, value) for version in index_versions(custody)}


def newest(found: dict[int, bytes]) -> tuple[bytes, int | None]:
    """What is written: the newest of some `lookups`, and its version as columns have it."""
    version = next(iter(found))
    return found[version], stored(version)


def stored(version: int) -> int | None:
    """A version as a column `index_version` has it: null is the first."""
    return None if version == FIRST else version


def require_versions(custody: Custody, made_under: tuple[int, ...]) -> None:
    """`KeysMovedOn` when rows made before the lock are not under the versions that are live under it."""
    if index_versions(custody) != made_under:
        raise KeysMovedOn("an index was rotated since these rows were made: make them again")


def forget_gone(custody: Custody) -> None:
    """Drop the keys of destroyed versions from memory."""
    oldest = min(index_versions(custody), default=FIRST)
    for version in range(FIRST, oldest):
        custody.forget(index_key_name(version))
