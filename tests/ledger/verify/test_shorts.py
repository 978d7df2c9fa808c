"""What is put in short is what its leaf says; a leaf that is not as it should be stays whole, beside others
that are.
"""

from __future__ import annotations

from binascii import hexlify, unhexlify
from typing import Any

import pytest

from ledger.entries import format_leaf, parse_leaf
from ledger.verify.persons import LINK
from ledger.verify.shorts import Shorts
from ledger.verify.spellings import FORMS
from tests.ledger.verify.test_spellings import HEX, KNOWN, TAGGED, UUID, common

REFUSED = FORMS[2]
BODY = {"query": UUID, "reason": "no-consent", "purpose": "02"}
FIRST = 512


def written(places: int = 5) -> list[bytes]:
    """Leaves of one form, each at its index."""
    return [format_leaf(common(REFUSED, BODY, index=FIRST + place)) for place in range(places)]


HASH = unhexlify(HEX)
"""Of every leaf here, and of the one before them."""


def shortened(shorts: Shorts, leaves: list[bytes], before: bytes = HASH) -> list[Any]:
    """The same, those in short that can be."""
    handed = list[Any](leaves)
    shorts.shorten(handed, KNOWN, FIRST, [HASH] * len(leaves), before)
    return handed


def test_a_row_says_what_the_leaf_says() -> None:
    actors: list[Any] = []
    scopes: list[Any] = []
    frames: list[Any] = []
    handed = shortened(Shorts(actors, scopes, frames), written())
    leaf = parse_leaf(written()[3])
    links = (LINK.pack(2, HASH), LINK.pack(3, HASH))
    assert handed[3] == (2, 0, 0, 0, leaf.at.encode(), *links, TAGGED.encode())
    assert len(set(handed)) == 1  # they differ in their index alone, which their place says
    assert (actors[0][0], scopes, frames) == (
        2,
        [(2, b"02")],
        [(HEX.encode(), UUID.encode(), b"2026-11-21")],
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (HEX.encode(), HEX.upper().encode()),
        (b'"sha256":"ab', b'"sha256":"a-'),
        (UUID.encode(), UUID.upper().encode()),
        (b"3f0c1f3e-9a35", b"3f0c1f-e-9a35"),
        (b"3f0c1f3e-9a35", b"3f0c1f3e\xff9a35"),
        (b'"purpose":"02"', b'"purpose":"0x"'),
        (b'"index":514', b'"index":515'),
        (b'"prev":"ab', b'"prev":"ac'),
    ],
    ids=["upper", "dash", "upper-id", "dash-in-id", "no-dash", "purpose", "index", "prev"],
)
def test_one_leaf_that_is_not_as_it_should_be_stays_whole(old: bytes, new: bytes) -> None:
    leaves = written()
    assert old in leaves[2]
    leaves[2] = leaves[2].replace(old, new, 1)
    handed = shortened(Shorts([], [], []), leaves)
    assert [type(each) for each in handed] == [tuple, tuple, bytes, tuple, tuple]
    assert handed[2] == leaves[2]


def test_without_the_hash_before_it_a_leaf_stays_whole() -> None:
    handed = shortened(Shorts([], [], []), written(), before=b"")
    assert [type(each) for each in handed] == [bytes, tuple, tuple, tuple, tuple]
    assert handed[0] == written()[0]


def test_leaves_of_several_days_and_policies_have_each_their_frame() -> None:
    frames: list[Any] = []
    leaves = written()
    leaves[1] = leaves[1].replace(b'"at":"2026-11-21', b'"at":"2026-11-22')
    leaves[3] = leaves[3].replace(b'"policy":"' + HEX.encode(), b'"policy":"' + hexlify(bytes(32)))
    handed = shortened(Shorts([], [], frames), leaves)
    assert [frames[each[3]] for each in handed] == [
        (policy, UUID.encode(), day)
        for policy, day in (
            (HEX.encode(), b"2026-11-21"),
            (HEX.encode(), b"2026-11-22"),
            (HEX.encode(), b"2026-11-21"),
            (hexlify(bytes(32)), b"2026-11-21"),
            (HEX.encode(), b"2026-11-21"),
        )
    ]
    assert len(frames) == 3
