"""Every parser of the packages with its formatter: how to read bytes with one, and write them with the other.

Invariant: a parser accepts exactly what its formatter emits, and refuses everything else with one declared
error. Where more than one spelling is right, `free` says why; then reading what was written gives it again.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

T = TypeVar("T")
PLAIN = "utf-8", "surrogateescape"
"""As arguments of a command arrive: bytes that are no UTF-8 become halves of surrogate pairs."""


class NotEven(Exception):
    """The bytes are not even of the kind that the parser takes: no JSON object."""


@dataclass(frozen=True)
class Pair:
    """A parser and its formatter.

    `read` and `write` are both over bytes; `plain` is what `write` should give of what `read` accepted, which
    is those bytes unless the parser takes values. `refuses` is the error that the parser declares.
    """

    parser: Callable[..., Any]
    formatter: Callable[..., Any]
    refuses: type[Exception]
    values: st.SearchStrategy[Any] = field(repr=False)
    read: Callable[[bytes], Any] = field(repr=False)
    write: Callable[[Any], bytes] = field(repr=False)
    plain: Callable[[bytes], bytes] = field(default=bytes, repr=False)
    same: Callable[[Any, Any], bool] = field(default=operator.eq, repr=False)
    free: str = ""

    @property
    def name(self) -> str:
        return f"{self.parser.__module__}:{self.parser.__name__}"

    @property
    def good(self) -> st.SearchStrategy[bytes]:
        """What the formatter writes."""
        return self.values.map(self.write)


def of_bytes(
    parser: Callable[..., Any],
    formatter: Callable[..., bytes],
    refuses: type[Exception],
    values: st.SearchStrategy[Any],
    *more: Any,
    free: str = "",
) -> Pair:
    """A parser of bytes; `more` are its further arguments."""
    return Pair(parser, formatter, refuses, values, lambda data: parser(data, *more), formatter, free=free)


def of_text(
    parser: Callable[[str], Any],
    formatter: Callable[..., str],
    refuses: type[Exception],
    values: st.SearchStrategy[Any],
    *,
    spread: bool = False,
    free: str = "",
) -> Pair:
    """A parser of text; `spread` when the formatter takes the members of a tuple as its arguments."""
    written = (lambda value: formatter(*value)) if spread else formatter
    return Pair(
        parser,
        formatter,
        refuses,
        values,
        lambda data: parser(data.decode(*PLAIN)),
        lambda value: written(value).encode(*PLAIN),
        free=free,
    )


def of_members(
    parser: Callable[..., Any],
    formatter: Callable[..., Any],
    refuses: type[Exception],
    values: st.SearchStrategy[Any],
    *,
    read: Callable[[dict[str, Any]], Any] | None = None,
    write: Callable[[Any], Any] | None = None,
    same: Callable[[Any, Any], bool] = operator.eq,
    free: str = "",
) -> Pair:
    """A parser of a JSON object that somebody else has read, with more than the house's JSON in it."""
    taken, given = read or parser, write or formatter
    return Pair(
        parser,
        formatter,
        refuses,
        values,
        lambda data: taken(an_object(data)),
        lambda value: dumped(given(value)),
        lambda data: dumped(an_object(data)),
        same,
        free,
    )


def examples(strategy: st.SearchStrategy[T], count: int) -> list[T]:
    """The same few values of a strategy in every run."""
    found: list[T] = []

    @settings(
        max_examples=count,
        database=None,
        derandomize=True,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value: T) -> None:
        found.append(value)

    collect()
    return found


def an_object(data: bytes) -> dict[str, Any]:
    """Any JSON object, null, floats and lone surrogates included."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise NotEven from None
    if not isinstance(found, dict):
        raise NotEven
    return found


def dumped(members: Any) -> bytes:
    """One spelling of JSON values, in which 1, 1.0 and true differ."""
    return json.dumps(members, sort_keys=True).encode()


def accepts(pair: Pair, data: bytes) -> bool:
    """Whether the parser accepts these bytes. AssertionError if it should not have.

    Anything that it raises and did not declare comes out as it is.
    """
    try:
        value = pair.read(data)
    except (pair.refuses, NotEven):
        return False
    written = pair.write(value)
    if pair.free:
        again = pair.read(written)
        assert pair.same(again, value), f"{pair.name}: reads otherwise what was written of what it read"
        assert pair.write(again) == written, f"{pair.name}: writes the same value in two ways"
    else:
        assert written == pair.plain(data), f"{pair.name}: accepts what its formatter would not emit"
    return True
