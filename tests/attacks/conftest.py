"""Fixtures of the attacks: one running gateway a module, in a time of day at which no day ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway.world import DAY_MS, World, new_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A gateway for all tests of a module. Its clock is set to the next noon (UTC), so that no sealing key
    is made anew in the middle of a test.
    """
    with new_world(tmp_path_factory.mktemp("attacked") / "home") as made:
        now = made.clock()
        made.clock.offset += DAY_MS - now % DAY_MS + DAY_MS // 2
        yield made
