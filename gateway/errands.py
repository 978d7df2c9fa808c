"""Errands: what the gateway carries to others by itself, webhooks to institutions and notices to citizens.

Invariant: nothing here holds a lock while it waits for somebody else, and nobody who hangs holds up another:
an errand that is still out is not sent a second time, and the others go on. One process at a time runs
errands, the one in the seat; what keeps an event or a notice from being sent twice is its claim in the
database.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from gateway.events.delivery import deliver
from gateway.events.webhooks import claim_due, count_webhooks
from gateway.locks import ERRANDS, Seat
from gateway.notices.outbox import send_due

if TYPE_CHECKING:
    from gateway.house import House

TURN_S: Final = 1.0
THREADS: Final = 16
NOTICES: Final = "notices"

log = structlog.get_logger(__name__)


class Errands:
    """The threads of every worker that run errands while this worker has the seat."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._seat = Seat(house.settings.home / ERRANDS)
        self._stop = threading.Event()
        self._out: dict[str, Future[int]] = {}
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="errand")
        self._thread = threading.Thread(target=self._run, name="errands", daemon=True)

    def start(self) -> None:
        """Begin to run errands."""
        self._thread.start()

    def stop(self) -> None:
        """End after the event or notice that is on its way, and give the seat up."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown()  # what is waiting there sees the stop, and gives its claim back
        self._seat.leave()

    def turn(self) -> bool:
        """Send out what is due, if this process has the seat or nobody does; whether it has."""
        if not self._seat.taken():
            return False
        self._out = {name: one for name, one in self._out.items() if not one.done()}
        if NOTICES not in self._out:
            self._send(NOTICES, partial(send_due, self._house, self._stop.is_set))
        for claim in claim_due(self._house, [name for name in self._out if name != NOTICES]):
            self._send(claim.institution, partial(deliver, self._house, claim, self._stop.is_set))
        count_webhooks(self._house)
        return True

    def settled(self, timeout_s: float) -> bool:
        """Wait until every errand that is out has come back; whether all have in time."""
        return not wait(list(self._out.values()), timeout_s).not_done

    def _send(self, name: str, errand: Callable[[], int]) -> None:
        self._out[name] = self._pool.submit(self._run_one, name, errand)

    def _run_one(self, name: str, errand: Callable[[], int]) -> int:
        try:
            return errand()
        except Exception as error:  # noqa: BLE001  the claim runs out and the next turn tries again
            log.error("errand.failed", errand=name, error=type(error).__name__)
            return 0

    def _run(self) -> None:
        while not self._stop.wait(TURN_S):
            try:
                self.turn()
            except Exception as error:  # noqa: BLE001  a locked database: the thread must outlive it
                log.error("errands.failed", error=type(error).__name__)
