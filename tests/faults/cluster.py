"""A PostgreSQL of these tests' own, killed and started again as they like.

Invariant: what was started here ends with this process, whatever ends it (the kernel sees to that), and its
directory goes with it. Nothing is repaired by hand between two starts: no file of the cluster is touched.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg

from gateway.demo import postgres_guard as guard
from gateway.demo.postgres_server import (
    _QUICK,
    PostgresServer,
    _own_directory,
    _reachable,
    find_postgres,
)
from tests import databases

PATIENCE_S = 60.0
LISTENS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "port": "5432",
    "max_connections": "300",
}


class Cluster:
    """One cluster; its socket's directory stays the same over every start."""

    def __init__(self, *, durable: bool) -> None:
        binaries = find_postgres()
        assert binaries is not None, "asked for after `databases.postgres` found one"
        owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self.root = _own_directory(owner)
        self.data, self.sockets = self.root / "data", self.root / "s"
        self._bin = _reachable(binaries, self.root, foreign=owner is not None)
        self._uid, self._gid = (None, None) if owner is None else (owner.pw_uid, owner.pw_gid)
        self._settings = LISTENS | ({} if durable else _QUICK)
        self.server = PostgresServer(self.sockets, binaries.major)
        self._process: subprocess.Popen[bytes] | None = None
        spec: dict[str, Any] = {
            "bin": self._bin,
            "data": self.data,
            "sockets": self.sockets,
            "uid": self._uid,
            "gid": self._gid,
            "durable": durable,
            "hba": databases.HBA,
        }
        guard._prepare(spec)
        guard._make_cluster(spec, self.data)

    @property
    def pid(self) -> int:
        """Process id of the postmaster."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start, and wait until it takes connections; its own recovery included.

        Called by a thread that lives on: the server ends with the thread that started it.
        """
        end = time.monotonic() + PATIENCE_S
        while not self._started():
            # What was killed may be dying yet: the next one refuses the shared memory that is still in use.
            assert time.monotonic() < end, (self.root / "server.log").read_text()[-2000:]

    def _started(self) -> bool:
        options = {"unix_socket_directories": str(self.sockets), **self._settings}
        words = [str(self._bin / "postgres"), "-D", str(self.data)]
        words += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with (self.root / "server.log").open("ab") as out:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd="/",
                env=guard._environment(),
                preexec_fn=guard._become(self._uid, self._gid),  # noqa: PLW1509  it locks nothing
            )
        while self._process.poll() is None:
            with suppress(psycopg.OperationalError), self.connect():
                return True
            time.sleep(0.02)  # between two looks at another process
        return False

    def connect(self) -> psycopg.Connection[Any]:
        """As the superuser, committing each statement."""
        return psycopg.connect(
            host=str(self.sockets), user="postgres", dbname="postgres", autocommit=True, connect_timeout=10
        )

    def kill(self) -> None:
        """SIGKILL to every process of it at once, as when a host's memory runs out."""
        kill_tree(self.pid)

    def stop_at_once(self) -> None:
        """An immediate shutdown: no checkpoint, the next start recovers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(PATIENCE_S)

    def revive(self) -> None:
        """Start again if it was killed."""
        if not self._alive():
            assert self._process is not None
            self._process.wait(PATIENCE_S)
            self.start()

    def _alive(self) -> bool:
        with suppress(psycopg.OperationalError), self.connect():
            return True
        return False

    def close(self) -> None:
        """End it and remove its directory."""
        if self._process is not None:
            guard._stop(self._process)
        shutil.rmtree(self.root, ignore_errors=True)


def kill_tree(pid: int) -> None:
    """SIGKILL to a process and its children."""
    children = [child for child in processes() if parent_of(child) == pid]
    for one in (pid, *children):
        with suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


def processes() -> list[int]:
    """Every process id there is."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def parent_of(pid: int) -> int | None:
    """Whose child a process is; None when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


@contextmanager
def cluster(*, durable: bool = False) -> Iterator[Cluster]:
    """A running cluster on which the houses of the block stand; ended on leaving."""
    made = Cluster(durable=durable)
    before = databases.RUN.postgres
    try:
        made.start()
        databases.RUN.postgres = databases.Postgres(made.server)
        yield made
    finally:
        databases.RUN.postgres = before
        made.close()
