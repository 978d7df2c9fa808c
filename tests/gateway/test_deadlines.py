"""Connections that are over, or that never begin, hold up nobody: the worker's main thread waits for none."""

from __future__ import annotations

import errno
import selectors
import socket
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import TConn

from gateway import deadlines
from gateway.deadlines import DeadlineWorker


@pytest.fixture
def worker() -> Iterator[DeadlineWorker]:
    """A worker as its main thread has it, not running: a test turns the poller."""
    config = Config()
    made = DeadlineWorker(1, 1, [], None, 30, config, Logger(config))
    made.tmp.close()
    made.lingering = deadlines.deque()
    made.poller = selectors.DefaultSelector()
    made.method_queue.init()
    yield made
    made.poller.close()
    made.method_queue.close()


@pytest.fixture
def pair(worker: DeadlineWorker) -> Iterator[tuple[Any, socket.socket]]:
    """A connection as the worker has it, and the client's end."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(30)
    worker.nr_conns += 1
    with closing(ours), closing(theirs):
        yield TConn(worker.cfg, ours, ("127.0.0.1", 1), ("127.0.0.1", 2)), theirs


def over(worker: DeadlineWorker, connection: Any) -> None:
    ended: Future[bool] = Future()
    ended.set_result(False)
    worker.finish_request(connection, ended)


def test_a_connection_that_is_over_is_said_to_be_and_waits_in_the_poller(
    worker: DeadlineWorker, pair: tuple[Any, socket.socket]
) -> None:
    connection, client = pair
    over(worker, connection)
    assert client.recv(1) == b""
    assert (list(worker.lingering), worker.nr_conns) == ([connection], 1)
    client.sendall(b"still talking")
    worker.wait_for_and_dispatch_events(30)
    assert worker.nr_conns == 1
    client.close()
    worker.wait_for_and_dispatch_events(30)
    assert (list(worker.lingering), worker.nr_conns) == ([], 0)
    assert connection.sock.fileno() == -1


def test_a_client_that_never_closes_is_closed(
    worker: DeadlineWorker, pair: tuple[Any, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, client = pair
    over(worker, connection)
    worker.murder_pending()
    assert worker.nr_conns == 1
    connection.timeout -= deadlines.LINGER_S
    worker.murder_pending()
    assert (list(worker.lingering), worker.nr_conns) == ([], 0)
    with pytest.raises(BrokenPipeError):
        client.sendall(b"x")


def test_a_client_that_has_gone_is_closed_at_once(
    worker: DeadlineWorker, pair: tuple[Any, socket.socket]
) -> None:
    connection, _ = pair
    connection.sock.close()
    over(worker, connection)
    assert (list(worker.lingering), worker.nr_conns) == ([], 0)


class Listener:
    """One that has no connection for us."""

    def __init__(self, why: int) -> None:
        self.why = why

    def accept(self) -> Any:
        raise OSError(self.why, "no")


def test_out_of_descriptors_the_worker_takes_no_more_than_it_holds(worker: DeadlineWorker) -> None:
    worker.nr_conns = 7
    worker.accept(Listener(errno.EAGAIN))
    assert worker.worker_connections == worker.cfg.worker_connections
    worker.accept(Listener(errno.EMFILE))
    assert worker.worker_connections == 7
    with pytest.raises(OSError, match="no"):
        worker.accept(Listener(errno.EPERM))


def test_at_a_stop_silence_is_not_waited_for(worker: DeadlineWorker, pair: tuple[Any, socket.socket]) -> None:
    connection, _ = pair
    worker.finish_request(connection, deadlines._SILENT)
    assert list(worker.pending_conns) == [connection]
    worker._cap_keepalive(0.0)
    worker.murder_pending()
    assert (list(worker.pending_conns), worker.nr_conns) == ([], 0)
