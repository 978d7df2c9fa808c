"""Shares of a root: enough of one backup restore it, and whatever else is said in words."""

from __future__ import annotations

import itertools
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.custody.shares import RootShare, format_share, join_shares, parse_share, split_root
from keys.errors import BadShare

ORIGIN, COPY, OTHER = (
    "credit.example.cn/log0",
    "0b9d5a52-7d1f-4c3e-9a52-3f1f5f0c8a11",
    "1b9d5a52-7d1f-4c3e-9a52-3f1f5f0c8a11",
)
ROOT = bytes(range(32))


def split(root: bytes = ROOT, copy: str = COPY, shares: int = 4, threshold: int = 3) -> tuple[RootShare, ...]:
    return split_root(root, ORIGIN, copy, shares, threshold)


def test_any_threshold_of_shares_restores_the_root_and_fewer_do_not() -> None:
    made = split()
    for some in itertools.permutations(made, 3):
        assert join_shares(some) == ROOT
    assert join_shares(made) == ROOT
    for some in itertools.combinations(made, 2):
        with pytest.raises(BadShare, match="3 shares are needed and 2 were given"):
            join_shares(some)
    with pytest.raises(BadShare, match="no share"):
        join_shares([])


@settings(max_examples=10)
@given(st.binary(min_size=32, max_size=32))
def test_a_share_survives_its_text(root: bytes) -> None:
    for share in split(root):
        assert parse_share(format_share(share)) == share


def test_a_share_typed_in_again_from_paper_is_read() -> None:
    share = split()[1]
    head, words = format_share(share).split("\n\n")
    typed = head + "\n\n" + "\r\n".join(words.upper().split()) + "\n\n"
    assert parse_share(typed) == share


def test_a_wrong_word_is_said_and_none_is_shown() -> None:
    """The whole of what is said: some words of the list, as "paper", are words of the message too."""
    share, compare = split()[1], "compare it with the paper"
    for place in range(33):
        words = list(share.words)
        for wrong, said in (
            ("zzz", f"word {place + 1} of share 2 of 4 is none of the list: {compare}"),
            ("", f"share 2 of 4 has 32 words in place of 33: {compare}"),
        ):
            words[place] = wrong
            text = format_share(RootShare(ORIGIN, COPY, 2, 4, 3, tuple(words)))
            with pytest.raises(BadShare) as refused:
                parse_share(text)
            assert str(refused.value) == said
        words[place] = "academic" if share.words[place] != "academic" else "acid"
        with pytest.raises(BadShare):
            parse_share(format_share(RootShare(ORIGIN, COPY, 2, 4, 3, tuple(words))))


def test_shares_that_do_not_belong_together_are_named() -> None:
    made, other = split(), split(copy=OTHER)
    with pytest.raises(BadShare, match="share 2 of 4 was given twice"):
        join_shares([made[0], made[1], made[1]])
    with pytest.raises(BadShare, match="share 3 of 4 is of another backup than share 1"):
        join_shares([made[0], made[1], other[2]])
    posing = RootShare(ORIGIN, COPY, 3, 4, 3, other[2].words)  # its heading was changed
    with pytest.raises(BadShare, match="share 3 of 4 is of another backup than share 1"):
        join_shares([made[0], made[1], posing])
    elsewhere = split_root(ROOT, "other.example.cn/log0", COPY, 4, 3)
    with pytest.raises(BadShare, match="another installation"):
        join_shares([made[0], made[1], elsewhere[2]])


def test_a_share_under_another_number_is_refused() -> None:
    share = split()[0]
    with pytest.raises(BadShare, match="those of another share"):
        parse_share(format_share(RootShare(ORIGIN, COPY, 2, 4, 3, share.words)))


@pytest.mark.parametrize("text", ["", "hello", "chengxin/root-share/v1\n", "chengxin/root-share/v1\nshare 1"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(BadShare, match="no share of a root key"):
        parse_share(text)


@pytest.mark.parametrize("threshold", ["9" * 5_000, "\uff13", "03", "0", "100"])
def test_a_threshold_in_other_digits_or_too_many_is_refused(threshold: str) -> None:
    text = format_share(split()[0]).replace("threshold     3", f"threshold     {threshold}")
    with pytest.raises(BadShare, match="no share of a root key"):
        parse_share(text)


@pytest.mark.parametrize(("shares", "threshold"), [(1, 1), (5, 1), (2, 3), (17, 3), (0, 0)])
def test_a_threshold_out_of_bounds_is_refused(shares: int, threshold: int) -> None:
    with pytest.raises(BadShare, match="threshold"):
        split_root(os.urandom(32), ORIGIN, COPY, shares, threshold)


def test_no_repr_shows_a_word() -> None:
    """By the words alone two splits differ; some of the words to draw from are also words of any repr."""
    one, other = split()[0], split()[0]
    assert one.words != other.words
    assert repr(one) == repr(other)
