"""What is put in short is what its leaf says; a leaf that is not as it should be stays whole, beside others
that are.
"""

from __future__ import annotations

from binascii import unhexlify
from typing import Any

import pytest

from ledger.entries import format_leaf, parse_leaf
from ledger.verify.shorts import Shorts
from ledger.verify.spellings import FORMS
from tests.ledger.verify.test_spellings import HEX, KNOWN, TAGGED, UUID, common

REFUSED = FORMS[2]
BODY = {"query": UUID, "reason": "no-consent", "purpose": "02"}
FIRST = 512


def written(places: int = 5) -> list[bytes]:
    """Leaves of one form, each at its index."""
    return [format_leaf(common(REFUSED, BODY, index=FIRST + place)) for place in range(places)]


def shortened(shorts: Shorts, leaves: list[bytes], before: bytes = HEX.encode()) -> list[Any]:
    """The same, those in short that can be."""
    handed, how = list[Any](leaves), KNOWN[REFUSED.type.encode()]
    shorts.shorten(handed, how, list(range(len(leaves))), FIRST, [before] * len(leaves))
    return handed


def test_a_row_says_what_the_leaf_says() -> None:
    actors: list[Any] = []
    scopes: list[Any] = []
    frames: list[Any] = []
    handed = shortened(Shorts(actors, scopes, frames), written())
    leaf = parse_leaf(written()[3])
    assert handed[3] == (2, 0, 0, 0, leaf.at.encode(), 3, unhexlify(HEX), TAGGED.encode())
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
    assert shortened(Shorts([], [], []), written(), before=b"") == written()
