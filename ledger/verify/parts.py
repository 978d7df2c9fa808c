"""A run of bundles, read and checked by itself: what a process of the auditor hands to the one that replays.

Invariant: a leaf is handed on only after its hash stood in the hash tile beside its bundle. It is handed on
`plain`, as a few members, only when it is of a common form (`spellings`), stands at its index and names the
leaf before it; every other leaf is handed on whole, for the rules to say what is wrong with it, if anything
is. The first fault of a bundle's files ends the run, behind the leaves before it.

A plain leaf is a list: its form's number; numbers of its actor, its scope and its frame (see `Part`); `at`;
the number and hash of its person's chain; the person's tag; then what its lane in `lanes` takes.
"""

from __future__ import annotations

from binascii import hexlify, unhexlify
from collections.abc import Callable, Iterator
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

RUN: Final = 32
"""Bundles of a run."""

Mode: TypeAlias = Literal["plain", "whole", "linked"]
"""`plain`: common leaves in short, for replay. `whole`: every leaf whole, for details to be opened too.
`linked`: none is handed on, but each is held against the hash of the one before, without its form or meaning.
"""

Fault: TypeAlias = tuple[int | None, str, str]
"""What a Finding takes: index, rule, message."""


class Bundle(msgspec.Struct, array_like=True):
    """The leaves of a bundle up to its fault: plain ones as lists, others as bytes. `hashes` are of all its
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
        self._actors: tuple[dict[bytes | None, int], ...] = tuple({} for _ in sp.FORMS)
        self._scopes: dict[tuple[Any, ...], int] = {}
        self._part = Part(run.first, [], [], [], [])
        self._frame: tuple[bytes, bytes, bytes] = (b"", b"", b"")
        self._before = b""

    def part(self) -> Part:
        """Bundle by bundle, to the end of the run or the first fault."""
        run, part = self._run, self._part
        self._before = self._hash_before()
        for bundle in range(run.first, min(run.first + RUN, (run.size + WIDTH - 1) // WIDTH)):
            part.bundles.append(self._bundle(bundle))
            if part.bundles[-1].fault is not None:
                break
        part.scopes = list(self._scopes)
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
            for leaf in read_entries(self._directory, bundle, width):
                leaves.append(leaf)  # those before a fault count
        except Finding as wrong:
            said.fault = (wrong.index, wrong.rule, wrong.message)
            stored = stored[: len(leaves) * HASH_SIZE] if leaves else b""
        said.hashes = b"".join([sha256(b"\0" + leaf).digest() for leaf in leaves])
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
            said.above = _above(said.hashes)
        return said

    def _link(self, said: Bundle, first: int, leaves: list[bytes]) -> None:
        """Hold each leaf against its index and the hash before it, each at its place in canonical order."""
        log, hashes = b',"log":"%b","policy":"' % self._run.origin.encode(), hexlify(said.hashes)
        before = self._before
        for at, leaf in enumerate(leaves):
            head = b'"index":%d%b' % (first + at, log)
            place = leaf.find(head) + len(head) + 64  # behind the hash of the policy
            if place < len(head) + 64:
                wrong = ("index", "the leaf says that it stands at another index, or is of another log")
            elif before and leaf[place : place + 84] != b'","prev":"%b","salt":"' % before:
                wrong = ("prev", "the leaf does not name the one before it: one of the two changed")
            else:
                before = hashes[64 * at : 64 * at + 64]
                continue
            said.fault = (first + at, *wrong)
            return
        self._before = before

    def _hand(self, said: Bundle, first: int, leaves: list[bytes]) -> None:
        """Hand each leaf on, plain if it can be."""
        known, hashes, handed, before = self._known, hexlify(said.hashes), said.leaves, self._before
        for at, leaf in enumerate(leaves):
            found = sp.read(leaf, known)
            if (
                found is not None
                and found[1][sp.PREV] == before
                and found[1][sp.INDEX] == b"%d" % (first + at)
            ):
                handed.append(self._plain(*found))
            else:
                handed.append(leaf)
            before = hashes[64 * at : 64 * at + 64]
        self._before = before

    def _plain(self, form: int, groups: sp.Groups) -> list[Any]:
        """A leaf of a common form, in short."""
        part, at, by, scopes = self._part, groups[0], groups[-8], self._scopes
        policy, key, frame = groups[-6], groups[-4], self._frame
        if policy != frame[0] or key != frame[1] or not at.startswith(frame[2]):
            self._frame = (policy, key, at[:10])
            part.frames.append(self._frame)
        actor = self._actors[form].get(by)
        if actor is None:
            actor = self._actors[form][by] = len(part.actors)
            part.actors.append((form, by))
        scope, rest = _SHORT[form](groups)
        return [
            form,
            actor,
            scopes.setdefault(scope, len(scopes)),
            len(part.frames) - 1,
            at,
            int(groups[-3]),
            unhexlify(groups[-2]),
            groups[-1],
            *rest,
        ]


def _above(hashes: bytes) -> bytes:
    """Root over the hashes of a full tile, level by level."""
    while len(hashes) > HASH_SIZE:
        pairs = range(0, len(hashes), 2 * HASH_SIZE)
        hashes = b"".join([sha256(b"\1" + hashes[at : at + 2 * HASH_SIZE]).digest() for at in pairs])
    return hashes


def _uuid(text: bytes) -> bytes:
    return unhexlify(text.replace(b"-", b""))


_SHORT: Final[tuple[Callable[[sp.Groups], tuple[tuple[Any, ...], tuple[Any, ...]]], ...]] = (
    lambda g: ((0, g[3], g[1]), (int(g[2]), int(g[5]), _uuid(g[4]))),
    lambda g: ((1, g[4], g[1], g[3]), (int(g[2]), int(g[6]), _uuid(g[5]))),
    lambda g: ((2, g[1]), ()),
    lambda g: ((3, g[2], g[1], g[3]), (_uuid(g[4]),)),
    lambda g: ((4, g[2], g[1], g[3]), (_uuid(g[4]),)),
    lambda g: (
        (5, g[8], g[2], g[1], g[9], g[5], g[10]),
        (unhexlify(g[3]), unhexlify(g[4]), int(g[5]), g[7], g[6]),
    ),
    lambda g: ((6,), (int(g[1]),)),
    lambda g: ((7, g[3]), (unhexlify(g[1]), unhexlify(g[2]))),
    lambda g: ((8, g[2]), (int(g[1]),)),
)
"""Of each form: what the log says again and again, to be judged once; and what each leaf says by itself."""
