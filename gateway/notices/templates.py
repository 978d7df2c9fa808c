"""What a notice says: a closed set of texts, the same for everybody, with the gateway's address under them.

Invariant: a message is template and public address, and nothing else goes in: no name, number, institution,
purpose, amount or id, and no link that differs from one person to another. The date of a notice is the
mail's.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

TEMPLATES: Final = (
    "consent-requested",
    "consent-granted",
    "consent-withdrawn",
    "withdrawn-at-counter",
    "accessed",
    "second-key",
    "key-revoked",
    "record-corrected",
    "test",
)
LANGUAGES: Final = ("en", "zh-CN")
_SUBJECT: Final = {"en": "News in your credit account", "zh-CN": "您的信用账户有新消息"}
_WHERE: Final = {"en": "Your credit account: {url}", "zh-CN": "您的信用账户：{url}"}


@dataclass(frozen=True, slots=True)
class Text:
    """A rendered notice: a subject line, one line for a short message, and the whole for a mail."""

    subject: str
    short: str
    whole: str


def render(template: str, language: str, public_url: str) -> Text:
    """The notice in one of `LANGUAGES`. KeyError for a template or language that there is none of."""
    said = _texts()[template][language]
    where = _WHERE[language].format(url=public_url)
    return Text(_SUBJECT[language], f"{said} {where}", f"{said}\n\n{where}\n")


@cache
def _texts() -> Mapping[str, Mapping[str, str]]:
    read: dict[str, dict[str, str]] = tomllib.loads(
        (files("gateway") / "notices" / "templates.toml").read_text("utf-8")
    )
    if set(read) != set(TEMPLATES) or any(set(texts) != set(LANGUAGES) for texts in read.values()):
        raise LookupError("templates.toml and the closed set of templates differ")
    return read
