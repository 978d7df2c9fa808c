"""A run of bundles, read and checked by itself: what a process of the auditor hands to the one that replays.

Invariant: a leaf is handed on only after its hash stood in the hash tile beside its bundle. It is handed on
`plain`, as a few members, only when it is of a common form (`spellings`), stands at its index and names the
leaf before it; every other leaf is handed on whole, for the rules to say what is wrong with it, if anything
is. The first fault of a bundle's files ends the run, behind the leaves before it.
"""

from __future__ import annotations

from binascii import hexlify
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import msgspec

from ledger.errors import Finding
from ledger.members import ZERO_HASH
from ledger.merkle import HASH_SIZE
from ledger.tiles import WIDTH
from ledger.verify import spellings as sp
from ledger.verify.files import read_entries, read_hashes
from ledger.verify.shorts import Shorts

RUN: Final = 32
"""Bundles of a run."""

Mode: TypeAlias = Literal["plain", "whole", "linked"]
"""`plain`: common leaves in short, for replay. `whole`: every leaf whole, for details to be opened too.
`linked`: none is handed on, but each is held against the hash of the one before, without its form or meaning.
"""

Fault: TypeAlias = tuple[int | None, str, str]
"""What a Finding takes: index, rule, message."""


class Bundle(msgspec.Struct, array_like=True):
    """The leaves of a bundle up to its fault: plain ones as rows, others as bytes. `hashes` are of all its
    leaves, `above` is the root over them.
    """

    leaves: list[Any]
    hashes: bytes = b""
    above: bytes = b""
    fault: Fault | None = None


class Part(msgspec.Struct, array_like=True):
    """A run from bundle `first` on, and what its plain leaves share: (form, actor), (form, what is asked),
    (policy, sealing key, day).
    """

    first: int
    bundles: list[Bundle]
    actors: list[tuple[int, bytes | None]]
    scopes: list[tuple[Any, ...]]
    frames: list[tuple[bytes, bytes, bytes]]


class Run(msgspec.Struct, array_like=True):
    """Which bundles to read of which log, and how."""

    directory: str
    origin: str
    size: int
    first: int
    mode: Mode


def runs(directory: Path, origin: str, size: int, mode: Mode) -> Iterator[Run]:
    """All of a log, in order. One at a time: a checkpoint may claim any size."""
    bundles = (size + WIDTH - 1) // WIDTH
    return (Run(str(directory), origin, size, first, mode) for first in range(0, bundles, RUN))


def read_part(run: Run) -> Part:
    """Read one run. Raises OSError for a file that is there but cannot be read."""
    return _Reading(run).part()


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Part)


def read_packed(run: Run) -> bytes:
    """The same, packed to be sent."""
    return _encoder.encode(read_part(run))


def unpack(packed: bytes) -> Part:
    """A part as `read_packed` packed it."""
    return _decoder.decode(packed)


class _Reading:
    """One run being read."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._directory = Path(run.directory)
        self._known = sp.spellings(run.origin)
        self._part = Part(run.first, [], [], [], [])
        self._shorts = Shorts(self._part.actors, self._part.scopes, self._part.frames)
        self._before = b""

    def part(self) -> Part:
        """Bundle by bundle, to the end of the run or the first fault."""
        run, part = self._run, self._part
        self._before = self._hash_before()
        for bundle in range(run.first, min(run.first + RUN, (run.size + WIDTH - 1) // WIDTH)):
            part.bundles.append(self._bundle(bundle))
            if part.bundles[-1].fault is not None:
                break
        return part

    def _hash_before(self) -> bytes:
        """Hex hash of the leaf before the run, if it can be had: the run before says why not, if it
        cannot.
        """
        if self._run.first == 0:
            return ZERO_HASH.encode()
        try:
            return hexlify(read_hashes(self._directory, 0, self._run.first - 1, WIDTH)[-HASH_SIZE:])
        except Finding:
            return b""

    def _bundle(self, bundle: int) -> Bundle:
        first = bundle * WIDTH
        width = min(WIDTH, self._run.size - first)
        said, leaves = Bundle([]), list[bytes]()
        try:
            stored = read_hashes(self._directory, 0, bundle, width)
            read_entries(self._directory, bundle, width, leaves)  # those before a fault count
        except Finding as wrong:
            said.fault = (wrong.index, wrong.rule, wrong.message)
            stored = stored[: len(leaves) * HASH_SIZE] if leaves else b""
        digests = [sha256(b"\0" + leaf).digest() for leaf in leaves]
        said.hashes = b"".join(digests)
        if said.hashes != stored:
            bad = next(
                at for at in range(len(leaves)) if said.hashes[32 * at :][:32] != stored[32 * at :][:32]
            )
            said.fault = (first + bad, "tile-hash", "the hash tile holds another hash than the leaf's")
            said.hashes = said.hashes[: bad * HASH_SIZE]
            del leaves[bad:]
        if self._run.mode == "linked":
            self._link(said, first, leaves)
        elif self._run.mode == "whole":
            said.leaves = list(leaves)
        else:
            self._hand(said, first, leaves)
        if said.fault is None and width == WIDTH:
            said.above = _above(digests)
        return said

    def _link(self, said: Bundle, first: int, leaves: list[bytes]) -> None:
        """Hold each leaf against its index and the hash before it, each at its place in canonical order."""
        log, hashes = b',"log":"%b","policy":"' % self._run.origin.encode(), hexlify(said.hashes)
        before, skip = self._before, len(log) + 64  # to behind the hash of the policy
        for at, leaf in enumerate(leaves):
            head = b'"index":%d' % (first + at)
            index = leaf.find(log) - len(head)
            if index < 0 or not leaf.startswith(head, index):
                index = leaf.find(head + log)
            place = index + len(head) + skip
            if index < 0:
                wrong = ("index", "the leaf says that it stands at another index, or is of another log")
            elif before and not leaf.startswith(b'","prev":"' + before + b'","salt":"', place):
                wrong = ("prev", "the leaf does not name the one before it: one of the two changed")
            else:
                before = hashes[64 * at : 64 * at + 64]
                continue
            said.fault = (first + at, *wrong)
            return
        self._before = before

    def _hand(self, said: Bundle, first: int, leaves: list[bytes]) -> None:
        """Hand each leaf on, plain if it can be: all that are of one form at once."""
        said.leaves = list(leaves)
        hashes, by_type = hexlify(said.hashes), dict[bytes, list[int]]()
        for place, type_ in enumerate(map(sp.type_of, leaves)):
            by_type.setdefault(type_, []).append(place)
        before = [self._before, *[hashes[at : at + 64] for at in range(0, len(hashes), 64)]]
        for type_, places in by_type.items():
            how = self._known.get(type_)
            if how is not None:
                self._shorts.shorten(said.leaves, how, places, first, before)
        self._before = before[-1]


def _above(digests: list[bytes]) -> bytes:
    """Root over the hashes of a full tile, level by level."""
    while len(digests) > 1:
        each = iter(digests)
        digests = [sha256(b"\1" + left + right).digest() for left, right in zip(each, each, strict=True)]
    return digests[0]
