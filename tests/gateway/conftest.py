"""Fixtures of the gateway's tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import databases
from tests.gateway.world import World, new_world

HERE = Path(__file__).parent
ON_BOTH = {
    "query",
    "consents",
    "people",
    "records",
    "institutions",
    "test_house.py",
    "test_rows.py",
    "test_leaf_types.py",
    "test_publishing.py",
    "test_upgrade.py",
    "test_policies.py",
    "test_news.py",
    "test_heads.py",
    "test_exchange.py",
}
"""Folders and modules whose houses stand on SQLite and on PostgreSQL: what reads and writes the database."""
IN_FULL = {
    "rotation",
    "erasure",
    "events",
    "notices",
    "recovery",
}
"""The same, on PostgreSQL only where TEST_ENGINES=all: on a build machine, and for whoever has the time."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test of these that uses `engine`, itself or through `world`, runs once on every engine."""
    place = Path(metafunc.module.__file__).relative_to(HERE)
    chosen = os.environ.get("TEST_ENGINES") == "all" if _is_of(place, IN_FULL) else _is_of(place, ON_BOTH)
    if "engine" in metafunc.fixturenames and chosen:
        metafunc.parametrize("engine", databases.ENGINES, indirect=True, scope="module")


def _is_of(place: Path, names: set[str]) -> bool:
    return any(place.is_relative_to(name) for name in names)


@pytest.fixture(scope="module")
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """The engine under the houses of this test: sqlite, unless `ON_BOTH` says more."""
    with databases.using(getattr(request, "param", "sqlite")) as name:
        yield name


@pytest.fixture
def world(tmp_path: Path, engine: str) -> Iterator[World]:
    """A gateway of this test's own."""
    with new_world(tmp_path / "home") as made:
        yield made
