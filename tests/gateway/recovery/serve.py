"""Serving a recovered house where the world's own was, so that its clients go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.house import House
from gateway.publishing import PublishingThread
from tests.gateway.world import World, serving


@contextmanager
def serving_elsewhere(world: World, house: House) -> Iterator[PublishingThread]:
    """Serve a second house where the world's own was, which ends first; the world is its from now on."""
    world.server.shutdown()
    world.server.server_close()
    with serving(house) as (publishing, _server):
        world.house = house
        world.wallet = type(world.wallet)(house.origin)
        yield publishing
