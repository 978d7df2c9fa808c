"""Turns among the processes on one home: file locks, which the kernel gives back when a process dies.

Invariant: a lock never outlives those who hold it, however they end, and its file says nothing and is never
removed, so that all processes lock the same one. Nothing that is heavy to load is imported here: `serve`
takes its right before it loads anything else.

    publisher.lock      the server's, for its whole life: a second server on this home is refused
    turn.lock           one publishing at a time, among workers and commands: held for milliseconds
    housekeeping.lock   the worker that keeps house, for as long as it lives
    errands.lock        the worker that sends webhooks and notices, likewise
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gateway.errors import NotReady

SERVER: Final = "publisher.lock"
TURN: Final = "turn.lock"
HOUSEKEEPING: Final = "housekeeping.lock"
ERRANDS: Final = "errands.lock"


def _open(path: Path) -> int:
    # Each holder has a descriptor of its own: two threads of one process exclude each other as well.
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _take(descriptor: int, *, wait: bool) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


@contextmanager
def turn(path: Path, *, wait: bool) -> Iterator[bool]:
    """Hold the lock for the length of the block; False, and it is not held, when it is and `wait` is not."""
    descriptor = _open(path)
    try:
        yield _take(descriptor, wait=wait)
    finally:
        os.close(descriptor)


@contextmanager
def sole_publisher(home: Path) -> Iterator[None]:
    """Hold the server's right; `NotReady` when another process has it, or there is no such home.

    A process forked inside the block holds it too, until both have ended.
    """
    if not home.is_dir():
        raise NotReady(f"nothing is installed in {home}: run `chengxin init` first")
    with turn(home / SERVER, wait=False) as held:
        if not held:
            raise NotReady("another process publishes this log: a server is running on this home")
        yield


class Seat:
    """A lock taken when it is free and kept until the process ends or `leave` is called."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def taken(self) -> bool:
        """Whether this process sits in it; takes it when nobody does."""
        if self._descriptor is None:
            descriptor = _open(self._path)
            if _take(descriptor, wait=False):
                self._descriptor = descriptor
            else:
                os.close(descriptor)
        return self._descriptor is not None

    def leave(self) -> None:
        """Let somebody else have it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
