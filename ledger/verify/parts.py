"""A run of bundles, read and checked by itself: what a process of the auditor hands to the one that replays.

Invariant: a leaf is handed on only after its hash stood in the hash tile beside its bundle. It is handed on
`plain`, as a few members, only when it is of a common form (`spellings`), stands at its index and names the
leaf before it; every other leaf is handed on whole, for the rules to say what is wrong with it, if anything
is. The first fault of a bundle's files ends the run, behind the leaves before it.
"""

from __future__ import annotations

from binascii import hexlify, unhexlify
from collections.abc import Callable, Iterable, Iterator
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
_LOG, _PREV, _SALT = b',"log":"', b'","prev":"', b'","salt":"'

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
    """A run from bundle `first` on, its bundles to be taken once, and what its plain leaves share: (form,
    actor), (form, what is asked), (policy, sealing key, day).
    """

    first: int
    bundles: Iterable[Bundle]
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
    return _Reading(run).part(lambda bundle: bundle)


class _Sent(msgspec.Struct, array_like=True):
    """A part, its bundles still packed: unpacked one by one, each is taken while it is in the cache."""

    first: int
    bundles: list[msgspec.Raw]
    actors: list[tuple[int, bytes | None]]
    scopes: list[tuple[Any, ...]]
    frames: list[tuple[bytes, bytes, bytes]]


_encoder: Final = msgspec.msgpack.Encoder()
_sent: Final = msgspec.msgpack.Decoder(_Sent)
_bundle: Final = msgspec.msgpack.Decoder(Bundle)


def read_packed(run: Run) -> bytes:
    """The same, packed to be sent."""
    return _encoder.encode(_Reading(run).part(lambda bundle: msgspec.Raw(_encoder.encode(bundle))))


def unpack(packed: bytes) -> Part:
    """A part as `read_packed` packed it."""
    sent = _sent.decode(packed)
    return Part(sent.first, map(_bundle.decode, sent.bundles), sent.actors, sent.scopes, sent.frames)


class _Reading:
    """One run being read."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._directory = Path(run.directory)
        self._known = sp.spellings(run.origin)
        self._part = Part(run.first, [], [], [], [])
        self._shorts = Shorts(self._part.actors, self._part.scopes, self._part.frames)
        self._before = b""

    def part(self, hand: Callable[[Bundle], Any]) -> Part:
        """Bundle by bundle, as `hand` hands them on, to the end of the run or the first fault."""
        run, part, bundles = self._run, self._part, list[Any]()
        part.bundles, self._before = bundles, self._hash_before()
        for bundle in range(run.first, min(run.first + RUN, (run.size + WIDTH - 1) // WIDTH)):
            said = self._bundle(bundle)
            bundles.append(hand(said))
            if said.fault is not None:
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
        mode = self._run.mode
        if mode == "linked":
            self._link(said, first, leaves)
        else:
            said.leaves = leaves
        if mode == "plain":
            self._shorts.shorten(leaves, self._known, first, digests, unhexlify(self._before))
            self._before = hexlify(said.hashes[-HASH_SIZE:]) or self._before
        if said.fault is None and width == WIDTH:
            said.above = _above(digests)
            if mode == "linked":
                said.hashes = b""  # nobody asks for them any more
        return said

    def _link(self, said: Bundle, first: int, leaves: list[bytes]) -> None:
        """Hold each leaf against its index and the hash before it, each at its place in canonical order."""
        log, hashes = b',"log":"%b","policy":"' % self._run.origin.encode(), hexlify(said.hashes)
        before, self._before = self._before, hashes[-64:] or self._before
        if before and _all_linked(leaves, log, first, before + hashes[:-64]):
            return
        for at, leaf in enumerate(leaves):
            wrong = _unlinked(leaf, log, first + at, before)
            if wrong is not None:
                said.fault = (first + at, *wrong)
                return
            before = hashes[64 * at : 64 * at + 64]


def _all_linked(leaves: list[bytes], log: bytes, first: int, before: bytes) -> bool:
    """Whether `_unlinked` would say nothing of any of them; all at once, for a fraction of the cost. `before`
    are the hex hashes of the leaves before each. False where it cannot tell.

    Every slice has the length of its part of what it is held against, or less: so the whole is equal only if
    each is.
    """
    places = [leaf.find(_LOG) for leaf in leaves]  # a short pattern without hex digits is found soonest
    head, many = len(b'"index":%d' % first), len(leaves)
    if min(places, default=0) < head:  # slices would count from the end
        return False
    policy, prev, salt = len(log), len(log) + 64, len(log) + 64 + len(_PREV) + 64 + len(_SALT)
    found = [leaf[place - head : place + policy] for leaf, place in zip(leaves, places, strict=True)]
    wanted = (b'"index":%d' + log.replace(b"%", b"%%")) * many % tuple(range(first, first + many))
    if b"".join(found) != wanted:
        return False
    found = [leaf[place + prev : place + salt] for leaf, place in zip(leaves, places, strict=True)]
    each = (before[at : at + 64] for at in range(0, len(before), 64))
    return b"".join(found) == _PREV + (_SALT + _PREV).join(each) + _SALT


def _unlinked(leaf: bytes, log: bytes, index: int, before: bytes) -> tuple[str, str] | None:
    """Which rule a leaf breaks by its index, or by the hash that it names if `before` is known, and how."""
    head = b'"index":%d' % index
    place = leaf.find(log) - len(head)
    if place < 0 or not leaf.startswith(head, place):
        place = leaf.find(head + log)
    behind = place + len(head) + len(log) + 64  # the hash of the policy
    if place < 0:
        return "index", "the leaf says that it stands at another index, or is of another log"
    if before and not leaf.startswith(_PREV + before + _SALT, behind):
        return "prev", "the leaf does not name the one before it: one of the two changed"
    return None


def _above(digests: list[bytes]) -> bytes:
    """Root over the hashes of a full tile, level by level."""
    while len(digests) > 1:
        each = iter(digests)
        digests = [sha256(b"\1" + left + right).digest() for left, right in zip(each, each, strict=True)]
    return digests[0]
