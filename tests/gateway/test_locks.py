"""Turns among processes: exclusive among threads and processes alike, given back however a holder ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.errors import NotReady
from gateway.locks import Seat, sole_publisher, turn

HOLD = """
import sys
from pathlib import Path
from gateway.locks import Seat
seat = Seat(Path(sys.argv[1]))
print(seat.taken(), flush=True)
sys.stdin.read()
"""


def test_a_turn_is_one_holders_at_a_time(tmp_path: Path) -> None:
    """In one process too: each holder locks a descriptor of its own."""
    path = tmp_path / "lock"
    with turn(path, wait=True) as first, turn(path, wait=False) as second:
        assert (first, second) == (True, False)
    with turn(path, wait=False) as third:
        assert third


def test_a_failed_try_takes_nothing_from_the_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with turn(path, wait=True):
        with turn(path, wait=False) as second:
            assert not second
        with turn(path, wait=False) as third:
            assert not third


def test_a_seat_is_kept_until_it_is_left(tmp_path: Path) -> None:
    one, other = Seat(tmp_path / "seat"), Seat(tmp_path / "seat")
    assert one.taken()
    assert one.taken()
    assert not other.taken()
    one.leave()
    assert other.taken()
    assert not one.taken()
    other.leave()


def test_a_seat_is_free_when_its_process_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "seat"
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            HOLD,
            str(path),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"True\n"
        seat = Seat(path)
        assert not seat.taken()
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait(30)
    assert seat.taken()
    seat.leave()


def test_the_servers_right_needs_a_home(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="chengxin init"), sole_publisher(tmp_path / "nowhere"):
        pass


def test_the_lock_files_are_their_owners_alone(tmp_path: Path) -> None:
    with sole_publisher(tmp_path):
        [lock] = tmp_path.iterdir()
        assert lock.stat().st_mode & 0o777 == 0o600
