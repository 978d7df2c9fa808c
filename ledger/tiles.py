"""Tiles: the log's hashes and leaves as a finite set of files that never change (C2SP tlog-tiles, height 8).

Invariant: a tile once written is never written with other bytes; partial tiles go only when
their full tile is durable. So any crash leaves a directory from which `extend` goes on, and no
reader ever sees two histories.

Paths are relative to the directory: `tile/<level>/<index>[.p/<width>]`,
`tile/entries/<index>[.p/<width>]`. A hash tile is 1..256 hashes of 32 bytes, an entry bundle 1..256
leaves, each behind its length as a big-endian uint16.
"""

from __future__ import annotations

import re
import shutil
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Final, Literal

from ledger.errors import BrokenTree, MalformedTile
from ledger.files import read_if_there, write_atomic
from ledger.merkle import HASH_SIZE, HashReader, leaf_hash, node_hash, root_at

WIDTH: Final = 256
HEIGHT: Final = 8
MAX_LEVEL: Final = 63
_MOST_TILES: Final = 1_000**6
Level = int | Literal["entries"]

_PATH: Final = re.compile(
    r"\Atile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?\Z"
)
"""At most six groups of three digits: a log has fewer than 2^53 leaves."""


class MissingTile(BrokenTree):
    """A tile that the tree's size calls for is not in the directory."""


def tile_path(level: Level, index: int, width: int = WIDTH) -> str:
    """`tile/0/x001/x234/067.p/5` for level 0, index 1234067, width 5; width 256 is the full tile."""
    known = level == "entries" or 0 <= level <= MAX_LEVEL
    if not known or not 1 <= width <= WIDTH or not 0 <= index < _MOST_TILES:
        raise MalformedTile("no such tile")
    groups = [f"{index % 1000:03}"]
    while index >= 1000:
        index //= 1000
        groups.append(f"x{index % 1000:03}")
    suffix = "" if width == WIDTH else f".p/{width}"
    return f"tile/{level}/{'/'.join(reversed(groups))}{suffix}"


def parse_tile_path(path: str) -> tuple[Level, int, int]:
    """(level, index, width) of a path in the one form that `tile_path` gives; raises MalformedTile."""
    match = _PATH.match(path)
    if match is None:
        raise MalformedTile("not a tile's path")
    level: Level = "entries" if match[1] == "entries" else int(match[1])
    index = int(match[2].replace("/", "").replace("x", ""))
    width = int(match[3]) if match[3] else WIDTH
    if width > WIDTH or tile_path(level, index, width) != path:
        raise MalformedTile("not a tile's path")
    return level, index, width


def format_tile(hashes: Sequence[bytes]) -> bytes:
    """Hash tile of 1..256 hashes."""
    if not 1 <= len(hashes) <= WIDTH or any(len(digest) != HASH_SIZE for digest in hashes):
        raise MalformedTile("a tile is 1 to 256 hashes of 32 bytes")
    return b"".join(hashes)


def parse_tile(data: bytes) -> tuple[bytes, ...]:
    """Hashes of a tile; raises MalformedTile."""
    if not data or len(data) % HASH_SIZE or len(data) > WIDTH * HASH_SIZE:
        raise MalformedTile("a tile is 1 to 256 hashes of 32 bytes")
    return tuple(data[at : at + HASH_SIZE] for at in range(0, len(data), HASH_SIZE))


def format_bundle(leaves: Sequence[bytes]) -> bytes:
    """Entry bundle of 1..256 leaves."""
    if not 1 <= len(leaves) <= WIDTH or any(len(leaf) > 0xFFFF for leaf in leaves):
        raise MalformedTile("a bundle is 1 to 256 leaves of at most 65,535 bytes")
    return b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in leaves)


def parse_bundle(data: bytes) -> tuple[bytes, ...]:
    """Leaves of an entry bundle; raises MalformedTile."""
    leaves: list[bytes] = []
    at = 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if at + 2 > len(data) or end > len(data):
            raise MalformedTile("the bundle ends within a leaf")
        leaves.append(data[at + 2 : end])
        at = end
    if not 1 <= len(leaves) <= WIDTH:
        raise MalformedTile("a bundle is 1 to 256 leaves")
    return tuple(leaves)


