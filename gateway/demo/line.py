"""One line of the story, in both languages."""

from __future__ import annotations

from typing import NamedTuple


class Line(NamedTuple):
    """One line of the story. Fields are `str.format` templates with named placeholders only."""

    en: str
    zh: str
