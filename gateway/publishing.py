"""Publishing: signed checkpoints every second while there is something new, and on demand.

Invariant: any worker publishes, one at a time: the turn is a file lock, the swap of the checkpoint in the
database is compared, so that even a publisher without the turn could not fork the log. Commands beside a
server append, and ask it to publish. The order of publication is `ledger.publish`'s; a head behind the copy
outside stops it.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from gateway import locks, metrics
from gateway.heads import is_own
from gateway.policies import stored
from gateway.signers import log_keys, sign_note_with
from gateway.tables import policies
from keys.notes import Vkey
from ledger.errors import LogBusy
from ledger.files import read_if_there, write_atomic
from ledger.log import read_head
from ledger.merkle import inclusion_proof
from ledger.proof import Proof, format_proof
from ledger.publish import Published, Publisher, read_published
from ledger.tiles import TileDirectory

if TYPE_CHECKING:
    from gateway.house import House

POLICY = "policy"
log = structlog.get_logger(__name__)


def publisher_of(house: House) -> Publisher:
    """The publisher of the house's log."""
    return Publisher(
        shard=house.shard,
        origin=house.origin,
        read=house.read,
        write=house.publishing,
        tiles=TileDirectory(house.settings.log_dir),
        sign=partial(sign_note_with, house.custody),
        keys=partial(log_keys, house),
        outside=house.settings.checkpoint_copy,
        file=house.settings.log_dir / "checkpoint",
        own=partial(is_own, house.custody, house.shard),
    )


def vkey_of(house: House) -> Vkey:
    """The key that verifies the log's checkpoints from now on."""
    with house.read() as conn:
        return log_keys(house, conn).current


def publish(house: House, publisher: Publisher | None = None, *, wait: bool = True) -> bool:
    """Publish whatever is committed by now, in this process's turn.

    False, and nothing was done, when another has the turn and `wait` is not. Raises what
    `ledger.publish.Publisher.publish` raises; a swap that another was faster at is tried once more from what
    stands then.
    """
    publisher = publisher or publisher_of(house)
    with locks.turn(house.settings.home / locks.TURN, wait=wait) as mine:
        if not mine:
            return False
        _publish_policies(house)
        try:
            publisher.publish()
        except LogBusy:  # another machine's publisher, which this file lock does not bind
            publisher.publish()
    return True


def _publish_policies(house: House) -> None:
    """Put every policy beside the tiles whose leaves name it: a database put back finds it there."""
    folder = house.settings.log_dir / POLICY
    with house.read() as conn:
        for named in conn.scalars(sa.select(policies.c.hash)):
            file = folder / f"{named}.json"
            body = None if file.is_file() else stored(conn, named)
            if body is not None:
                write_atomic(file, body)


class PublishingThread:
    """Publishes in the background, and at once when asked; a `failure` stands until a later turn succeeds."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._publisher = publisher_of(house)
        self._interval = house.settings.checkpoint_interval_ms / 1000
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
        """Publish whatever is committed by now, whoever does it; the newest checkpoint."""
        standing = self._covering()
        if standing is None:
            publish(self._house, self._publisher)
            with self._house.read() as conn:
                standing = read_published(conn, self._house.shard, log_keys(self._house, conn))
        if standing is not None:
            metrics.PUBLISHED.set(standing.checkpoint.size)
        return standing

    def _covering(self) -> Published | None:
        """The published checkpoint when there is nothing to do: every leaf is under it, both files say so."""
        with self._house.read() as conn:  # one snapshot
            size = read_head(conn, self._house.shard).size
            found = read_published(conn, self._house.shard, log_keys(self._house, conn))
        whole = found is not None and found.checkpoint.size == size
        if found is None or not whole:
            return None
        files = (self._publisher.outside, self._publisher.file)
        return found if all(read_if_there(path) == found.note for path in files) else None

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            self._publish_or_note()
        self._publish_or_note(wait=True)

    def _publish_or_note(self, *, wait: bool = False) -> None:
        """Publish, unless another worker is at it; a failure shows in /readyz and is tried again."""
        try:
            if self._covering() is None and not publish(self._house, self._publisher, wait=wait):
                return
        except Exception as error:  # noqa: BLE001  a locked database, a full disk: the thread must outlive it
            self.failure = error
            metrics.PUBLISH_FAILED.inc()
            log.error("publish.failed", error=type(error).__name__)
        else:
            self.failure = None


def proof_of(house: House, published: Published, index: int) -> bytes:
    """`tlog-proof@v1` of one leaf under a published checkpoint that covers it."""
    size = published.checkpoint.size
    reader = TileDirectory(house.settings.log_dir).reader(size)
    return format_proof(Proof(index, inclusion_proof(reader, size, index), published.note))
