"""What is past its term is erased: everybody's, once, whoever is killed in between."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from gateway.erasure.due import count_due, erase_due
from gateway.erasure.holds import place_hold
from tests.gateway import kit
from tests.gateway.erasure.kit import audited, late
from tests.gateway.world import World

CASE = "0f8e2c1a-5b7d-4e3f-9a6b-1c2d3e4f5a6b"
LONG_AGO, LATELY = date(2018, 3, 1), date(2026, 3, 1)


def three(world: World) -> list[str]:
    """Three people, each with one record past its term and one within it."""
    numbers = [kit.person(serial) for serial in (1, 2, 3)]
    some = [late(n, f"{n[-4:]}-{day.year}", day) for n in numbers for day in (LONG_AGO, LATELY)]
    assert world.import_records(some).accepted == 6
    return numbers


def test_a_run_that_was_killed_is_finished_by_the_next(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    three(world)
    assert count_due(world.house) == 3
    words = [sys.executable, "-m", "tests.gateway.erasure.child", str(world.house.settings.home)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "1\n"
        child.kill()
        child.wait()
    assert count_due(world.house) == 2
    waiting = kit.insider(world.house, "SELECT count(*) FROM erasures WHERE todo IS NOT NULL")
    assert waiting == [(1,)]
    done = erase_due(world.house, lambda _done: None)
    assert [one.count for one in done.erased] == [1, 1]
    assert kit.insider(world.house, "SELECT count(*) FROM erasures WHERE todo IS NOT NULL") == [(0,)]
    assert kit.insider(world.house, "SELECT count(*) FROM records") == [(3,)]
    assert erase_due(world.house, lambda _done: None).erased == ()
    audited(world, tmp_path, capsys)


def test_who_is_held_is_passed_over_by_the_name_of_the_case(world: World) -> None:
    numbers = three(world)
    place_hold(world.house, CASE, numbers[1], "investigation")
    done = erase_due(world.house, lambda _done: None)
    assert (len(done.erased), done.held_by) == (2, (CASE,))
    assert count_due(world.house) == 1
