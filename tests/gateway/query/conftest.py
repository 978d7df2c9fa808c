"""One gateway for the tests of a module that need none of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway.world import World, new_world


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, engine: str) -> Iterator[World]:
    """Each test makes its own person and leaves standing as it was; the clock only goes on."""
    with new_world(tmp_path_factory.mktemp("shared") / "home") as made:
        yield made
