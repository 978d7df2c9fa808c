"""What time brings about, by itself: requests lapse, what is stale is forgotten.

Invariant: every chore is safe wherever and however often it runs, in several processes at once too: it
decides under the head's lock like everybody else. One process at a time keeps house, the one in the seat,
only so that the others need not look. A chore that fails is logged and holds up no other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from gateway.consents.challenge import forget_challenges
from gateway.consents.ending import lapse_due
from gateway.events.expiry import tell_expired
from gateway.locks import HOUSEKEEPING, Seat
from gateway.notices.outbox import forget_settled
from gateway.query.quota import flush_throttled
from gateway.query.redeliver import forget_given
from gateway.query.statutory.ending import lapse_pending, unseal_due
from gateway.rotation.own import retire_ended
from gateway.transaction import purge_nonces

if TYPE_CHECKING:
    from gateway.house import House

HOUSEKEEPING_S = 30.0

log = structlog.get_logger(__name__)


def forget_nonces(house: House) -> int:
    """Forget the nonces of requests that are stale anyway; how many."""
    return house.transact(purge_nonces, seals=False)


CHORES: tuple[Callable[[House], int], ...] = (
    unseal_due,  # first: an auditor grants it a day, whatever else is late
    lapse_due,
    lapse_pending,
    flush_throttled,
    forget_given,
    forget_nonces,
    forget_challenges,
    tell_expired,
    forget_settled,
    retire_ended,
)
"""In order; each returns how much it did. A new one is one line here."""


def keep_house(house: House) -> dict[str, int]:
    """Do every chore once: how much each did, by name; one that failed is left out."""
    done: dict[str, int] = {}
    for chore in CHORES:
        try:
            done[chore.__name__] = chore(house)
        except Exception as error:  # noqa: BLE001  the next turn tries again; the failure is logged
            log.error("housekeeping.failed", chore=chore.__name__, error=type(error).__name__)
    log.debug("housekeeping.done", **done)
    return done


class Housekeeping:
    """The thread of every worker that keeps house while this worker has the seat."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._seat = Seat(house.settings.home / HOUSEKEEPING)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Do one turn now, before anything is served, and go on in the background."""
        self.turn()
        self._thread.start()

    def stop(self) -> None:
        """End after the turn that is running, and give the seat up."""
        self._stop.set()
        self._thread.join()
        self._seat.leave()

    def turn(self) -> bool:
        """One turn, if this process has the seat or nobody does; whether it was done."""
        if not self._seat.taken():
            return False
        keep_house(self._house)
        return True

    def _run(self) -> None:
        while not self._stop.wait(HOUSEKEEPING_S):
            if not self.turn():
                self._listen()

    def _listen(self) -> None:
        """A worker that nobody asks anything forgets a destroyed key all the same."""
        try:
            self._house.listen()
        except Exception as error:  # noqa: BLE001  the next turn tries again; the failure is logged
            log.error("housekeeping.failed", chore="listen", error=type(error).__name__)
