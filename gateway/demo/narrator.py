"""How the story reaches the terminal: numbered steps, wrapped lines, commands to copy left unwrapped.

Invariant: what is to be copied is printed on one line and at its start, exactly as a shell takes it.
"""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Final

import click

from gateway.demo.messages import STORY, Language, placeholders, say

WIDTH: Final = 100
_INDENT: Final = "   "
_NOT_FIRST: Final = frozenset("，。；：、！？”’）》,.;:!?)")
"""Marks that never begin a line."""


class Narrator:
    """Tells the lines of the story in one language, and knows which step it has come to."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self.step = self.text("welcome.title")
        self._number = 0
        self._width = max(40, min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns))

    def text(self, key: str, /, **values: object) -> str:
        """A line of the story as text."""
        return say(key, self.language, **values)

    def fitting(self, key: str, values: Mapping[str, object]) -> str:
        """A line of the story, with those of the values that it has a place for."""
        wanted = placeholders(getattr(STORY[key], self.language))
        return self.text(key, **{name: values[name] for name in wanted})

    def pick(self, en: str, zh: str) -> str:
        """The one of two texts that is in the story's language."""
        return zh if self.language == "zh" else en

    def join(self, parts: list[str]) -> str:
        """Things one after another, as the language lists them."""
        return self.pick(", ", "、").join(parts)

    def title(self, key: str) -> None:
        """The heading of the whole story."""
        click.echo(click.style(self.text(key), bold=True))

    def heading(self, noun: str) -> None:
        """The next numbered step."""
        self._number += 1
        self.step = self.text(f"{noun}.title")
        click.echo(click.style(f"{self._number:>2} {self.step}", bold=True))

    def chapter(self, noun: str) -> None:
        """The next numbered step, apart from what was told before."""
        self.gap()
        self.heading(noun)

    def line(self, key: str, /, **values: object) -> None:
        """One thing that happened."""
        self.plain(self.text(key, **values))

    def plain(self, text: str) -> None:
        """Text of the story's own making, wrapped."""
        for row in wrap(text, self._width - len(_INDENT)):
            click.echo(_INDENT + row)

    def item(self, text: str, mark: str = "-") -> None:
        """One of several things: behind a mark, and wrapped beside it."""
        before = f"{_INDENT}{mark} "
        for row in wrap(text, self._width - len(before)):
            click.echo(before + row)
            before = " " * len(before)

    def command(self, command: str) -> None:
        """A line to copy: as it is, from the first column."""
        click.echo(command)

    def gap(self) -> None:
        """An empty line."""
        click.echo()


def width_of(text: str) -> int:
    """Columns that a text takes on a terminal: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def wrap(text: str, width: int) -> Iterator[str]:
    """The text in rows of at most `width` columns, broken at spaces and between Chinese characters."""
    row = ""
    for piece in _pieces(text):
        if row and width_of((row + piece).rstrip()) > width:
            yield row.rstrip()
            row = piece.lstrip()
        else:
            row += piece
    if row.strip():
        yield row.rstrip()


def _pieces(text: str) -> Iterator[str]:
    """What is never broken: a word with the space after it, a Chinese character with the marks after it."""
    piece = ""
    for letter in text:
        ends = piece[-1:] == " " or unicodedata.east_asian_width(letter) in "WF" or _is_wide(piece)
        if piece and ends and letter not in _NOT_FIRST and letter != " ":
            yield piece
            piece = ""
        piece += letter
    if piece:
        yield piece


def _is_wide(piece: str) -> bool:
    return piece != "" and unicodedata.east_asian_width(piece[-1]) in "WF"
