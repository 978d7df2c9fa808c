"""Publishing: signed checkpoints every second while there is something new, and on demand.

Invariant: one process publishes at a time, the server's, held by a file lock; commands beside it append, and
ask it to publish. The order of publication is `ledger.publish`'s; a head behind the copy outside stops it.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from gateway import metrics
from gateway.errors import NotReady
from keys.notes import Vkey, make_vkey
from ledger.merkle import inclusion_proof
from ledger.proof import Proof, format_proof
from ledger.publish import Published, Publisher, read_published
from ledger.tiles import TileDirectory

if TYPE_CHECKING:
    from gateway.house import House

CHECKPOINT_KEY = "checkpoint"
log = structlog.get_logger(__name__)


def publisher_of(house: House) -> Publisher:
    """The publisher of the house's log."""
    return Publisher(
        shard=house.shard,
        origin=house.origin,
        begin=house.publishing,
        tiles=TileDirectory(house.settings.log_dir),
        sign=lambda message: house.custody.sign(CHECKPOINT_KEY, message),
        public=house.custody.public(CHECKPOINT_KEY),
        outside=house.settings.checkpoint_copy,
        file=house.settings.log_dir / "checkpoint",
    )


def vkey_of(house: House) -> Vkey:
    """The key that verifies the log's checkpoints."""
    return make_vkey(house.origin, house.custody.public(CHECKPOINT_KEY))


@contextmanager
def sole_publisher(house: House) -> Iterator[None]:
    """Hold the right to publish; `NotReady` when another process has it."""
    path = house.settings.home / "publisher.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotReady("another process publishes this log: a server is running on this home") from None
        yield
    finally:
        os.close(descriptor)


class PublishingThread:
    """Publishes in the background, and at once when asked; a `failure` stands until a later turn succeeds."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._publisher = publisher_of(house)
        self._interval = house.settings.checkpoint_interval_ms / 1000
        self._turn = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self.failure: Exception | None = None

    def start(self) -> None:
        """Begin to publish."""
        self._thread.start()

    def stop(self) -> None:
        """Publish what is left and end."""
        self._stop.set()
        self._thread.join()

    def publish_now(self) -> Published | None:
        """Publish whatever is committed by now; the newest checkpoint."""
        with self._turn:
            self._publisher.publish()
        with self._house.publishing() as conn:
            published = read_published(conn, self._house.shard, self._publisher.vkey)
        if published is not None:
            metrics.PUBLISHED.set(published.checkpoint.size)
        return published

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            self._publish_or_note()
        self._publish_or_note()

    def _publish_or_note(self) -> None:
        """Publish; a failure shows in /readyz and is tried again at the next turn."""
        try:
            self.publish_now()
        except Exception as error:  # noqa: BLE001  a locked database, a full disk: the thread must outlive it
            self.failure = error
            log.error("publish.failed", error=type(error).__name__)
        else:
            self.failure = None


def proof_of(house: House, published: Published, index: int) -> bytes:
    """`tlog-proof@v1` of one leaf under a published checkpoint that covers it."""
    size = published.checkpoint.size
    reader = TileDirectory(house.settings.log_dir).reader(size)
    return format_proof(Proof(index, inclusion_proof(reader, size, index), published.note))
