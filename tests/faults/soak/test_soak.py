"""The soak, cut short, where TEST_ENGINES=all; `make soak` is the whole of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.faults.soak.run import Plan, soak

IN_FULL = os.environ.get("TEST_ENGINES") == "all"
SECONDS = 20
SEED = 7

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not IN_FULL, reason="soak: make soak, or make test ENGINES=all"),
]


@pytest.mark.parametrize("engine", ["postgresql", "sqlite"])
def test_nothing_is_lost_and_nothing_unexplained_while_things_are_killed(engine: str, tmp_path: Path) -> None:
    plan = Plan(engine, SECONDS, SEED, clients=6, queries=4_000, durable=False)
    verdict = soak(plan, tmp_path, lambda _line: None)
    assert verdict.wrong == [], "\n".join([*verdict.lines, *verdict.wrong[:20]])
