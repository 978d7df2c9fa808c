"""Connections are spread evenly over the workers on one socket, and none waits for one that is away."""

from __future__ import annotations

import selectors
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.glogging import Logger

from gateway.accepting import Scoreboard
from gateway.config import load_settings
from gateway.deadlines import DeadlineWorker
from gateway.server import _Gunicorn

AT_ONCE = 20


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        listening.setblocking(False)
        yield listening


@pytest.fixture
def workers(listener: socket.socket) -> Iterator[tuple[DeadlineWorker, DeadlineWorker]]:
    """Two that listen on one socket, not running: a test has each take its turns."""
    config, board = Config(), Scoreboard(2)
    with ExitStack() as ends:
        made = []
        for age in (1, 2):
            worker = DeadlineWorker(age, 1, [listener], None, 30, config, Logger(config))
            worker.tmp.close()
            worker.lingering = deque()
            worker.poller = selectors.DefaultSelector()
            worker.method_queue.init()
            worker.place = board.acquire()
            worker.set_accept_enabled(True)
            worker.wait_for_and_dispatch_events(0)
            ends.callback(worker.method_queue.close)
            ends.callback(worker.poller.close)
            made.append(worker)
        yield made[0], made[1]
        for worker in made:
            for connection in worker.pending_conns:
                connection.close()


def opened(listener: socket.socket, ends: ExitStack) -> None:
    for _ in range(AT_ONCE):
        ends.enter_context(closing(socket.create_connection(listener.getsockname())))


def test_whoever_is_quicker_lets_the_other_go_first(
    listener: socket.socket, workers: tuple[DeadlineWorker, DeadlineWorker]
) -> None:
    quick, slow = workers
    with ExitStack() as ends:
        opened(listener, ends)
        while quick.nr_conns + slow.nr_conns < AT_ONCE:
            before = quick.nr_conns
            for _ in range(AT_ONCE):  # turns enough for all, each as if its time to yield had just begun
                quick.yields_until = None
                quick.wait_for_and_dispatch_events(0)
            assert quick.nr_conns - before <= 2
            slow.wait_for_and_dispatch_events(0)
        assert abs(quick.nr_conns - slow.nr_conns) <= 2


def test_nobody_waits_for_a_worker_that_does_not_come(
    listener: socket.socket, workers: tuple[DeadlineWorker, DeadlineWorker]
) -> None:
    """The other one is there, and holds none, and never takes its turn: each is accepted a moment later."""
    present, _ = workers
    with ExitStack() as ends:
        opened(listener, ends)
        for _ in range(3 * AT_ONCE):
            present.wait_for_and_dispatch_events(30)
            if present.nr_conns == AT_ONCE:
                break
        assert present.nr_conns == AT_ONCE


def test_nobody_yields_to_a_worker_that_accepts_nothing(
    listener: socket.socket, workers: tuple[DeadlineWorker, DeadlineWorker]
) -> None:
    present, other = workers
    other.set_accept_enabled(False)
    other.wait_for_and_dispatch_events(0)
    with ExitStack() as ends:
        opened(listener, ends)
        for _ in range(AT_ONCE):
            present.wait_for_and_dispatch_events(0)
        assert present.nr_conns == AT_ONCE


def test_a_place_serves_again_once_its_worker_is_gone() -> None:
    board = Scoreboard(2)
    first, second = board.acquire(), board.acquire()
    assert first is not None
    assert second is not None
    assert board.acquire() is None
    first.report(5)
    second.report(0)
    assert (first.is_ahead(), second.is_ahead()) == (True, False)
    board.release(second)
    assert not first.is_ahead()
    third = board.acquire()
    assert third is not None
    assert not first.is_ahead()  # there, and not accepting yet
    third.report(0)
    assert first.is_ahead()


def test_one_worker_alone_never_yields() -> None:
    alone = Scoreboard(1).acquire()
    assert alone is not None
    alone.report(1_000)
    assert not alone.is_ahead()


def test_each_worker_has_a_place_from_its_fork_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    settings = load_settings(tmp_path)
    assert settings.workers == 1
    with closing(socket.socket()) as scraped:
        server = _Gunicorn(settings, scraped)
    workers: list[Any] = [SimpleNamespace(pid=0, place=None) for _ in range(3)]
    for worker in workers:
        server._pre_fork(None, worker)
    assert [worker.place is not None for worker in workers] == [True, True, False]
    for worker in workers:
        server._child_exit(None, worker)
    assert server._scoreboard.acquire() is not None


def test_nobody_waits_for_a_worker_that_is_stopping(
    listener: socket.socket, workers: tuple[DeadlineWorker, DeadlineWorker]
) -> None:
    """Also where it has no connection left, and so no turn in which to say it: its last steps may be long."""
    present, stopping = workers
    assert present.place is not None
    present.place.report(5)
    assert present.place.is_ahead()
    stopping.tpool = stopping.get_thread_pool()
    stopping.sockets, stopping.alive = [], False
    stopping.set_accept_enabled(False)
    stopping.run()
    assert not present.place.is_ahead()
