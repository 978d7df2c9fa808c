"""Shares of a root key (SLIP-39): words on paper for several holders, some of whom restore it together.

Invariant: fewer than `threshold` shares say nothing of the root; a share with a wrong word is refused by its
own checksum, and shares of two backups never combine. No message holds a word.

    chengxin/root-share/v1
    installation  <origin>
    copy          <uuid of the backup>
    share         2 of 5
    threshold     3

    <33 words, four to a line>

SLIP-39's own passphrase is left empty: it is not authenticated (any passphrase "opens" to some secret), it
would be one more secret that must not be lost, and the shares are protected by being apart. Randomness is the
operating system's, taken inside the reference implementation (PyPI `shamir-mnemonic`).
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from shamir_mnemonic import combine_mnemonics, generate_mnemonics
from shamir_mnemonic.share import Share
from shamir_mnemonic.utils import MnemonicError
from shamir_mnemonic.wordlist import WORD_INDEX_MAP

from keys.custody.sealed_file import SECRET_BYTES
from keys.errors import BadShare

MOST_SHARES: Final = 16
WORDS: Final = 33
"""Words of a share of a 32-byte secret."""

_TYPE = "chengxin/root-share/v1"
_COLUMNS = 4
_LABEL = 14
_ORIGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:/_-]{0,199}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OF = re.compile(r"([1-9][0-9]?) of ([1-9][0-9]?)")
_THRESHOLD = re.compile(r"[1-9][0-9]?")


@dataclass(frozen=True, slots=True)
class RootShare:
    """One holder's share: number `number` of `shares`, of the backup `copy` of the installation `origin`."""

    origin: str
    copy: str
    number: int
    shares: int
    threshold: int
    words: tuple[str, ...] = field(repr=False)


def split_root(root: bytes, origin: str, copy: str, shares: int, threshold: int) -> tuple[RootShare, ...]:
    """`shares` shares of a 32-byte root, any `threshold` of which restore it; checked before handed out.

    Raises BadShare for numbers out of bounds: a threshold of 1 would make every holder the root.
    """
    if not 2 <= threshold <= shares <= MOST_SHARES:
        raise BadShare(f"choose a threshold of at least 2 and at most {MOST_SHARES} shares, no fewer than it")
    (mnemonics,) = generate_mnemonics(1, [(threshold, shares)], root, iteration_exponent=0)
    made = tuple(
        RootShare(origin, copy, number, shares, threshold, tuple(words.split()))
        for number, words in enumerate(mnemonics, start=1)
    )
    for first in range(shares):
        some = [made[(first + step) % shares] for step in range(threshold)]
        if not hmac.compare_digest(join_shares(some), root):
            raise BadShare("the shares do not give the root back: nothing was written, try again")
    return made


def join_shares(shares: Sequence[RootShare]) -> bytes:
    """The root (32 bytes) that these shares restore. Raises BadShare, which says what is wrong with which.

    More shares than the threshold are welcome: those beyond it must fit too.
    """
    if not shares:
        raise BadShare("no share was given")
    first = shares[0]
    _require_one_set(shares)
    if len(shares) < first.threshold:
        raise BadShare(f"{first.threshold} shares are needed and {len(shares)} were given: give more of them")
    roots = {_combined([*shares[: first.threshold - 1], other]) for other in shares[first.threshold - 1 :]}
    if len(roots) != 1:
        raise BadShare("the shares contradict each other: leave one out at a time to find which")
    return roots.pop()


def _require_one_set(shares: Sequence[RootShare]) -> None:
    first, seen = shares[0], set()
    identifier = _read(first).common_parameters()
    for share in shares:
        named = f"share {share.number} of {share.shares}"
        if share.number in seen:
            raise BadShare(f"{named} was given twice: give another one in its place")
        seen.add(share.number)
        if share.origin != first.origin:
            raise BadShare(f"{named} is of another installation than share {first.number}")
        fits = (share.copy, share.shares, share.threshold) == (first.copy, first.shares, first.threshold)
        if not fits or _read(share).common_parameters() != identifier:
            raise BadShare(
                f"{named} is of another backup than share {first.number}: give shares of one backup"
            )


def _combined(shares: Sequence[RootShare]) -> bytes:
    try:
        root: bytes = combine_mnemonics(" ".join(share.words) for share in shares)
    except MnemonicError:
        raise BadShare("the shares do not fit together: one of them was altered") from None
    if len(root) != SECRET_BYTES:
        raise BadShare("the shares are of a secret that is no root key")
    return root


def format_share(share: RootShare) -> str:
    """The text of one share, to be printed and kept apart from the others."""
    width = max(map(len, share.words)) + 2
    lines = [
        "".join(word.ljust(width) for word in share.words[start : start + _COLUMNS]).rstrip()
        for start in range(0, len(share.words), _COLUMNS)
    ]
    head = {
        "installation": share.origin,
        "copy": share.copy,
        "share": f"{share.number} of {share.shares}",
        "threshold": str(share.threshold),
    }
    named = [f"{name:<{_LABEL}}{value}" for name, value in head.items()]
    return "\n".join([_TYPE, *named, "", *lines]) + "\n"


def parse_share(text: str) -> RootShare:
    """The share in this text. Raises BadShare, which says what is wrong with it.

    Space and case count for nothing: it may have been typed in again from paper.
    """
    lines = [line.split(None, 1) for line in text.lower().splitlines() if line.strip()]
    heads = ("installation", "copy", "share", "threshold")
    if [line[0] for line in lines[:5]] != [_TYPE, *heads] or any(len(line) != 2 for line in lines[1:5]):
        raise BadShare("this is no share of a root key, or its first five lines were changed")
    origin, copy, of, threshold = (line[1].strip() for line in _cased(text)[1:5])
    numbers = _OF.fullmatch(of.lower())
    if not (
        numbers
        and _THRESHOLD.fullmatch(threshold)
        and _ORIGIN.fullmatch(origin)
        and _UUID.fullmatch(copy.lower())
    ):
        raise BadShare("this is no share of a root key, or its first five lines were changed")
    words = tuple(word for line in lines[5:] for word in " ".join(line).split())
    share = RootShare(origin, copy.lower(), int(numbers[1]), int(numbers[2]), int(threshold), words)
    _require_sound(share)
    return share


def _cased(text: str) -> list[list[str]]:
    return [line.split(None, 1) for line in text.splitlines() if line.strip()]


def _require_sound(share: RootShare) -> None:
    """The words are a share by their checksum, and the very one that the lines above them speak of."""
    named = f"share {share.number} of {share.shares}"
    if len(share.words) != WORDS:
        raise BadShare(f"{named} has {len(share.words)} words in place of {WORDS}: compare it with the paper")
    for place, word in enumerate(share.words, start=1):
        if word not in WORD_INDEX_MAP:
            raise BadShare(f"word {place} of {named} is none of the list: compare it with the paper")
    found = _read(share)
    if (found.index + 1, found.member_threshold) != (share.number, share.threshold):
        raise BadShare(f"the words of {named} are those of another share")


def _read(share: RootShare) -> Share:
    try:
        return Share.from_mnemonic(" ".join(share.words))
    except MnemonicError:
        named = f"share {share.number} of {share.shares}"
        raise BadShare(
            f"a word of {named} is wrong: its checksum does not hold, compare it with the paper"
        ) from None
