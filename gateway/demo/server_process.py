"""The demo's server: the real one, in a process and session of its own, on ports that are free.

Invariant: a process is signalled only while its own command line says that it serves this very home, so a
process id that the system gave to somebody else meanwhile is never touched. Every wait has an end.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Final

import httpx

from gateway.config import Settings
from gateway.demo.failure import DemoFailed
from gateway.demo.home import Home

READY_S: Final = 60.0
STOP_S: Final = 40.0
"""Longer than gunicorn's own grace (20 s) for requests that are running."""
ATTEMPTS: Final = 3
COMMAND_S: Final = 120.0
_POLL_S: Final = 0.05
_WATCH_S: Final = 1.0
_LOOPBACKS: Final = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


@dataclass(frozen=True, slots=True)
class Ports:
    """Two free ports, and whether this machine has an IPv6 loopback."""

    api: int
    metrics: int
    ipv6: bool


def free_ports() -> Ports:
    """Two different ports that nobody listened on a moment ago, on every loopback address there is."""
    ipv6 = has_ipv6()
    first = _free_port(ipv6)
    second = _free_port(ipv6)
    while second == first:
        second = _free_port(ipv6)
    return Ports(first, second, ipv6)


def has_ipv6() -> bool:
    """Whether ::1 can be bound here: some containers and hardened machines have no IPv6."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def _free_port(ipv6: bool) -> int:
    """One port that is free on 127.0.0.1 and, where there is one, on ::1."""
    for _ in range(100):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
            if not ipv6:
                return port
            try:
                with socket.socket(socket.AF_INET6) as other:
                    other.bind(("::1", port))
            except OSError:
                continue
            return port
    raise DemoFailed("no port is free on both 127.0.0.1 and ::1")


def command(home: Home, *words: str) -> list[str]:
    """A `chengxin` command on this home, run by this very interpreter."""
    return [sys.executable, "-m", "gateway.cli", "--home", str(home.path), *words]


def run(words: list[str]) -> str:
    """Run a command of ours and give back what it printed; its own error line when it fails."""
    done = subprocess.run(  # noqa: S603  our own commands, no shell
        words, capture_output=True, text=True, timeout=COMMAND_S, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise DemoFailed(said[-1].removeprefix("chengxin: ") if said else "a command failed without a word")
    return done.stdout


def start(home: Home) -> subprocess.Popen[bytes]:
    """Start the server in its own session, so that it outlives the shell; its log goes to a file."""
    with home.server_log.open("ab") as log:
        server = subprocess.Popen(  # noqa: S603  our own command, no shell
            command(home, "serve"),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
    home.remember(server.pid)
    return server


def wait_until_ready(server: subprocess.Popen[bytes], home: Home, settings: Settings) -> bool:
    """Poll /readyz on every address until this very server answers on all; False when it ended instead.

    Raises DemoFailed when it is not ready in time.
    """
    end = time.monotonic() + READY_S
    waiting = [f"{base_url(address, settings.port)}/readyz" for address in settings.addresses]
    with httpx.Client(timeout=5.0, trust_env=False) as http:
        while waiting:
            if server.poll() is not None:
                return False
            if time.monotonic() > end:
                raise DemoFailed(f"the server was not ready within {READY_S:.0f} s: see {home.server_log}")
            if home.serving_pid() == server.pid:  # another's server on this port would not be an answer
                waiting = [url for url in waiting if not _is_ready(http, url)]
            if waiting:
                time.sleep(_POLL_S)
    return True


def base_url(address: str, port: int) -> str:
    """The origin of the server at one IP address."""
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


def _is_ready(http: httpx.Client, url: str) -> bool:
    try:
        return http.get(url).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def earlier(home: Home) -> tuple[int, ...]:
    """Processes of an earlier demo that still serve this home."""
    return tuple(pid for pid in home.pids() if serves(pid, home))


def serves(pid: int, home: Home) -> bool:
    """Whether the process `pid` is a `chengxin serve` of this very home."""
    words = command_line(pid)
    own = "gateway.cli" in words or any(Path(word).name == "chengxin" for word in words)
    return own and "serve" in words and any(_names(word, pid, home) for word in words)


def _names(word: str, pid: int, home: Home) -> bool:
    """Whether a word of a process's command line is the path of the home, perhaps a relative one."""
    try:
        return word != "" and (Path(f"/proc/{pid}/cwd") / word).resolve() == home.path
    except OSError:
        return word == str(home.path)


def command_line(pid: int) -> list[str]:
    """The command line of a running process; empty when there is none, or it has ended."""
    entry = Path(f"/proc/{pid}/cmdline")
    if Path("/proc/self/cmdline").exists():
        try:
            return entry.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            return []
    ps = shutil.which("ps")
    if ps is None:
        return []
    asked = subprocess.run(  # noqa: S603  a fixed command with a number
        [ps, "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return asked.stdout.split()


def stop_earlier(pid: int, home: Home) -> None:
    """Stop an earlier server of this home, which is no child of ours. Raises DemoFailed when it stays."""
    if serves(pid, home):
        os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + STOP_S
    while serves(pid, home):
        if time.monotonic() > end:
            raise DemoFailed(f"the earlier server does not stop: look at process {pid}, then try again")
        time.sleep(_POLL_S)


def stop(server: subprocess.Popen[bytes]) -> None:
    """Stop the server that this process started, and wait for its end."""
    if server.poll() is None:
        server.terminate()
    try:
        server.wait(STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)  # its own session: nobody else is in the group
        server.wait()


def wait_until_stopped(server: subprocess.Popen[bytes]) -> None:
    """Wait until somebody stops this command, by Ctrl-C or SIGTERM, or the server ends."""
    stopped = Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda *_: stopped.set())
    try:
        while not stopped.wait(_WATCH_S) and server.poll() is None:
            pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
