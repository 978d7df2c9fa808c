"""From the parts of a log to a world in which every leaf of them held: in the lanes, or by the rules.

Invariant: leaves are taken in their order, each once, and nothing is taken behind one that is wrong; a fault
of the files counts where it stands, behind the leaves before it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

from ledger.bodies import KeySealing
from ledger.entries import Leaf, parse_leaf
from ledger.errors import Finding, MalformedLeaf
from ledger.merkle import HASH_SIZE, leaf_hash
from ledger.tiles import WIDTH
from ledger.verify import chain, evidence, replay
from ledger.verify.files import read_entries
from ledger.verify.lanes import Lanes
from ledger.verify.parts import Bundle, Part
from ledger.verify.reader import Tree
from ledger.verify.rules import hold
from ledger.verify.sealed import Opener
from ledger.verify.spellings import FORMS
from ledger.verify.state import World

Progress = Callable[[int, int], None]
"""(leaves done, leaves in all)"""

_SHELF: Final = 16
"""Bundles that are kept for leaves to be read again."""


def grown(
    read: Iterable[Part], tree: Tree, progress: Progress, size: int
) -> Iterator[tuple[Part, int, Bundle]]:
    """(part, number, bundle) in order; the tree grows over each bundle once it was taken, and is finished."""
    for part in read:
        for number, bundle in enumerate(part.bundles, part.first):
            yield part, number, bundle
            if bundle.fault is not None:
                index, rule, message = bundle.fault
                raise Finding(index, rule, message)
            tree.add(bundle.hashes, bundle.above)
            progress(min(size, (number + 1) * WIDTH), size)
    tree.finish()


class Shelf:
    """Leaves of the log that are read once more, by their indexes; those of the last bundles are at hand."""

    def __init__(self, directory: Path, size: int) -> None:
        self._directory, self._size = directory, size
        self._bundle = lru_cache(_SHELF)(self._read)
        self.leaf = lru_cache(_SHELF)(self._leaf)
        """A leaf that was taken before, by its index."""

    def data(self, index: int) -> bytes:
        """Bytes of a leaf."""
        return self._bundle(index // WIDTH)[index % WIDTH]

    def _leaf(self, index: int) -> Leaf:
        return parse_leaf(self.data(index))

    def _read(self, bundle: int) -> list[bytes]:
        leaves = list[bytes]()
        read_entries(self._directory, bundle, min(WIDTH, self._size - bundle * WIDTH), leaves)
        return leaves


class Replay:
    """Takes leaves over into a world."""

    def __init__(self, world: World, opener: Opener | None, shelf: Shelf) -> None:
        """With an `opener`, what it can open of the details is checked too."""
        self._world, self._opener, self._shelf = world, opener, shelf
        self._lanes = Lanes(world)

    def take(self, bundles: Iterable[tuple[Part, int, Bundle]]) -> Counter[str]:
        """All bundles; returns how many leaves there are of each type. Raises Finding."""
        counts: Counter[str] = Counter()
        lanes, part, before = self._lanes, None, bytes(HASH_SIZE)
        for of, number, bundle in bundles:
            if of is not part:
                part = of
                lanes.begin(part)
            self._world.answers.given += bytes(len(bundle.leaves))
            leaves, hashes, first = bundle.leaves, bundle.hashes, number * WIDTH
            at = lanes.take(leaves, 0, first)
            while at < len(leaves):
                begin = HASH_SIZE * at
                digest = hashes[begin : begin + HASH_SIZE]
                last = hashes[begin - HASH_SIZE : begin] if at else before
                leaf = leaves[at]
                data = leaf if type(leaf) is bytes else self._again(first + at, digest)
                counts[self._rule(first + at, data, last, digest)] += 1
                at = lanes.take(leaves, at + 1, first)
            before = hashes[-HASH_SIZE:]
        return counts + Counter({form.type: n for form, n in zip(FORMS, lanes.taken, strict=True)})

    def _again(self, index: int, digest: bytes) -> bytes:
        """A plain leaf once more, whole, for the rules."""
        data = self._shelf.data(index)
        if leaf_hash(data) != digest:
            raise Finding(index, "tile-hash", "the entry bundle was changed while it was read")
        return data

    def _rule(self, index: int, data: bytes, before: bytes, digest: bytes) -> str:
        """Check one leaf by the rules against everything before it, then take over what it says."""
        world, opener = self._world, self._opener
        world.size, world.head, world.at = index, before.hex(), self._lanes.at.decode()
        try:
            leaf = parse_leaf(data)
        except MalformedLeaf as malformed:
            raise Finding(index, "leaf", str(malformed)) from None
        hold(chain.CHAIN, index, leaf, leaf.body, world)
        chain.seat(leaf, world)
        replay.check(index, leaf, world)
        details = None
        if opener is not None:
            if isinstance(leaf.body, KeySealing):
                opener.announce(index, leaf.body)
            details = evidence.read_details(index, leaf, opener.open(index, leaf))
        if details is not None:
            evidence.check(index, leaf, details, world)
        replay.apply(leaf, world)
        if details is not None:
            evidence.apply(leaf, details, world)
        chain.advance(leaf, digest.hex(), world)
        self._lanes.changed(leaf)
        return leaf.type
