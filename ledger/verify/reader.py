"""The tree of an exported log, grown from its leaves and held against every other tile (C2SP tlog-tiles).

Invariant: when `finish` has returned, every tile of the tree was there, as wide as it should be and right,
and the leaves hash to the signed root. Nothing but one pending tile per level is kept. A fault raises
`Finding`; another unreadable file raises OSError.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ledger.checkpoint import Checkpoint
from ledger.errors import Finding, MalformedTile
from ledger.merkle import EMPTY_ROOT, HASH_SIZE, leaf_hash, node_hash, root
from ledger.tiles import HEIGHT, WIDTH, Level, parse_tile_path
from ledger.verify.files import first_leaf, read_entries, read_hashes, read_tile


class Tree:
    """The tree grown bundle by bundle, each tile compared with its file as soon as it is complete."""

    def __init__(self, directory: Path, checkpoint: Checkpoint) -> None:
        self._directory = directory
        self._checkpoint = checkpoint
        self._pending: list[list[bytes]] = []
        self._done: list[int] = []

    def leaves(self) -> Iterator[tuple[int, bytes, bytes]]:
        """(index, leaf, leaf hash) in order; then the rest of the tree is checked."""
        size = self._checkpoint.size
        for bundle in range((size + WIDTH - 1) // WIDTH):
            first = bundle * WIDTH
            width = min(WIDTH, size - first)
            hashes, leaves = read_hashes(self._directory, 0, bundle, width), list[bytes]()
            fault = None
            try:
                read_entries(self._directory, bundle, width, leaves)
            except Finding as found:
                fault = found  # those before it come first
            for index, leaf in enumerate(leaves, first):
                digest = leaf_hash(leaf)
                if digest != hashes[HASH_SIZE * (index - first) : HASH_SIZE * (index - first + 1)]:
                    raise Finding(index, "tile-hash", "the hash tile holds another hash than the leaf's")
                yield index, leaf, digest
            if fault is not None:
                raise fault
            self.add(hashes)
        self.finish()

    def add(self, hashes: bytes, above: bytes = b"") -> None:
        """Take over the hashes of the next bundle's leaves, which their tile holds; `above` is their root."""
        if above:
            self._push(1, above)
            return
        each = [hashes[at : at + HASH_SIZE] for at in range(0, len(hashes), HASH_SIZE)]
        if len(each) == WIDTH:
            self._push(1, root(each))
        else:
            self._level(0).extend(each)

    def finish(self) -> None:
        """The partial tiles above the leaves, the root, and whatever else lies in the directory."""
        for level in range(1, len(self._pending)):
            if self._pending[level]:
                self._compare(level)
        if self._root() != self._checkpoint.root:
            raise Finding(None, "root", "the leaves do not hash to the root that the checkpoint signs")
        self._check_strays()

    def _level(self, level: int) -> list[bytes]:
        while len(self._pending) <= level:
            self._pending.append([])
            self._done.append(0)
        return self._pending[level]

    def _push(self, level: int, digest: bytes) -> None:
        """Add the root of a full tile to the level above it, and go on upwards while tiles get full."""
        pending = self._level(level)
        pending.append(digest)
        if len(pending) == WIDTH:
            self._compare(level)
            above = root(pending)
            pending.clear()
            self._done[level] += 1
            self._push(level + 1, above)

    def _compare(self, level: int) -> None:
        """The pending tile of a level is what its file says."""
        index, pending = self._done[level], self._pending[level]
        stored = read_hashes(self._directory, level, index, len(pending))
        for at, digest in enumerate(pending):
            if stored[HASH_SIZE * at : HASH_SIZE * (at + 1)] != digest:
                first = index * WIDTH + at << HEIGHT * level
                raise Finding(
                    first, "tile-hash", f"a hash tile of level {level} does not follow from the leaves"
                )

    def _root(self) -> bytes:
        """Root over the pending hashes: complete subtrees, joined from the right (RFC 6962, section 2.1)."""
        digest = b""
        for pending in self._pending:
            rest = len(pending)
            while rest:
                width = rest & -rest  # the last complete subtree is as wide as the lowest set bit
                subtree = root(pending[rest - width : rest])
                digest = node_hash(subtree, digest) if digest else subtree
                rest -= width
        return digest or EMPTY_ROOT

    def _check_strays(self) -> None:
        """Every other file under tile/ is a narrower tile of before, and begins like the tile of now."""
        for path in sorted((self._directory / "tile").rglob("*")):
            if path.is_dir() and not path.is_symlink():
                continue
            name = path.relative_to(self._directory).as_posix()
            try:
                level, index, width = parse_tile_path(name)
            except MalformedTile:
                raise Finding(None, "tile-extra", "a file among the tiles is no tile") from None
            height = 0 if level == "entries" else HEIGHT * level
            now = min(WIDTH, (self._checkpoint.size >> height) - index * WIDTH)
            if width > now:
                raise Finding(first_leaf(level, index), "tile-extra", f"{name} goes beyond the checkpoint")
            if width < now and not self._begins(level, index, width, now):
                raise Finding(first_leaf(level, index), "tile-extra", f"{name} contradicts the tile of now")

    def _begins(self, level: Level, index: int, width: int, now: int) -> bool:
        narrow, wide = (read_tile(self._directory, level, index, each) for each in (width, now))
        if level != "entries":
            return len(narrow) == width * HASH_SIZE and wide.startswith(narrow)
        end = 0
        for _ in range(width):
            end += 2 + int.from_bytes(wide[end : end + 2], "big")
        return narrow == wide[:end]
