"""A rotation is killed in the middle, again and again; the next one finishes it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from gateway.rotation.data import rotate_data
from gateway.rotation.epoch import rotate_epoch
from gateway.rotation.epochs import NOBODYS
from gateway.rotation.index import rotate_index
from tests.gateway import kit
from tests.gateway.rotation.kit import loans, nothing, people, told
from tests.gateway.world import World

FINISH: dict[str, Callable[..., Any]] = {"epoch": rotate_epoch, "index": rotate_index, "data": rotate_data}
VERSIONS = "SELECT DISTINCT version FROM data_keys WHERE subject <> ?"
LEAF = {"epoch": "key.epoch", "index": "key.index", "data": "key.data"}


def killed_after(world: World, kind: str, steps: int) -> bool:
    """Run a rotation in another process and kill it after so many steps; False if it ended before."""
    words = [sys.executable, "-m", "tests.gateway.rotation.child", str(world.house.settings.home), kind]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for _ in range(steps):
            line = child.stdout.readline()
            if not line or line.strip() == "ended":
                return False
            child.stdin.write("\n")
            child.stdin.flush()
        child.kill()
        child.wait()
    return True


@pytest.mark.parametrize("kind", sorted(FINISH))
def test_what_was_killed_in_the_middle_is_finished_by_the_next(world: World, kind: str) -> None:
    some = people(world, 2)
    seen = [told(world, one) for one in some]
    for steps in (1, 2) if kind == "data" else (1, 2, 4):
        assert killed_after(world, kind, steps)
        assert [told(world, one) for one in some] == seen  # half done, everything reads the same
    FINISH[kind](world.house, nothing)
    assert [told(world, one) for one in some] == seen
    assert loans(world, some[0])
    if kind == "data":
        assert {(row[0],) for row in kit.insider(world.house, VERSIONS, [NOBODYS])} == {(2,)}
        return
    events = [leaf.body.event for leaf in kit.of_type(world.house, LEAF[kind])]
    assert events.count("opened") == (2 if kind == "epoch" else 1)
