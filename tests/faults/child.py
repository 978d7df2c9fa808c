"""A gateway's process, forked for one case: it opens the real house, does as it is told, dies of its trap.

It is forked by a server that has imported everything, so that a case costs no start of an interpreter.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import structlog
from werkzeug.serving import make_server

from gateway.config import load_settings
from gateway.erasure.forget import forget_erased
from gateway.erasure.order import erase_all
from gateway.erasure.refused import ErasureRefused
from gateway.events.delivery import deliver
from gateway.events.webhooks import claim_due
from gateway.house import House
from gateway.http.app import create_app
from gateway.opening import open_house
from gateway.publishing import PublishingThread, publish
from gateway.records import ingest
from gateway.records.rows import Record
from gateway.rotation import blobs, wrapped
from gateway.rotation.epoch import rotate_epoch
from tests.faults.trap import Trap, watch
from tests.gateway.world import SOURCE, SettableClock, _Quiet

CHUNK = 2
"""Of imports and rotations here: several chunks of a few rows show what one of many does."""


@dataclass
class Gateway:
    """What the process runs, and how it is told."""

    house: House
    clock: SettableClock
    trap: Trap | None
    serving: Callable[[], None] = field(default=lambda: None)

    def serve(self) -> None:
        """Answer HTTP; without the background threads, whose steps would be taken for the requests'."""
        app = create_app(self.house, PublishingThread(self.house))
        server = make_server(
            "127.0.0.1", self.house.settings.port, app, threaded=True, request_handler=_Quiet
        )
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        self.serving = server.shutdown

    def arm(self) -> None:
        """From here on the trap watches."""
        assert self.trap is not None
        settings = self.house.settings
        self.trap.arm(settings.checkpoint_copy, settings.log_dir / "checkpoint")

    def release(self) -> bool:
        """The fault is over; whether there was one."""
        return self.trap is not None and self.trap.release()

    def later(self, ms: int) -> None:
        """Time passes."""
        self.clock.offset += ms

    def publish(self) -> None:
        publish(self.house)

    def rotation(self) -> None:
        rotate_epoch(self.house, lambda _done, _total: None)

    def shredding(self, number: str) -> bool:
        """As the command does it; False when nothing is held of this person any more."""
        forget_erased(self.house)
        try:
            erase_all(self.house, number, "demanded")
        except ErasureRefused:
            return False
        forget_erased(self.house)
        return True

    def imported(self, records: list[Record]) -> dict[str, int]:
        report = ingest.ingest(self.house, SOURCE, records, lambda _line: None)
        return {"accepted": report.accepted, "unchanged": report.unchanged}

    def webhook(self) -> int:
        return sum(deliver(self.house, claim, lambda: False) for claim in claim_due(self.house, []))


def main(home: Path, offset: int, trap: Trap | None, pipe: Connection) -> None:
    """Open the house, say so, and do what comes down the pipe until it closes."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    ingest.CHUNK = wrapped.CHUNK = blobs.CHUNK = CHUNK
    if trap is not None:
        watch(trap)
    clock = SettableClock()
    clock.offset = offset
    gateway = Gateway(open_house(load_settings(home), clock), clock, trap)
    pipe.send(("opened", None))
    while True:
        try:
            said, arguments = pipe.recv()
        except EOFError:
            break
        pipe.send(_did(gateway, said, arguments))
    gateway.serving()
    gateway.house.engine.dispose()
    gateway.house.custody.close()


def _did(gateway: Gateway, said: str, arguments: tuple[Any, ...]) -> tuple[str, Any]:
    """What came of one command: its result, or the kind of error that it ended with."""
    try:
        return "done", getattr(gateway, said)(*arguments)
    except Exception as error:  # noqa: BLE001  the test judges it
        return "failed", f"{type(error).__name__}: {error}"
