"""The lines of the demo's story, in English and Chinese.

Invariant: every line exists in both languages with the same named placeholders, and `say` fills exactly
those: a missing or a surplus value is an error, never a line with a hole in it. The story says nothing that
the runner has not just done: numbers, reasons and commands come in as values.
"""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter
from types import MappingProxyType
from typing import Final, Literal

from gateway.demo.line import Line
from gateway.demo.lines_chapters import CHAPTERS
from gateway.demo.lines_evidence import EVIDENCE
from gateway.demo.lines_keys import KEYS
from gateway.demo.lines_life import LIFE
from gateway.demo.lines_main import MAIN

Language = Literal["en", "zh"]


def language_of(setting: str | None) -> Language:
    """`zh` for any Chinese locale name (`zh`, `zh_CN.UTF-8`, `zh-Hans`), otherwise `en`."""
    return (
        "zh"
        if (setting or "").strip().lower().replace("_", "-").split("-")[0].split(".")[0] == "zh"
        else "en"
    )


def placeholders(template: str) -> frozenset[str]:
    """The names a template wants filled."""
    return frozenset(name for _, name, _, _ in Formatter().parse(template) if name is not None)


def say(key: str, language: Language, /, **values: object) -> str:
    """The line `key` with its placeholders filled.

    Raises KeyError for an unknown key and ValueError when the values are not exactly the placeholders.
    """
    template = getattr(STORY[key], language)
    if placeholders(template) != values.keys():
        raise ValueError(f"line {key} wants {sorted(placeholders(template))}, got {sorted(values)}")
    return str(template.format(**values))


STORY: Final[Mapping[str, Line]] = MappingProxyType({**MAIN, **LIFE, **EVIDENCE, **CHAPTERS, **KEYS})
