"""Starting what is measured: the real server as a process of its own, and waiting until it answers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

READY_S: Final = 60.0
STOP_S: Final = 40.0
_POLL_S: Final = 0.05
_LOG_TAIL: Final = 4_000


class DidNotStart(Exception):
    """A server that was to be measured ended, or does not answer."""


def end_in_order() -> None:
    """Have SIGTERM end this process as an exception does, so that every server it started is stopped."""
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))


@contextmanager
def serving(home: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """`chengxin serve` on an installation; its log stands in `<home>/serve.log`."""
    words = [sys.executable, "-m", "gateway.cli", "--home", str(home), "serve"]
    with started(words, port, "/readyz", home / "serve.log") as server:
        yield server


@contextmanager
def started(
    words: Sequence[str], port: int, path: str, log: Path, environ: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A server process, ready when `path` is answered with 200; stopped on leaving. Raises `DidNotStart`."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("CHENGXIN_")}
    with log.open("wb") as file:
        server = subprocess.Popen(
            list(words),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
            env=plain | dict(environ or {}),
        )
    try:
        _wait(server, port, path, log)
        yield server
    except Exception as error:
        error.add_note(f"the server's log, but for requests:\n{_said(log)}")
        raise
    finally:
        server.terminate()
        try:
            server.wait(STOP_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _said(log: Path) -> str:
    """The end of a server's log, requests left out."""
    lines = log.read_text(errors="replace").splitlines(keepends=True)
    return "".join(line for line in lines if '"event":"request"' not in line)[-_LOG_TAIL:]


def _wait(server: subprocess.Popen[bytes], port: int, path: str, log: Path) -> None:
    end = time.monotonic() + READY_S
    while not _answers(port, path):
        if server.poll() is not None or time.monotonic() > end:
            raise DidNotStart(f"{' '.join(server.args[:4])}: {log.read_text(errors='replace')[-2000:]}")  # type: ignore[index]
        time.sleep(_POLL_S)


def _answers(port: int, path: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as sock:
            sock.sendall(
                f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n".encode()
            )
            return sock.recv(64)[9:12] == b"200"
    except OSError:
        return False
