"""Patterns for document numbers (文书编号): a small part of regular expressions, whose worst case is known.

Invariant: a pattern that `check_pattern` accepts means the same to every reader of the bundle, names each
character that it lets through, and can be tried in no more than `MAX_PATHS` ways on any input. Allowed are
plain characters, an escaped one of `\\ . ^ $ * + ? { } [ ] ( ) | -`, classes of characters and ranges, groups
`( )` and `(?: )`, `|`, and the repeats `? {n} {m,n} * +`. Not allowed: `.`, `^`, `$` (the whole number is
matched anyway), negated classes, `\\d` and its kin (they match digits of every script), look-around,
back references, lazy and possessive repeats.
"""

from __future__ import annotations

import re
from functools import lru_cache

MAX_PATTERN = 200
"""Characters of a pattern."""
MAX_INPUT = 64
"""Characters of a document number."""
MAX_PATHS = 10_000
"""Ways in which a pattern may be tried: the product of what its repeats and branches leave open."""

_SPECIAL = frozenset("\\.^$*+?{}[]()|")
_ESCAPABLE = _SPECIAL | {"-"}
_BOUNDS = re.compile(r"\{([0-9]{1,3})(,([0-9]{1,3})?)?\}")


def check_pattern(pattern: str) -> None:
    """Raises ValueError, in words, for a pattern that is not of the allowed part or could be slow."""
    if not pattern or len(pattern) > MAX_PATTERN:
        raise ValueError(f"a document pattern has 1 to {MAX_PATTERN} characters")
    if not pattern.isprintable():
        raise ValueError("a document pattern holds a character that cannot be seen")
    if _Reader(pattern).paths() > MAX_PATHS:
        raise ValueError("a document pattern leaves too much open: bound its repeats, nest none in another")
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


class _Reader:
    """Reads a pattern once, left to right, and counts the ways in which it can be tried."""

    def __init__(self, pattern: str) -> None:
        self._text, self._at = pattern, 0

    def paths(self) -> int:
        paths = self._branches()
        if self._at < len(self._text):
            raise ValueError("a document pattern closes a group that it never opened")
        return paths

    def _next(self) -> str:
        return self._text[self._at] if self._at < len(self._text) else ""

    def _take(self) -> str:
        character = self._next()
        if not character:
            raise ValueError("a document pattern ends too early")
        self._at += 1
        return character

    def _branches(self) -> int:
        paths = self._sequence()
        while self._next() == "|":
            self._at += 1
            paths += self._sequence()
        return paths

    def _sequence(self) -> int:
        paths = 1
        while self._next() not in ("", "|", ")"):
            paths = min(paths * self._repeated(self._atom()), MAX_PATHS + 1)
        return paths

    def _atom(self) -> int:
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
        return 1

    def _group(self) -> int:
        if self._next() == "?":
            if not self._text.startswith("?:", self._at):
                raise ValueError("a document pattern has a group of a kind that is not allowed")
            self._at += 2
        paths = self._branches()
        if self._take() != ")":
            raise ValueError("a document pattern leaves a group open")
        return paths

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

    def _repeated(self, paths: int) -> int:
        least, most = self._repeat()
        if most is None:
            most = MAX_INPUT
        if least > most:
            raise ValueError("a document pattern repeats at least more often than at most")
        total, power = 0, paths**least
        for _ in range(least, most + 1):
            total += power
            if total > MAX_PATHS:
                return MAX_PATHS + 1
            power *= paths
        return total

    def _repeat(self) -> tuple[int, int | None]:
        character = self._next()
        if character not in ("?", "*", "+", "{") or not character:
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
