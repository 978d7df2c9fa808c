"""The demo's home directory: whose it is, where everything lies in it, and how it is emptied.

Invariant: only a directory that an earlier demo marked as its own, or one that is new or empty, is ever
emptied, and only while this process holds its lock. So a stray `--home` costs nobody an installation.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway.demo.failure import DemoFailed
from gateway.server import STATE_FILE
from ledger.files import write_atomic

TYPE: Final = "chengxin/demo/v1"
PUBLISHER_LOCK: Final = "publisher.lock"
"""What the server holds while it publishes (`gateway.locks.sole_publisher`)."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where the main story, or a chapter, puts what can be verified. `path` is a directory of the home's."""

    path: Path

    @property
    def export(self) -> Path:
        """The exported ledger."""
        return self.path / "export"

    @property
    def insider(self) -> Path:
        """The copies that the insider edits."""
        return self.path / "insider"

    @property
    def kept(self) -> Path:
        """The checkpoint that the bank kept of its answer."""
        return self.path / "kept-checkpoint"


@dataclass(frozen=True, slots=True)
class Home:
    """Where things lie. `path` is absolute and without symbolic links."""

    path: Path

    @property
    def state(self) -> Path:
        """The mark that makes the directory the demo's, with the server's process id once there is one."""
        return self.path / "demo.json"

    @property
    def server_state(self) -> Path:
        """What the running server says of itself."""
        return self.path / STATE_FILE

    @property
    def server_log(self) -> Path:
        """Where the server writes its log."""
        return self.path / "server.log"

    @property
    def own_log(self) -> Path:
        """Where the story's own process writes what would be a log."""
        return self.path / "demo.log"

    @property
    def keys(self) -> Path:
        """Keys of everybody but the gateway, each party's in a folder of its own."""
        return self.path / "keys"

    @property
    def source(self) -> Path:
        """What the source sent, and the report of its import."""
        return self.path / "source"

    @property
    def sent_file(self) -> Path:
        """The source's file."""
        return self.source / "applicants.csv"

    @property
    def import_report(self) -> Path:
        """What the source reads of the import."""
        return self.source / "import-report.txt"

    @property
    def shelf(self) -> Shelf:
        """What the main story leaves for the verifier."""
        return Shelf(self.path)

    @property
    def evidence_shelf(self) -> Shelf:
        """What the chapter of the evidence leaves for the verifier."""
        return Shelf(self.path / "evidence")

    def remember(self, pid: int | None = None) -> None:
        """Mark the home as the demo's, and say which server is its own."""
        write_atomic(self.state, json.dumps({"type": TYPE, "pid": pid}).encode())

    def pids(self) -> tuple[int, ...]:
        """Processes that may be an earlier demo's server, by what the files say; nothing is believed yet."""
        said = (_read_object(path).get("pid") for path in (self.state, self.server_state))
        return tuple(dict.fromkeys(pid for pid in said if type(pid) is int and pid > 1))

    def serving_pid(self) -> int | None:
        """Process id of the server that says it serves this home."""
        pid = _read_object(self.server_state).get("pid")
        return pid if type(pid) is int else None

    def is_the_demos(self) -> bool:
        """Whether an earlier demo made it."""
        return _read_object(self.state).get("type") == TYPE

    def empty(self) -> None:
        """Remove everything but the lock. Raises DemoFailed for a directory that is not the demo's."""
        found = [path for path in self.path.iterdir() if path.name != _LOCK]
        if found and not self.is_the_demos():
            raise DemoFailed(
                f"{self.path} holds something that no demo made, so nothing was touched: "
                "remove it, or choose another home"
            )
        if _is_held(self.path / PUBLISHER_LOCK):
            raise DemoFailed(f"a server that no demo started runs on {self.path}: stop it first")
        for path in sorted(found, key=lambda path: path == self.state):  # the mark goes last
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        self.remember()


_LOCK: Final = "demo.lock"


def _is_held(lock: Path) -> bool:
    """Whether another process holds the lock in this file."""
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def taken(path: Path) -> Iterator[Home]:
    """The home at `path`, made if it is not there, and held against another demo until the story ends."""
    path = path.expanduser().resolve()
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoFailed(f"another demo is being told in {path} just now: wait for its end") from None
        yield Home(path)
    finally:
        os.close(descriptor)


def _read_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
