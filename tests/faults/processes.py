"""Processes of the gateway, forked ready to work, and what they say of themselves."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.faults import child
from tests.faults.trap import Trap

PATIENCE_S = 90.0


@cache
def _forks() -> Any:
    """Where they are forked: one process that has imported all of the gateway and has no thread."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.faults.child"])
    return context


class Died(Exception):
    """The process ended before it answered."""


@dataclass
class Running:
    """One process; `pipe` is the way to talk to it."""

    process: Any
    pipe: Connection

    def send(self, said: str, *arguments: Any) -> None:
        """Tell it to do something, without waiting."""
        self.pipe.send((said, arguments))

    def answer(self) -> tuple[str, Any]:
        """What came of it: ("done", result) or ("failed", why). Raises Died."""
        assert self.pipe.poll(PATIENCE_S), "the process neither answers nor dies"
        try:
            found: tuple[str, Any] = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            self.process.join(PATIENCE_S)
            raise Died(str(self.process.exitcode)) from None
        return found

    def call(self, said: str, *arguments: Any) -> tuple[str, Any]:
        """Both."""
        try:
            self.send(said, *arguments)
        except BrokenPipeError:
            raise Died("before it was told") from None
        return self.answer()

    def done(self, said: str, *arguments: Any) -> Any:
        """The result of what must succeed."""
        what, result = self.call(said, *arguments)
        assert what == "done", result
        return result

    @property
    def exit(self) -> int | None:
        """Its exit status, minus the signal that killed it; None while it lives."""
        return self.process.exitcode  # type: ignore[no-any-return]

    def end(self) -> None:
        """Let it end by itself, and see that it does."""
        self.pipe.close()
        self.process.join(PATIENCE_S)
        assert self.process.exitcode is not None, "the process does not end"


@contextmanager
def running(home: Path, trap: Trap | None = None, offset: int = 0) -> Iterator[Running]:
    """A process on this home, its clock `offset` ms off; it has opened the house when the block begins."""
    ours, theirs = _forks().Pipe()
    process = _forks().Process(target=child.main, args=(home, offset, trap, theirs), daemon=True)
    process.start()
    theirs.close()
    made = Running(process, ours)
    try:
        assert made.answer() == ("opened", None)
        yield made
    finally:
        made.end()
