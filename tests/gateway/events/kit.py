"""Tools of the tests of events: a second process on the same installation, and what was told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.client.bank import BankClient
from gateway.client.events import Told
from gateway.client.reply import Refused
from gateway.house import House
from tests.gateway.world import World


@contextmanager
def beside(world: World) -> Iterator[House]:
    """The same installation opened once more, as another worker would."""
    house = world.reopen()
    try:
        yield house
    finally:
        house.engine.dispose()
        house.custody.close()


def told(world: World, bank: BankClient | None = None, **page: int) -> tuple[Told, ...]:
    """The events that an operator is given."""
    with bank or world.bank() as client:
        found = client.events(**page)
    assert not isinstance(found, Refused), found
    return found
