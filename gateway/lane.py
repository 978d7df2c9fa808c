"""Group commit: whoever waits for the ledger shares one transaction with the others who wait.

Invariant: `submit` returns only after the transaction that carried the work is durably committed (or
raises, and then nothing of that work stands in the ledger). There is no timer: the first to arrive leads,
takes what is waiting (at most `limit`), commits once for all, and hands the lead to the next. At one client
it costs nothing; under load commit, round trips and lock are shared.

The look-ups before the lock share a lane of their own in the same way (`House.finding`): there `submit`
returns what was read, and nothing is committed.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from gateway import tracing
from gateway.logs import current_request

P = TypeVar("P")
R = TypeVar("R")


@dataclass(slots=True, eq=False)
class Slot(Generic[P, R]):
    """One waiting piece of work: what to do, with what, for which request, and afterwards its outcome.

    `bell` is rung for whoever submitted it, once it is `done` or it `leads`: one for all that they submitted.
    """

    handler: Callable[..., Any]
    payload: P
    request: str | None
    bell: SimpleQueue[None] = field(default_factory=SimpleQueue)  # an Event costs as much as half a leaf
    result: R | None = None
    error: BaseException | None = None
    done: bool = False
    leads: bool = False

    def taken(self) -> Any:
        """The result of a piece of work that is done; raises its error."""
        if self.error is not None:
            raise self.error
        return self.result

    @property
    def outcome(self) -> Any:
        """The error of a piece of work that is done, as a value; else its result."""
        return self.result if self.error is None else self.error


class Lane:
    """A queue with one leader at a time; `carry` does a batch's work at once and fills in its outcomes."""

    def __init__(
        self,
        carry: Callable[[Sequence[Slot[Any, Any]]], None],
        limit: int,
        span: tracing.Part = "ledger.wait",
    ) -> None:
        """`span` names what a request does while its work waits and is carried."""
        self._carry = carry
        self._limit = limit
        self._span: tracing.Part = span
        self._lock = threading.Lock()
        self._waiting: deque[Slot[Any, Any]] = deque()
        self._led = False

    def submit(self, handler: Callable[..., Any], payload: P) -> Any:
        """Have `payload` carried with the next batch; its result, or its error raised here."""
        [slot] = self.submit_all(handler, [payload], [current_request()])
        return slot.taken()

    def submit_all(
        self, handler: Callable[..., Any], payloads: Sequence[P], requests: Sequence[str | None]
    ) -> list[Slot[P, Any]]:
        """The same for many at once, each of the request named; aligned, all of them done, none raised."""
        bell: SimpleQueue[None] = SimpleQueue()
        slots: list[Slot[P, Any]] = [
            Slot(handler, payload, request, bell) for payload, request in zip(payloads, requests, strict=True)
        ]
        if not slots:
            return slots
        with self._lock:
            self._waiting.extend(slots)
            slots[0].leads = not self._led
            self._led = True
        try:
            with tracing.span(self._span):
                for slot in slots:
                    while not (slot.done or slot.leads):
                        bell.get()  # for this one or another of theirs: looked at before each wait
                    if not slot.done:
                        self._lead(slot)
        except BaseException:
            self._abandon(slots)
            raise
        return slots

    def _abandon(self, slots: Sequence[Slot[Any, Any]]) -> None:
        """Whoever waits for these is on its way out: none of them is carried any more, and none leads."""
        mine = {id(slot) for slot in slots}
        with self._lock:
            led = bool(self._waiting) and id(self._waiting[0]) in mine and self._waiting[0].leads
            self._waiting = deque(slot for slot in self._waiting if id(slot) not in mine)
            if led:
                self._pass_on()

    def _lead(self, own: Slot[Any, Any]) -> None:
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(self._limit, len(self._waiting)))]
        try:
            self._carry(batch)
        except BaseException as error:
            for slot in batch:
                slot.error = slot.error or error
            if not isinstance(error, Exception):
                raise
        finally:
            self._hand_over(batch, own)

    def _hand_over(self, batch: Sequence[Slot[Any, Any]], own: Slot[Any, Any]) -> None:
        for slot in batch:
            slot.done = True
        for bell in {slot.bell for slot in batch} - {own.bell}:
            bell.put(None)
        with self._lock:
            self._pass_on()

    def _pass_on(self) -> None:
        """Have the first who waits lead, under the lane's lock."""
        self._led = bool(self._waiting)
        if self._led:
            successor = self._waiting[0]
            successor.leads = True
            successor.bell.put(None)
