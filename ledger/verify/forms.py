"""Whether a document's number is of the form that a policy states: a matcher that no form can make slow.

Invariant: the form is whatever the operator published, so it is never given to a matcher that goes back: for
each part and each place of the number it is found out once where the part may end, and sets of places are
joined. What is read is the subset of regular expressions that FORMATS allows, and empty parts beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Final, TypeAlias

MAX_FORM: Final = 200
"""Characters of a form."""

_ATOM: Final = re.compile(r"\\[\\.^$*+?{}\[\]()|-]|\[(?!\^)(?:\\.|[^\\\[\]])+\]|[^\\.^$*+?{}\[\]()|]")
_REPEAT: Final = re.compile(r"[?*+]|\{([0-9]{1,3})(,([0-9]{1,3})?)?\}")
_SIGNS: Final = {"?": (0, 1), "*": (0, None), "+": (1, None)}

_Part: TypeAlias = Callable[[int], int]
"""From a place in the number to the places where the part may end: bit n for place n."""


class NoForm(Exception):
    """The form is not of the subset that policies may use."""


def fits(form: str, number: str) -> bool:
    """Whether the whole of `number` is of `form`. `NoForm` for a form that is none.

    The work grows with the length of the form and the cube of the number's, whatever the form says.
    """
    if len(form) > MAX_FORM:
        raise NoForm
    reader = _Reader(form, number)
    try:
        whole = reader.branches()
        if reader.at < len(form):
            raise NoForm
        return bool(whole(0) >> len(number) & 1)
    except RecursionError:  # groups within groups as far as the form goes
        raise NoForm from None


class _Reader:
    """Reads a form, left to right, into parts that know the number."""

    def __init__(self, form: str, number: str) -> None:
        self._form, self._number, self.at = form, number, 0

    def branches(self) -> _Part:
        parts = [self._sequence()]
        while self._took("|"):
            parts.append(self._sequence())

        def ends(start: int) -> int:
            found = 0
            for part in parts:
                found |= part(start)
            return found

        return cache(ends)

    def _sequence(self) -> _Part:
        parts: list[_Part] = []
        while self.at < len(self._form) and self._form[self.at] not in "|)":
            parts.append(self._repeated(self._atom()))

        def ends(start: int) -> int:
            found = 1 << start
            for part in parts:
                found = _from_each(found, part)
            return found

        return cache(ends)

    def _atom(self) -> _Part:
        if self._took("("):
            if not self._took("?:") and self._form.startswith("?", self.at):
                raise NoForm
            part = self.branches()
            if not self._took(")"):
                raise NoForm
            return part
        found = _ATOM.match(self._form, self.at)
        if found is None:
            raise NoForm
        self.at = found.end()
        try:
            one = re.compile(found[0])
        except re.error:
            raise NoForm from None
        hits = [one.fullmatch(character) is not None for character in self._number]
        return lambda start: 1 << start + 1 if start < len(hits) and hits[start] else 0

    def _repeated(self, part: _Part) -> _Part:
        found = _REPEAT.match(self._form, self.at)
        if found is None:
            return part
        self.at = found.end()
        least, most = _SIGNS.get(found[0]) or _bounds(found)
        if (most is not None and least > most) or _REPEAT.match(self._form, self.at):
            raise NoForm

        def ends(start: int) -> int:
            """Ends before long: a part that may be empty only adds places, another one leaves some behind."""
            reached, found, times = 1 << start, 0, 0
            while True:
                if times >= least:
                    found |= reached
                further = _from_each(reached, part)
                if times == most or further in (0, reached):
                    return found | (reached if further == reached else 0)
                reached, times = further, times + 1

        return cache(ends)

    def _took(self, sign: str) -> bool:
        taken = self._form.startswith(sign, self.at)
        self.at += len(sign) if taken else 0
        return taken


def _bounds(found: re.Match[str]) -> tuple[int, int | None]:
    least = int(found[1])
    if found[2] is None:
        return least, least
    return least, int(found[3]) if found[3] else None


def _from_each(places: int, part: _Part) -> int:
    found, place = 0, 0
    while places >> place:
        if places >> place & 1:
            found |= part(place)
        place += 1
    return found