class TileDirectory:
    """A tile tree on disk. One writer; any number of readers."""

    def __init__(self, path: Path) -> None:
        """`path` is the directory that holds `tile/`; it need not be there yet."""
        self.path = path

    def read(self, level: Level, index: int, width: int = WIDTH) -> bytes | None:
        """The file of exactly this width, or None."""
        return read_if_there(self.path / tile_path(level, index, width))

    def hashes(self, level: int, index: int, width: int) -> tuple[bytes, ...]:
        """The first `width` hashes of a tile, of this width or wider. Raises MissingTile, MalformedTile."""
        return self._first(level, index, width, parse_tile)

    def entries(self, index: int, width: int) -> tuple[bytes, ...]:
        """The first `width` leaves of an entry bundle, found in the same way."""
        return self._first("entries", index, width, parse_bundle)

    def reader(self, size: int) -> HashReader:
        """Reader of complete subtrees of the tree of `size` leaves. Keeps the tiles it has read."""
        tiles: dict[tuple[int, int], tuple[bytes, ...]] = {}

        def read(level: int, index: int) -> bytes:
            if level < 0 or index < 0 or (index + 1) << level > size:
                raise BrokenTree("no complete subtree stands there")
            tile_level, height = divmod(level, HEIGHT)
            tile, offset = divmod(index << height, WIDTH)
            if (tile_level, tile) not in tiles:
                width = min(WIDTH, (size >> HEIGHT * tile_level) - tile * WIDTH)
                tiles[tile_level, tile] = self.hashes(tile_level, tile, width)
            return _complete(tiles[tile_level, tile][offset : offset + (1 << height)])

        return read

    def root_at(self, size: int) -> bytes:
        """Root of the first `size` leaves. Raises MissingTile."""
        return root_at(self.reader(size), size)

    def leaf(self, index: int, size: int) -> bytes:
        """Leaf `index` of the tree of `size` leaves. Raises MissingTile."""
        if not 0 <= index < size:
            raise BrokenTree("the tree has no such leaf")
        bundle, offset = divmod(index, WIDTH)
        return self.entries(bundle, min(WIDTH, size - bundle * WIDTH))[offset]

    def size(self) -> int:
        """Number of leaves that the entry bundles hold, published or not; 0 for an empty directory."""

        def full(index: int) -> bool:
            return (self.path / tile_path("entries", index)).is_file()

        beyond = 1
        while full(beyond - 1):
            beyond *= 2
        bundles = bisect_left(range(beyond), True, key=lambda index: not full(index))
        return bundles * WIDTH + max(self._partials("entries", bundles), default=0)

    def extend(self, old: int, leaves: Iterable[bytes]) -> bytes:
        """Write the tiles that take the log from `old` leaves to those and `leaves`; returns the new root.

        Idempotent: what is there already must be the same bytes, else BrokenTree. When `old` is a multiple of
        256 no partial tile is needed to go on from; level by level, what is missing above is made again from
        below. Raises MissingTile when something below is not there.
        """
        bundle, offset = divmod(old, WIDTH)
        pending = list(self.entries(bundle, offset)) if offset else []
        size, coming = bundle * WIDTH, iter(leaves)
        while chunk := pending + list(islice(coming, WIDTH - len(pending))):
            pending = []
            self._write("entries", bundle, format_bundle(chunk), len(chunk))
            self._write(0, bundle, format_tile([leaf_hash(leaf) for leaf in chunk]), len(chunk))
            size += len(chunk)
            bundle += 1
        for level in range(1, MAX_LEVEL):
            if size >> HEIGHT * level == 0:
                break
            self._raise_level(level, old >> HEIGHT * level, size >> HEIGHT * level)
        return self.root_at(size)

    def _raise_level(self, level: int, old: int, new: int) -> None:
        """Write the tiles of one upper level that hold its hashes from number `old` to `new`."""
        for tile in range(old // WIDTH, (new + WIDTH - 1) // WIDTH):
            start, end = tile * WIDTH, min(new, (tile + 1) * WIDTH)
            known: tuple[bytes, ...] = ()
            if old > start:
                try:
                    known = self.hashes(level, tile, min(old, end) - start)
                except MissingTile:
                    known = ()  # lost in a crash, or never needed: made again from the full tiles below
            below = range(start + len(known), end)
            made = [_complete(self.hashes(level - 1, index, WIDTH)) for index in below]
            self._write(level, tile, format_tile([*known, *made]), end - start)

    def _write(self, level: Level, index: int, data: bytes, width: int) -> None:
        """Write once: the same bytes again are nothing, other bytes are a fork."""
        path = self.path / tile_path(level, index, width)
        present = read_if_there(path)
        if present is None:
            write_atomic(path, data)
        elif present != data:
            raise BrokenTree("a tile that is already there has other bytes")
        if width == WIDTH:
            shutil.rmtree(path.with_name(path.name + ".p"), ignore_errors=True)

    def _first(
        self, level: Level, index: int, width: int, parse: Callable[[bytes], tuple[bytes, ...]]
    ) -> tuple[bytes, ...]:
        """Own file, else the full tile, else the narrowest wider partial: each begins with the narrower."""
        for wide in (width, WIDTH):
            if (data := self.read(level, index, wide)) is not None:
                return _narrow(parse(data), wide, width)
        for wide in self._partials(level, index):
            if wide > width and (data := self.read(level, index, wide)) is not None:
                return _narrow(parse(data), wide, width)
        # Partials go when their full tile is there: between the looks above, perhaps.
        if (data := self.read(level, index)) is not None:
            return _narrow(parse(data), WIDTH, width)
        raise MissingTile(f"missing: {tile_path(level, index, width)}")

    def _partials(self, level: Level, index: int) -> list[int]:
        """Widths of the partial tiles there are, ascending."""
        directory = (self.path / tile_path(level, index, 1)).parent
        try:
            names = [entry.name for entry in directory.iterdir()]
        except FileNotFoundError:
            return []
        return sorted(
            int(name) for name in names if re.fullmatch(r"[1-9][0-9]{0,2}", name) and int(name) < WIDTH
        )


def _complete(hashes: Sequence[bytes]) -> bytes:
    """Root of a complete subtree over 2**k hashes."""
    level = list(hashes)
    while len(level) > 1:
        level = [node_hash(level[at], level[at + 1]) for at in range(0, len(level), 2)]
    return level[0]


def _narrow(values: tuple[bytes, ...], wide: int, width: int) -> tuple[bytes, ...]:
    if len(values) != wide:
        raise MalformedTile("the tile is not as wide as its name says")
    return values[:width]
