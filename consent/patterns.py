"""Patterns for document numbers (文书编号): a small part of regular expressions, whose worst case is known.

Invariant: a pattern that `check_pattern` accepts means the same to every reader of the bundle, names each
character that it lets through, and is tried on any input in no more than `MAX_STEPS` steps. Allowed are
plain characters, an escaped one of `\\ . ^ $ * + ? { } [ ] ( ) | -`, classes of characters and ranges, groups
`( )` and `(?: )`, `|`, and the repeats `? {n} {m,n} * +`. Not allowed: `.`, `^`, `$` (the whole number is
matched anyway), negated classes, empty groups and branches, `{0}`, `\\d` and its kin (they match digits of
every script), look-around, back references, lazy and possessive repeats.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

MAX_PATTERN = 200
"""Characters of a pattern."""
MAX_INPUT = 64
"""Characters of a document number."""
MAX_STEPS = 10_000
"""Characters that a matcher which goes back and tries every way may hold against a pattern, at worst."""

_SPECIAL = frozenset("\\.^$*+?{}[]()|")
_ESCAPABLE = _SPECIAL | {"-"}
_BOUNDS = re.compile(r"\{([0-9]{1,3})(,([0-9]{1,3})?)?\}")


def check_pattern(pattern: str) -> None:
    """Raises ValueError, in words, for a pattern that is not of the allowed part or could be slow."""
    if not pattern or len(pattern) > MAX_PATTERN:
        raise ValueError(f"a document pattern has 1 to {MAX_PATTERN} characters")
    if not pattern.isprintable():
        raise ValueError("a document pattern holds a character that cannot be seen")
    _Reader(pattern).read()
    try:
        re.compile(pattern)
    except (re.error, OverflowError):
        raise ValueError("a document pattern is no regular expression") from None


def matches(pattern: str, text: str) -> bool:
    """Whether the whole of `text`, 64 characters at most, is of a checked pattern."""
    return len(text) <= MAX_INPUT and _compiled(pattern).fullmatch(text) is not None


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


class _Cost(NamedTuple):
    """Of a part of a pattern: in how many ways it may match from one place, and the steps to try them all."""

    paths: int
    steps: int


def _bounded(paths: int, steps: int) -> _Cost:
    if max(paths, steps) > MAX_STEPS:
        raise ValueError("a document pattern leaves too much open: bound its repeats, nest none in another")
    return _Cost(paths, steps)


class _Reader:
    """Reads a pattern once, left to right, and counts what it may cost. Each part takes a step at least, as
    nothing is empty: else repeats within repeats of nothing would be steps that nobody counted.
    """

    def __init__(self, pattern: str) -> None:
        self._text, self._at = pattern, 0

    def read(self) -> None:
        self._branches()
        if self._at < len(self._text):
            raise ValueError("a document pattern closes a group that it never opened")

    def _next(self) -> str:
        return self._text[self._at] if self._at < len(self._text) else ""

    def _take(self) -> str:
        character = self._next()
        if not character:
            raise ValueError("a document pattern ends too early")
        self._at += 1
        return character

    def _branches(self) -> _Cost:
        paths, steps = self._sequence()
        while self._next() == "|":
            self._at += 1
            more = self._sequence()
            paths, steps = _bounded(paths + more.paths, steps + more.steps)
        return _Cost(paths, steps)

    def _sequence(self) -> _Cost:
        """What follows is tried once for each way to match what stands before it."""
        paths, steps = 1, 0
        while self._next() not in ("", "|", ")"):
            part = self._repeated(self._atom())
            paths, steps = _bounded(paths * part.paths, steps + paths * part.steps)
        if steps == 0:
            raise ValueError(
                "a document pattern has an empty group or branch: write what may be absent with ?"
            )
        return _Cost(paths, steps)

    def _atom(self) -> _Cost:
        character = self._take()
        if character == "(":
            return self._group()
        if character == "[":
            self._class()
        elif character == "\\":
            if self._take() not in _ESCAPABLE:
                raise ValueError("a document pattern escapes what needs none: write classes out, as [0-9]")
        elif character in _SPECIAL:
            raise ValueError(f"a document pattern holds a {character} that stands for nothing allowed")
        return _Cost(1, 1)

    def _group(self) -> _Cost:
        if self._next() == "?":
            if not self._text.startswith("?:", self._at):
                raise ValueError("a document pattern has a group of a kind that is not allowed")
            self._at += 2
        cost = self._branches()
        if self._take() != ")":
            raise ValueError("a document pattern leaves a group open")
        return cost

    def _class(self) -> None:
        if self._next() in ("^", "]"):
            raise ValueError("a document pattern has an empty or negated class: name what may stand there")
        before = ""
        while (character := self._take()) != "]":
            # Doubled, these are to mean differences and unions of classes in some later `re`.
            if character == "[" or (character == before and character in "-&~|"):
                raise ValueError("a document pattern has a class within a class: escape or drop characters")
            if character == "\\" and self._take() not in _ESCAPABLE:
                raise ValueError("a document pattern escapes what needs none: write classes out, as [0-9]")
            before = character

    def _repeated(self, part: _Cost) -> _Cost:
        least, most = self._repeat()
        if most is None:
            most = MAX_INPUT
        if most == 0:
            raise ValueError("a document pattern repeats something no times: leave it out")
        if least > most:
            raise ValueError("a document pattern repeats at least more often than at most")
        paths, steps, ways = 0, 0, 1
        for times in range(1, most + 1):
            paths, steps = _bounded(paths + (ways if times > least else 0), steps + ways * part.steps)
            ways *= part.paths
        return _bounded(paths + ways, steps)

    def _repeat(self) -> tuple[int, int | None]:
        character = self._next()
        if character not in ("?", "*", "+", "{"):
            return 1, 1
        if character == "{":
            found = _BOUNDS.match(self._text, self._at)
            if found is None:
                raise ValueError("a document pattern has a repeat without numbers")
            self._at = found.end()
            least = int(found[1])
            bounds = least, (least if found[2] is None else int(found[3]) if found[3] else None)
        else:
            self._at += 1
            bounds = {"?": (0, 1), "*": (0, None), "+": (1, None)}[character]
        if self._next() and self._next() in "?*+{":
            raise ValueError("a document pattern repeats a repeat")
        return bounds
