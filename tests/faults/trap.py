"""A trap in a process that runs the real gateway: at one named step, one fault.

Invariant: nothing of the gateway is replaced. What is watched are the database drivers and the calls by which
a file takes its name; each is let through unchanged until the step is reached, and again afterwards.
"""

from __future__ import annotations

import errno
import os
import re
import resource
import signal
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa

from ledger import exchange
from tests.faults.cluster import kill_tree
from tests.faults.steps import COMMIT, FILE, Fault, Step

Call = Callable[[], Any]
FULL = """DO $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device'
USING ERRCODE = 'disk_full'; END $$"""


@dataclass
class Trap:
    """Where, what, and the postmaster to be killed (0 on SQLite)."""

    step: Step
    fault: Fault
    postmaster: int
    sprung: bool = False
    _armed: bool = False
    _reached: int = 0
    _concerned: set[int] = field(default_factory=set)

    def arm(self, copy: Path, served: Path) -> None:
        """Watch from here on."""
        self._pattern = re.compile(
            self.step.pattern.replace("{copy}", re.escape(str(copy))).replace(
                "{served}", re.escape(str(served))
            )
        )
        self._lock = threading.Lock()  # here, for a trap is made in another process
        self._armed = True

    def statement(self, conn: Any, said: str, call: Call) -> Any:
        """A statement on its way to the database."""
        if not self._armed or self.step.kind == FILE or not self._pattern.search(said):
            return call()
        if self.step.kind == COMMIT:
            self._concerned.add(id(conn))
            return call()
        return self._spring(conn, call) if self._is_it() else call()

    def commit(self, conn: Any, call: Call) -> Any:
        """A commit on its way to the database."""
        concerned = id(conn) in self._concerned
        self._concerned.discard(id(conn))
        if not self._armed or self.step.kind != COMMIT or not concerned:
            return call()
        return self._spring(conn, call) if self._is_it() else call()

    def named(self, path: object, call: Call) -> Any:
        """A file about to take its name."""
        if not self._armed or self.step.kind != FILE or not self._pattern.search(str(path)):
            return call()
        return self._spring(None, call) if self._is_it() else call()

    def _is_it(self) -> bool:
        with self._lock:
            self._reached += 1
            if self._reached != self.step.nth:
                return False
            self._armed, self.sprung = False, True
            return True

    def _spring(self, conn: Any, call: Call) -> Any:
        strike: Callable[[Any], None] = getattr(self, "_" + self.fault.name.replace("-", "_"))
        if not self.fault.after:
            strike(conn)
            return call()
        result = call()
        strike(conn)
        return result

    def _killed_before(self, _conn: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    _killed_after = _killed_before

    def _postgres_killed_before(self, _conn: Any) -> None:
        kill_tree(self.postmaster)

    _postgres_killed_after = _postgres_killed_before

    def _cut_before(self, conn: psycopg.Connection[Any]) -> None:
        """The server's end of this connection is gone when this returns."""
        with psycopg.connect(
            host=conn.info.host, user="postgres", dbname="postgres", autocommit=True
        ) as other:
            other.execute("SELECT pg_terminate_backend(%s, 10000)", [conn.info.backend_pid])

    _cut_after = _cut_before

    def _error_and_not_done(self, conn: Any) -> None:
        if conn is None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if isinstance(conn, sqlite3.Connection):
            raise sqlite3.OperationalError("disk I/O error")
        conn.close()
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    _done_but_error = _error_and_not_done

    def _disk_full(self, conn: Any) -> None:
        """No file of this process grows any more; a PostgreSQL says that its own do not."""
        _limit(0)
        if conn is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if isinstance(conn, psycopg.Connection):
            conn.execute(FULL)

    def release(self) -> bool:
        """The fault is over: there is space again. Whether the step was reached at all."""
        self._armed = False
        _limit(resource.RLIM_INFINITY)
        return self.sprung


def _limit(size: int) -> None:
    """The longest a file may become. Python ignores the signal, so that a write fails like any other."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size if hard == resource.RLIM_INFINITY else hard, hard))


def watch(trap: Trap) -> None:
    """Let everything that this process writes pass by the trap."""
    _watch_postgresql(trap)
    _watch_sqlite(trap)
    _watch_files(trap)


def _watch_postgresql(trap: Trap) -> None:
    def watched(real: Callable[..., Any]) -> Callable[..., Any]:
        def pass_by(self: psycopg.Cursor[Any], query: Any, *rest: Any, **named: Any) -> Any:
            said = query.decode() if isinstance(query, bytes) else str(query)
            return trap.statement(self.connection, said, lambda: real(self, query, *rest, **named))

        return pass_by

    sent = exchange.send

    def pass_together(driver: Any, messages: Any, *, commits: bool = False) -> Any:
        def send() -> Any:
            return sent(driver, messages, commits=commits)

        said = "; ".join(form.text for form, _ in messages)
        return trap.statement(driver, said, (lambda: trap.commit(driver, send)) if commits else send)

    exchange.send = pass_together
    commit = psycopg.Connection.commit
    psycopg.Cursor.execute = watched(psycopg.Cursor.execute)  # type: ignore[method-assign]
    psycopg.Cursor.executemany = watched(psycopg.Cursor.executemany)  # type: ignore[method-assign]
    psycopg.Connection.commit = lambda self: trap.commit(self, lambda: commit(self))  # type: ignore[method-assign]


def _watch_sqlite(trap: Trap) -> None:
    class Cursor(sqlite3.Cursor):
        def execute(self, said: str, *rest: Any) -> Any:
            return trap.statement(self.connection, said, lambda: sqlite3.Cursor.execute(self, said, *rest))

        def executemany(self, said: str, *rest: Any) -> Any:
            return trap.statement(
                self.connection, said, lambda: sqlite3.Cursor.executemany(self, said, *rest)
            )

    class Connection(sqlite3.Connection):
        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

        def execute(self, said: str, *rest: Any) -> Any:
            return self.cursor().execute(said, *rest)

        def executemany(self, said: str, *rest: Any) -> Any:
            return self.cursor().executemany(said, *rest)

        def commit(self) -> None:
            trap.commit(self, lambda: sqlite3.Connection.commit(self))

    def connecting(dialect: sa.Dialect, _record: object, _args: object, named: dict[str, Any]) -> None:
        if dialect.name == "sqlite":
            named["factory"] = Connection

    sa.event.listen(sa.Engine, "do_connect", connecting)


def _watch_files(trap: Trap) -> None:
    replace, link = Path.replace, os.link

    def replaced(self: Path, target: Any) -> Any:
        return trap.named(target, lambda: replace(self, target))

    def linked(source: Any, target: Any, **named: Any) -> Any:
        return trap.named(target, lambda: link(source, target, **named))

    Path.replace = replaced  # type: ignore[method-assign,assignment]
    os.link = linked  # type: ignore[assignment]
