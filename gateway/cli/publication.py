"""A checkpoint that covers everything committed, whoever publishes.

Invariant: one process publishes at a time. Where a server runs on this home it is asked to publish and
waited for; where none runs the command publishes itself, under the same lock."""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from gateway.cli.common import fail

if TYPE_CHECKING:
    from gateway.house import House
    from ledger.publish import Published

PATIENCE_S = 15.0
_PAUSE_S = 0.1


def newest_checkpoint(house: House) -> Published:
    """The published checkpoint, once it covers every leaf that was committed when this was called."""
    from gateway.errors import NotReady
    from gateway.locks import sole_publisher
    from gateway.publishing import publish
    from ledger.log import read_head

    with house.read() as conn:
        size = read_head(conn, house.shard).size
    with ExitStack() as lock:
        try:
            lock.enter_context(sole_publisher(house.settings.home))
        except NotReady:
            return _asked_for(house, size)
        publish(house)
    published = _published(house)
    if published is None or published.checkpoint.size < size:
        fail("the checkpoint does not cover the log: export and verify it")
    return published


def _asked_for(house: House, size: int) -> Published:
    """Ask the running server, whose proofs are always of published leaves, and wait until it has done so."""
    from gateway.client.channel import exchange, new_http
    from gateway.client.errors import ClientError

    # It publishes by itself too: only the waiting below decides.
    with suppress(ClientError), new_http() as http:
        exchange(http, "GET", f"{house.settings.public_url}/v1/ledger/proofs/{size - 1}", None, {})
    deadline = time.monotonic() + PATIENCE_S + house.settings.checkpoint_interval_ms / 1000
    published = _published(house)
    while published is None or published.checkpoint.size < size:
        if time.monotonic() > deadline:
            fail(f"the running server did not publish in time: see {house.settings.public_url}/readyz")
        time.sleep(_PAUSE_S)
        published = _published(house)
    return published


def _published(house: House) -> Published | None:
    from gateway.signers import log_keys
    from ledger.publish import read_published

    with house.read() as conn:
        return read_published(conn, house.shard, log_keys(house, conn))
