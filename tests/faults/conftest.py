"""Fixtures of the crash table: one town an engine, which outlives all that is done to it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest

from tests import databases
from tests.faults.steps import Case, cases, usual
from tests.faults.town import Town, town

IN_FULL = os.environ.get("CRASHES") == "all"
IN_TURNS = os.environ.get("TEST_ENGINES") != "all"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The table's cells, engine by engine; the usual ones, or all of them where CRASHES=all."""
    if "case" in metafunc.fixturenames:
        chosen = [case for case in cases() if IN_FULL or usual(case, in_turns=IN_TURNS)]
        metafunc.parametrize("case", chosen, ids=[f"{case.engine}-{case}" for case in chosen])


@pytest.fixture(scope="module")
def town_on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Town]]:
    """The town on an engine, founded when the first case asks for it."""
    with ExitStack() as ending:
        yield cache(
            lambda engine: ending.enter_context(town(tmp_path_factory.mktemp("town") / "home", engine))
        )


@pytest.fixture
def in_town(town_on: Callable[[str], Town], case: Case) -> Iterator[Town]:
    """The town of this case."""
    with databases.using(case.engine):
        yield town_on(case.engine)
