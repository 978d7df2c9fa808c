"""A bundle's leaves are linked all at once exactly where each of them is by itself."""

from __future__ import annotations

from binascii import hexlify
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.merkle import leaf_hash
from ledger.tiles import WIDTH, parse_bundle, tile_path
from ledger.verify.parts import _all_linked, _unlinked, read_packed, read_part, runs, unpack
from tests.bench.biglog import ORIGIN, make_log

LEAVES = 5 * WIDTH
FIRST = 2 * WIDTH
LOG = b',"log":"%b","policy":"' % ORIGIN.encode()


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("parts") / "log"
    make_log(directory, LEAVES)
    return directory


def bundle(log: Path, number: int) -> list[bytes]:
    return list(parse_bundle((log / tile_path("entries", number)).read_bytes()))


def hashes_before(log: Path) -> bytes:
    """Of each leaf of the bundle from FIRST on, the one before it, in hex."""
    leaves = [*bundle(log, FIRST // WIDTH - 1)[-1:], *bundle(log, FIRST // WIDTH)[:-1]]
    return b"".join(hexlify(leaf_hash(leaf)) for leaf in leaves)


def each_by_itself(leaves: list[bytes], before: bytes, first: int = FIRST) -> list[bool]:
    return [
        _unlinked(leaf, LOG, first + at, before[64 * at : 64 * at + 64]) is None
        for at, leaf in enumerate(leaves)
    ]


def test_a_bundle_in_order_is_linked_at_once(log: Path) -> None:
    leaves, before = bundle(log, FIRST // WIDTH), hashes_before(log)
    assert all(each_by_itself(leaves, before))
    assert _all_linked(leaves, LOG, FIRST, before)


INNER = b'"index":%d' + LOG.replace(b"%", b"%%") + b"0" * 64 + b'","prev":"%b","salt":"'

CHANGES = {
    "another index": lambda leaf, at, _: leaf.replace(b'"index":%d,' % (FIRST + at), b'"index":999,'),
    "an index to the right": lambda leaf, at, _: leaf.replace(b'"index":', b'"index":0'),
    "another log": lambda leaf, *_: leaf.replace(LOG, LOG.replace(b"log0", b"log1")),
    "another prev": lambda leaf, _, before: leaf.replace(before, before[::-1]),
    "no prev": lambda leaf, _, before: leaf.replace(b'"prev":"%b",' % before, b""),
    "a longer policy": lambda leaf, *_: leaf.replace(LOG, LOG + b"0"),
    "cut": lambda leaf, *_: leaf[: leaf.find(LOG) + 20],
    "cut in prev": lambda leaf, _, before: leaf[: leaf.find(before) + 10],
    "empty": lambda *_: b"",
    "a salt first": lambda leaf, *_: leaf.replace(b'","salt":"', b'", "salt":"'),
    "the wrong one inside, the right one behind": lambda leaf, at, before: leaf.replace(
        b'"body":{', b'"body":{' + INNER % (FIRST + at, before[::-1]) + b'",'
    ),
    "the right one inside, none behind": lambda leaf, at, before: leaf.replace(
        LOG, b',"log":"","policy":"'
    ).replace(b'"body":{', b'"body":{' + INNER % (FIRST + at, before) + b'",'),
    "in a text inside": lambda leaf, at, before: leaf.replace(before, before[::-1]).replace(
        b'"body":{', b'"body":{"x":"' + (INNER % (FIRST + at, before)).replace(b'"', b'\\"') + b'",'
    ),
    "all of it at the end": lambda leaf, at, before: (
        leaf.replace(LOG, b"") + INNER % (FIRST + at, before)
    ),
}  # fmt: skip


@pytest.mark.parametrize("place", [0, 1, 130, WIDTH - 1])
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_never_passed_over(log: Path, name: str, place: int) -> None:
    leaves, before = bundle(log, FIRST // WIDTH), hashes_before(log)
    changed = CHANGES[name](leaves[place], place, before[64 * place : 64 * place + 64])
    assert changed != leaves[place]
    leaves[place] = changed
    by_itself = each_by_itself(leaves, before)
    assert by_itself.count(False) <= 1
    if not by_itself[place]:
        assert not _all_linked(leaves, LOG, FIRST, before)


@given(st.data())
def test_letters_moved_from_one_leaf_to_the_next_are_never_passed_over(
    log: Path, data: st.DataObject
) -> None:
    """What is held together is as long as before, and differs in each."""
    leaves, before = bundle(log, FIRST // WIDTH), hashes_before(log)
    at, count = data.draw(st.integers(0, WIDTH - 2)), data.draw(st.integers(1, 300))
    leaves[at], leaves[at + 1] = leaves[at][:-count], leaves[at][-count:] + leaves[at + 1]
    assert _all_linked(leaves, LOG, FIRST, before) <= all(each_by_itself(leaves, before))


def test_where_indexes_become_longer_each_is_asked(log: Path) -> None:
    leaves = bundle(log, 1000 // WIDTH)
    before = b"".join(
        hexlify(leaf_hash(leaf)) for leaf in [*bundle(log, 1000 // WIDTH - 1)[-1:], *leaves[:-1]]
    )
    first = 1000 // WIDTH * WIDTH
    assert all(each_by_itself(leaves, before, first))
    assert not _all_linked(leaves, LOG, first, before)


@pytest.mark.parametrize("mode", ["plain", "whole", "linked"])
def test_what_is_sent_is_what_was_read(log: Path, mode) -> None:
    run = next(runs(log, ORIGIN, LEAVES, mode))
    read, sent = read_part(run), unpack(read_packed(run))
    for ours, theirs in zip(read.bundles, sent.bundles, strict=True):
        assert [tuple(leaf) if isinstance(leaf, list) else leaf for leaf in theirs.leaves] == ours.leaves
        assert (theirs.hashes, theirs.above, theirs.fault) == (ours.hashes, ours.above, ours.fault)
    assert (sent.first, sent.actors, sent.scopes, sent.frames) == (
        read.first, [*map(tuple, read.actors)], [tuple(scope) for scope in read.scopes], read.frames
    )  # fmt: skip
