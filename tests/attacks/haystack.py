"""Looking for words in bytes, in every spelling that software gives them on the way.

Invariant: a word is found wherever its characters stand together in one of the `spellings`, whatever stands
before and after it. No spelling may be shorter than `PREFIX` bytes, so that ciphertext holds none by chance:
ten megabytes of it hold one of a thousand six-byte patterns once in twenty-eight thousand runs.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

PREFIX = 6


class Hit(NamedTuple):
    """A word found: where, which, and in which spelling."""

    place: str
    word: str
    spelling: str


def spellings(word: str) -> dict[str, bytes]:
    """Name of a spelling -> the bytes; a spelling that another one equals is left out."""
    units = word.encode("utf-16-be").hex()
    escaped = "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))
    texts = {
        "utf-8": word.encode(),
        "utf-16-le": word.encode("utf-16-le"),
        "utf-16-be": word.encode("utf-16-be"),
        "gb18030": word.encode("gb18030"),
        "json": escaped.encode(),
        "JSON": escaped.upper().replace("\\U", "\\u").encode(),
    }
    found: dict[bytes, str] = {}
    for text, data in texts.items():
        for form, spelled in _forms(data):
            found.setdefault(spelled, f"{text} {form}")
    return {name: spelled for spelled, name in found.items()}


def _forms(data: bytes) -> Iterator[tuple[str, bytes]]:
    yield "raw", data
    yield "reversed", data[::-1]
    yield "hex", data.hex().encode()
    yield "HEX", data.hex().upper().encode()
    yield "percent", "".join(f"%{byte:02x}" for byte in data).encode()
    yield "PERCENT", "".join(f"%{byte:02X}" for byte in data).encode()
    for offset in range(3):
        core = _base64_core(data, offset)
        yield f"base64+{offset}", core
        yield f"base64url+{offset}", core.translate(bytes.maketrans(b"+/", b"-_"))


def _base64_core(data: bytes, offset: int) -> bytes:
    """The base64 digits that `data` alone decides when `offset` bytes of a group stand before it."""
    encoded = base64.b64encode(bytes(offset) + data + bytes(2))
    first = -(-8 * offset // 6)
    return encoded[first : 8 * (offset + len(data)) // 6]


class Searcher:
    """Looks for many words at once: one pass, a look-up of six bytes at each position."""

    def __init__(self, words: Iterable[str]) -> None:
        self._by_prefix: dict[bytes, list[tuple[bytes, str, str]]] = defaultdict(list)
        for word in words:
            for spelling, spelled in spellings(word).items():
                if len(spelled) < PREFIX:
                    raise ValueError(f"too short to be told from chance: {spelling}")
                self._by_prefix[spelled[:PREFIX]].append((spelled, word, spelling))

    def search(self, places: Mapping[str, bytes]) -> set[Hit]:
        """Every word in every place."""
        return {hit for place, data in places.items() for hit in self._in(place, data)}

    def _in(self, place: str, data: bytes) -> Iterator[Hit]:
        known = self._by_prefix
        for at in range(len(data) - PREFIX + 1):
            if data[at : at + PREFIX] in known:
                for spelled, word, spelling in known[data[at : at + PREFIX]]:
                    if data.startswith(spelled, at):
                        yield Hit(place, word, spelling)
