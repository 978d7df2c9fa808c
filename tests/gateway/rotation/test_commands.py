"""The commands that rotate: what they say, and what they refuse in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from tests.gateway import kit
from tests.gateway.rotation.kit import people
from tests.gateway.world import World


@pytest.fixture
def chengxin(world: World) -> Any:
    def run(*words: str) -> Result:
        return CliRunner().invoke(main, ["--home", str(world.house.settings.home), "keys", *words])

    return run


def said(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_key_is_rotated_shown_and_destroyed(world: World, chengxin: Any, tmp_path: Path) -> None:
    people(world, 1)
    done = said(chengxin("rotate", "epoch", "--json"))
    assert done["epoch"] == 2
    found = chengxin("status")
    assert "closed" in found.stdout
    assert "chengxin keys destroy-epoch 1" in found.stderr
    assert said(chengxin("destroy-epoch", "1", "--yes", "--json"))["epoch"] == 1
    assert said(chengxin("rewrapped", "apply", "--json")) == {"epoch": 2, "unreadable": 0}
    assert said(chengxin("rotate", "index", "--json"))["version"] == 2
    assert said(chengxin("rotate", "data", "--all", "--json"))["persons"] == 1
    number = tmp_path / "number"
    number.write_text(kit.person(1) + "\n")
    assert said(chengxin("rotate", "data", "--subject-of", str(number), "--json"))["persons"] == 1
    states = said(chengxin("status", "--json"))
    assert [one["state"] for one in states["epochs"]] == ["destroyed", "in force"]
    assert [one["state"] for one in states["indexes"]] == ["destroyed", "in force"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("destroy-epoch", "1", "--yes"), "in force"),
        (("rotate", "data"), "say whose keys"),
    ],
)
def test_what_may_not_be_is_refused_in_one_line(chengxin: Any, words: tuple[str, ...], why: str) -> None:
    result = chengxin(*words)
    assert result.exit_code == 1
    assert why in result.stderr
    # A database of the tests is not durable, and whoever opens one is told.
    told = [line for line in result.stderr.splitlines() if "database.not_durable" not in line]
    assert len(told) == 1
