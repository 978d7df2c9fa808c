"""The files of an exported tree: entry bundles and hash tiles, each exactly as long as it should be.

Invariant: what is handed on has the width that the tree's size calls for; a fault raises `Finding` at the
first leaf that it touches, and a file that is there but cannot be read OSError.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from ledger.errors import Finding
from ledger.merkle import HASH_SIZE
from ledger.tiles import HEIGHT, WIDTH, Level, tile_path

_MOST: Final = WIDTH * (2 + 0xFFFF)
"""Bytes of the longest tile: an entry bundle of the longest leaves."""


def read_tile(directory: Path, level: Level, index: int, width: int) -> bytes:
    """The file of a tile; no more of it than the longest has, and a byte."""
    name = tile_path(level, index, width)
    try:
        # a Path, and a buffer of its own, would cost as much again
        with open(f"{directory}/{name}", "rb", buffering=0) as file:  # noqa: PTH123
            # More than any tile can hold shows in its width; no more room is made than the file is long.
            return file.read(min(os.fstat(file.fileno()).st_size, _MOST) + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise Finding(first_leaf(level, index), "tile-missing", f"no {name}") from None


def read_hashes(directory: Path, level: int, index: int, width: int) -> bytes:
    """The hashes of a tile's file, exactly `width` of them, one after the other."""
    data = read_tile(directory, level, index, width)
    if len(data) != width * HASH_SIZE:
        raise Finding(first_leaf(level, index), "tile-width", "a hash tile is not as wide as its name says")
    return data


def read_entries(directory: Path, bundle: int, width: int, leaves: list[bytes]) -> None:
    """Append the leaves of a bundle: exactly `width`, each behind its length; before a Finding those that
    stand in front of the fault.
    """
    first = bundle * WIDTH
    data = read_tile(directory, "entries", bundle, width)
    at, whole = 0, len(data)
    for index in range(first, first + width):
        if at == whole:
            raise Finding(index, "bundle", "the entry bundle holds fewer leaves than its name says")
        begin = at + 2
        at = begin + (data[at] << 8 | data[at + 1]) if begin <= whole else whole + 1
        if at > whole:
            raise Finding(index, "bundle", "the entry bundle ends within a leaf")
        leaves.append(data[begin:at])
    if at != whole:
        raise Finding(first + width - 1, "bundle", "the entry bundle goes on after its last leaf")


def first_leaf(level: Level, index: int) -> int:
    """Index of the first leaf that a tile covers."""
    return index * WIDTH << (0 if level == "entries" else HEIGHT * level)
