"""Runs one PostgreSQL and outlives whoever asked for it by a moment: it stops the server and cleans up.

Invariant: when the pipe on standard input closes, whatever ended the asker, the server is stopped and the
directory that was made for it is removed; should this process itself be killed, the kernel ends the server.
Run as a file of its own, on the standard library only; one line of JSON comes in, one word goes out.

Started by root it gives root up for the server, which refuses to run as root, and for nothing else.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_START_S, _STOP_S = 60, 20


class _Failed(Exception):
    """The server did not come up; the message is what it wrote."""


def _become(uid: int | None, gid: int | None) -> Callable[[], None]:
    """For the child, between fork and exec: give root up, then end with this process."""

    def prepare() -> None:
        if uid is not None and gid is not None:
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
        os.umask(0o077)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)  # after setuid, which would clear it

    return prepare


def _make_cluster(spec: dict[str, Any], data: Path) -> None:
    """initdb, unless the data directory holds a cluster already."""
    if (data / "PG_VERSION").exists():
        return
    words = [
        f"{spec['bin']}/initdb", "--pgdata", str(data), "--username", "postgres", "--encoding", "UTF8",
        "--locale", "C", "--auth", "trust", "--no-instructions",
    ]  # fmt: skip
    if not spec["durable"]:
        words.append("--no-sync")
    made = subprocess.run(  # noqa: S603  the binary that the asker found
        words, check=False, capture_output=True, text=True, cwd="/", env=_environment(),
        preexec_fn=_become(spec["uid"], spec["gid"]),
    )  # fmt: skip
    if made.returncode:
        raise _Failed(made.stderr)
    (data / "pg_hba.conf").write_text("".join(f"{line}\n" for line in spec["hba"]))


def _start(spec: dict[str, Any], data: Path, sockets: Path) -> subprocess.Popen[bytes]:
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(sockets),
        "unix_socket_permissions": "0700",
        "port": "5432",
        **spec["settings"],
    }
    words = [f"{spec['bin']}/postgres", "-D", str(data)]
    for name, value in settings.items():
        words += ["-c", f"{name}={value}"]
    log = data / "server.log"
    with log.open("ab") as output:
        os.chown(log, data.stat().st_uid, data.stat().st_gid)
        server = subprocess.Popen(  # noqa: S603  the binary that the asker found
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", env=_environment(),
            preexec_fn=_become(spec["uid"], spec["gid"]),  # noqa: PLW1509  there are no threads here
        )  # fmt: skip
    ready = data / "postmaster.pid"
    until = time.monotonic() + _START_S
    while server.poll() is None and time.monotonic() < until:
        if ready.exists() and ready.read_text().rstrip().endswith("ready"):
            return server
        time.sleep(0.02)
    _stop(server)
    raise _Failed(log.read_text(errors="replace")[-2000:])


def _stop(server: subprocess.Popen[bytes]) -> None:
    """Fast shutdown, then an immediate one."""
    for sign in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        if server.poll() is None:
            server.send_signal(sign)
            try:
                server.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                continue


def _environment() -> dict[str, str]:
    """Nothing of the asker's: PGDATA, PGPORT and the like would be obeyed."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def _prepare(spec: dict[str, Any]) -> tuple[Path, Path]:
    """Directories of data and socket, owned by whom the server runs as."""
    data, sockets = Path(spec["data"]), Path(spec["sockets"])
    for directory in (data, sockets):
        directory.mkdir(mode=0o700, exist_ok=True)
        if spec["uid"] is not None:
            os.chown(directory, spec["uid"], spec["gid"])
    return data, sockets


def main() -> int:
    """Read what is wanted, start, say `ready`, wait for the end of standard input, stop, clean up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the asker, whose end closes the pipe
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os.close(0) if _is_open(0) else None)
    spec = json.loads(sys.stdin.buffer.readline() or b"{}")
    if not spec:
        return 1
    try:
        data, sockets = _prepare(spec)
        _make_cluster(spec, data)
        server = _start(spec, data, sockets)
        try:
            os.write(1, b"ready\n")
            _wait_for_the_end()
        finally:
            _stop(server)
    except (_Failed, OSError) as error:
        os.write(1, json.dumps(str(error)).encode() + b"\n")
        return 1
    finally:
        for directory in spec["remove"]:
            shutil.rmtree(directory, ignore_errors=True)
    return 0


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _wait_for_the_end() -> None:
    try:
        while os.read(0, 64):
            pass
    except OSError:
        return  # closed by SIGTERM


if __name__ == "__main__":
    sys.exit(main())
