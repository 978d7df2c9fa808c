"""One served town for the tests that leave it running; those that stop it make their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway.workers.served import Town, town


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Two workers on PostgreSQL."""
    with town(tmp_path_factory.mktemp("served") / "home") as made:
        yield made
