"""What the clients wrote down: every request they sent, and everything they were told.

Invariant: what a client heard is written down before it does anything else, so that in the end each answer,
refusal and silence can be held against the log.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Sent:
    """One query: its id and consent, the nonces of its signed requests, and what came back."""

    query: str
    consent: str
    nonces: list[str] = field(default_factory=list)
    served: list[str] = field(default_factory=list)
    """The nonce of each 200."""
    receipts: list[tuple[int, str, str]] = field(default_factory=list)
    """(index, leaf hash, decision) of each verified receipt, of answers and refusals alike."""
    refused: str | None = None

    @property
    def explained(self) -> bool:
        """Whether it ended: with an answer, or with a refusal that stands in the ledger."""
        return bool(self.receipts)


class Book:
    """Written by every client's thread."""

    def __init__(self) -> None:
        self.queries: list[Sent] = []
        self.outcomes: Counter[str] = Counter()
        self.open: list[Sent] = []
        self.unexplained: list[str] = []
        self._lock = threading.Lock()

    def begin(self, sent: Sent) -> None:
        """A query is about to be sent for the first time."""
        with self._lock:
            self.queries.append(sent)

    def count(self, outcome: str) -> None:
        """One reply, or the want of one."""
        with self._lock:
            self.outcomes[outcome] += 1

    def leave_open(self, sent: Sent) -> None:
        """The client gave up for now: it is asked again in the end."""
        with self._lock:
            self.open.append(sent)

    def wonder(self, what: str) -> None:
        """Something that must not be."""
        with self._lock:
            self.unexplained.append(what)
