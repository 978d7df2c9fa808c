"""The offices of these tests."""

from __future__ import annotations

import pytest

from tests.gateway.query.statutory.kit import Office
from tests.gateway.world import World


@pytest.fixture
def office(world: World) -> Office:
    """An agency that holds the statutes of the demonstration."""
    return Office(world)
