"""The demo empties its own home and nobody else's, and stops its own server and nobody else's."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.demo import server_process
from gateway.demo.failure import DemoFailed
from gateway.demo.home import PUBLISHER_LOCK, Home, taken

SLEEPS = "import sys, time; print('up', flush=True); time.sleep(600)"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with taken(tmp_path / "home") as home:
        yield home


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with any demo."""
    with subprocess.Popen([sys.executable, "-c", SLEEPS], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_home_of_an_earlier_demo_is_emptied_and_marked_again(home: Home) -> None:
    home.empty()
    (home.path / "gateway.db").write_bytes(b"old")
    (home.path / "keys" / "bank").mkdir(parents=True)
    home.empty()
    assert sorted(path.name for path in home.path.iterdir()) == ["demo.json", "demo.lock"]
    assert home.is_the_demos()


def test_directory_that_no_demo_made_is_not_touched(home: Home) -> None:
    (home.path / "gateway.db").write_bytes(b"somebody's")
    with pytest.raises(DemoFailed, match="nothing was touched"):
        home.empty()
    assert (home.path / "gateway.db").read_bytes() == b"somebody's"


def test_home_is_not_emptied_under_a_server_that_was_not_found(home: Home) -> None:
    home.empty()
    with (home.path / PUBLISHER_LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DemoFailed, match="stop it first"):
            home.empty()
    home.empty()


def test_two_demos_are_not_told_in_one_home_at_once(home: Home) -> None:
    with pytest.raises(DemoFailed, match="another demo"), taken(home.path):
        pass


def test_process_id_that_went_to_somebody_else_is_left_alone(
    home: Home, bystander: subprocess.Popen[bytes]
) -> None:
    home.remember(bystander.pid)
    home.server_state.write_text(json.dumps({"pid": os.getpid()}))
    assert set(home.pids()) == {bystander.pid, os.getpid()}
    assert server_process.earlier(home) == ()
    server_process.stop_earlier(bystander.pid, home)
    assert bystander.poll() is None


def test_server_of_another_home_is_not_ours(home: Home, tmp_path: Path) -> None:
    words = [sys.executable, "-c", SLEEPS, "gateway.cli", "--home", str(tmp_path / "other"), "serve"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert server_process.serves(process.pid, Home((tmp_path / "other").resolve()))
        assert not server_process.serves(process.pid, home)
        process.kill()


def test_process_that_has_ended_serves_nothing(home: Home) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert not server_process.serves(process.pid, home)


@pytest.mark.parametrize("state", [b"", b"[]", b'{"pid": "1"}', b'{"pid": true}', b'{"pid": 1}', b"\xff"])
def test_state_file_that_makes_no_sense_names_nobody(home: Home, state: bytes) -> None:
    home.state.write_bytes(state)
    assert home.pids() == ()


def test_free_ports_are_free_on_every_loopback_address() -> None:
    ports = server_process.free_ports()
    assert ports.api != ports.metrics
    families = [(socket.AF_INET, "127.0.0.1")] + ([(socket.AF_INET6, "::1")] if ports.ipv6 else [])
    for family, address in families:
        for port in (ports.api, ports.metrics):
            with socket.socket(family) as probe:
                probe.bind((address, port))
