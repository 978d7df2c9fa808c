"""Least answer: cut what was decrypted to what consent, purpose and catalogue all allow. Pure.

Invariant: a record whose category is outside the scope, or whose display term (展示期限) is over, is
never in the answer; a category that was asked for and holds nothing is there, empty, so that
absence is said and not guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from keys.values import Value


class Record(Value, frozen=True):
    """One decrypted record revision: category, body, and the end (ms) of its display term if it has one.

    `stored` are the body's canonical bytes, as they were decrypted.
    """

    category: str
    body: Mapping[str, Any]
    shown_until: int | None
    stored: bytes = b""


def minimise(records: Iterable[Record], scope: Iterable[str], at: int) -> dict[str, list[Record]]:
    """The records of the scope that may be shown at `at`, by category, oldest first within each."""
    answer: dict[str, list[Record]] = {category: [] for category in scope}
    for record in records:
        if record.category in answer and is_shown(record.shown_until, at):
            answer[record.category].append(record)
    for found in answer.values():
        found.sort(key=_order)
    return answer


def _order(record: Record) -> tuple[str, ...]:
    """Source and reference are unique together, so that the same records always stand in the same order."""
    body = record.body
    return str(body.get("occurred_on", "")), str(body.get("reference", "")), str(body.get("source", ""))


def is_shown(shown_until: int | None, at: int) -> bool:
    """Whether a record may still be shown at `at`: its term, if any, is exclusive (CIR art. 16)."""
    return shown_until is None or at < shown_until
