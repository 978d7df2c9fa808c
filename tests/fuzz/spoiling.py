"""Bytes that are nearly right: what somebody who wants a second spelling accepted would send."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hypothesis import strategies as st

SNIPPETS = [
    *[
        b" ",
        b"\n",
        b"\r\n",
        b"\t",
        b"\x00",
        b"\x0b",
        b"\x85",
        b"\xff",
        b"\xef\xbb\xbf",
        b"=",
        b"==",
        b"+",
        b"-0",
    ],
    *[b"0", b"00", b"1.0", b"1e0", b"9" * 17, b"9" * 5_000, b"9007199254740992", b"18446744073709551616"],
    *[
        b"null",
        b"true",
        b"NaN",
        b'""',
        b"[]",
        b"{}",
        b",",
        b"\\u0041",
        b"\\u0000",
        b"\\ud800",
        b"\\/",
        b"[" * 3_000,
    ],
    *[
        "\uff19".encode(),
        "\u0663".encode(),
        "\u212a".encode(),
        "\u017f".encode(),
        "\u0130".encode(),
        "\u2028".encode(),
        "\u200b".encode(),
    ],
    *[b"\xed\xa0\x80", b"\n\n", b"/", b"x001/" * 2_000, b";", b'"'],
]
"""White space, a byte order mark, other digits and letters that fold to ASCII, big and odd numbers, escapes,
halves of surrogate pairs, nesting.
"""
_VALUE = re.compile(rb'(?<=[:=,[ ])(?:"[^"\\]*"|true|false)|[0-9]+')
_MEMBER = re.compile(rb'"[^"\\]*":(?:"[^"\\]*"|[0-9]+|true|false)')


def nearly(good: bytes) -> Iterator[bytes]:
    """Good bytes with one change each: every snippet at either end, within, and in the place of values; every
    member once more; every bit of the last byte; half of it; the other case.
    """
    places = [
        *((at, at) for at in (0, len(good) // 2, len(good))),
        *_spans(_VALUE, good)[: 12 if len(good) < 4_000 else 3],
    ]
    for start, end in places:
        for snippet in SNIPPETS:
            yield good[:start] + snippet + good[end:]
    for start, end in _spans(_MEMBER, good):
        yield good[:start] + good[start:end] + b"," + good[start:]
    for bit in range(8 if good else 0):
        yield good[:-1] + bytes([good[-1] ^ 1 << bit])
    yield from (good[: len(good) // 2], good[:-1], good + good, good.swapcase())


def _spans(pattern: re.Pattern[bytes], data: bytes) -> list[tuple[int, int]]:
    return [found.span() for found in pattern.finditer(data)]


@st.composite
def spoiled(draw: st.DrawFn, good: st.SearchStrategy[bytes]) -> bytes:
    """Good bytes, changed in one to three places; now and then bytes that never were any good."""
    if draw(st.integers(0, 15)) == 0:
        return draw(
            st.binary(max_size=200) | st.text(max_size=80).map(lambda text: text.encode("utf-8", "ignore"))
        )
    data = draw(good)
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        data = draw(_changed(data))
    return data


@st.composite
def _changed(draw: st.DrawFn, data: bytes) -> bytes:
    """One change, at a place that is any byte, a value, or a member of an object."""
    start = draw(st.sampled_from([0, len(data)]) | st.integers(0, len(data)))
    end = min(len(data), start + draw(st.sampled_from([1, 1, 2, 8, 64])))
    members, values = _spans(_MEMBER, data), _spans(_VALUE, data)
    match draw(
        st.sampled_from(["flip", "cut", "double", "insert", "replace", "case", "value", "member", "drop"])
    ):
        case "flip" if start < end:
            return data[:start] + bytes([data[start] ^ 1 << draw(st.integers(0, 7))]) + data[start + 1 :]
        case "cut":
            return data[:start]
        case "double":
            return data[:end] + data[start:end] + data[end:]
        case "replace":
            return data[:start] + draw(st.sampled_from(SNIPPETS)) + data[end:]
        case "case":
            return data[:start] + data[start:end].swapcase() + data[end:]
        case "value" if values:
            first, last = draw(st.sampled_from(values))
            return data[:first] + draw(st.sampled_from(SNIPPETS) | _digits) + data[last:]
        case "member" if members:  # twice, in the same or in another place
            first, last = draw(st.sampled_from(members))
            place = draw(st.sampled_from(members))[0]
            return data[:place] + data[first:last] + b"," + data[place:]
        case "drop":
            return data[:start] + data[end:]
    return data[:start] + draw(st.sampled_from(SNIPPETS)) + data[start:]


_digits = st.integers(-1, 2**64).map(lambda number: str(number).encode())
