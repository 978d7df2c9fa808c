"""The form of an answer: a report, or the yes or no of a predicate, exactly as it was asked for.

Invariant: a yes or no is believed only in its one form, whose every text may be printed, under the name that
was asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from gateway.client.errors import EvidenceFailed, UnexpectedReply

PREDICATE_ANSWER: Final = "chengxin/predicate-answer/v1"
PREFIX: Final = "predicate:"
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def decision_of(content: Mapping[str, Any]) -> str:
    """The decision that a receipt of this answer names when it is given for the first time.

    Raises UnexpectedReply for a yes or no of another form.
    """
    if content.get("type") != PREDICATE_ANSWER:
        return "disclosed"
    rule = content.get("rule")
    whole = content.keys() == {"type", "predicate", "rule", "as_of", "answer"}
    if not whole or not isinstance(rule, dict) or rule.keys() != {"en", "zh"}:
        raise UnexpectedReply("the answer to a predicate is of another form")
    texts = (content["predicate"], content["as_of"], rule["en"], rule["zh"])
    if not all(isinstance(text, str) and text.isprintable() for text in texts):
        raise UnexpectedReply("the answer to a predicate holds what no text of it is")
    if content["answer"] not in ("yes", "no") or not _DAY.fullmatch(content["as_of"]):
        raise UnexpectedReply("the answer to a predicate is neither yes nor no, or names no day")
    return "predicate"


def require_asked(content: Mapping[str, Any], asked: str) -> None:
    """EvidenceFailed unless the answer is of the form that was asked for (`report` or `predicate:NAME`)."""
    name = content.get("predicate") if content.get("type") == PREDICATE_ANSWER else None
    if name != (asked.removeprefix(PREFIX) if asked.startswith(PREFIX) else None):
        raise EvidenceFailed("the answer is of another form than was asked for")
