"""Tellers who go on asking while something else happens.

Invariant: each teller has a thread of its own, and a pace at which no operator's quota is ever reached. What
fails in a thread is raised where the block ends; nothing that was answered is lost or counted twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Condition, Event, Thread
from types import TracebackType
from typing import Final, Self

from gateway.client import Answer
from gateway.demo.failure import DemoFailed

PACE_S: Final = 0.7
"""Between two asks of one teller: 102 a minute with those for consent; an operator's quota is 120."""
PATIENCE_S: Final = 60.0

Teller = Callable[[], Answer]
"""One query, answered and its receipt verified; anything else raises."""


class Load:
    """Inside the block the tellers ask; `answers` are in the order in which they came."""

    def __init__(self, tellers: Sequence[Teller]) -> None:
        self.answers: list[Answer] = []
        self._failed: list[Exception] = []
        self._over = Event()
        self._news = Condition()
        self._threads = [Thread(target=self._go_on, args=(teller,), daemon=True) for teller in tellers]

    def wait_for_more(self) -> None:
        """Wait until as many queries were answered as there are tellers. Raises what failed in any thread."""
        with self._news:
            enough = len(self.answers) + len(self._threads)
            came = self._news.wait_for(lambda: self._failed or len(self.answers) >= enough, PATIENCE_S)
        self._raise()
        if not came:
            raise DemoFailed(f"the gateway answered too few queries within {PATIENCE_S:.0f} s")

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)
        if kind is None:
            self._raise()

    def _go_on(self, teller: Teller) -> None:
        while not self._over.is_set():
            try:
                answer = teller()
            except Exception as failed:  # noqa: BLE001  raised in the thread that waits for this one
                with self._news:
                    self._failed.append(failed)
                    self._news.notify_all()
                return
            with self._news:
                self.answers.append(answer)
                self._news.notify_all()
            self._over.wait(PACE_S)

    def _raise(self) -> None:
        if self._failed:
            raise self._failed[0]
