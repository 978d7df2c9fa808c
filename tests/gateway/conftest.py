"""Fixtures of the gateway's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.world import World, new_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A gateway of this test's own."""
    with new_world(tmp_path / "home") as made:
        yield made
