"""Connections are spread evenly over the workers on one socket, and none waits for one that is away."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
from gunicorn.config import Config
from gunicorn.glogging import Logger

from gateway import deadlines
from gateway.accepting import Shares
from gateway.deadlines import DeadlineWorker

AT_ONCE = 20


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        listening.setblocking(False)
        yield listening


@pytest.fixture
def workers(listener: socket.socket) -> Iterator[tuple[DeadlineWorker, DeadlineWorker]]:
    """Two that listen on one socket, not running: a test has each take its turns."""
    config, shares = Config(), Shares(2)
    with ExitStack() as ends:
        made = []
        for age in (1, 2):
            worker = DeadlineWorker(age, 1, [listener], None, 30, config, Logger(config))
            worker.tmp.close()
            worker.lingering = deadlines.deque()
            worker.poller = selectors.DefaultSelector()
            worker.method_queue.init()
            worker.share = shares.take()
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
            for _ in range(AT_ONCE):  # it would have had them all
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


def test_nobody_yields_to_a_worker_that_is_gone_or_full(
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
    shares = Shares(2)
    first, second = shares.take(), shares.take()
    assert first is not None
    assert second is not None
    assert shares.take() is None
    first.tell(5)
    second.tell(0)
    assert (first.is_ahead(), second.is_ahead()) == (True, False)
    shares.give_back(second)
    assert not first.is_ahead()
    third = shares.take()
    assert third is not None
    assert not first.is_ahead()  # there, and not accepting yet
    third.tell(0)
    assert first.is_ahead()


def test_one_worker_alone_never_yields() -> None:
    alone = Shares(1).take()
    assert alone is not None
    alone.tell(1_000)
    assert not alone.is_ahead()
