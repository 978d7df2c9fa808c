"""A gateway that really runs: `chengxin serve` with several workers on PostgreSQL, and who is who in it.

Connections are pinned: the kernel says which worker holds one, so that a test chooses whom it talks to.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import httpx

from gateway.client.bank import BankClient
from gateway.config import Settings
from gateway.publishing import PublishingThread
from gateway.server import STATE_FILE
from keys.signing import PrivateKey
from tests import databases
from tests.gateway.kit import Prepared
from tests.gateway.policies import generous
from tests.gateway.world import Citizen, SettableClock, World, _people, new_house

T = TypeVar("T")
PATIENCE_S = 90.0
"""Two busy cores start an interpreter with all of the gateway in seconds, not in milliseconds."""


def until(found: Callable[[], T], what: str) -> T:
    """The first true result. Fails with `what` after a long time."""
    end = time.monotonic() + PATIENCE_S
    while not (result := found()):
        assert time.monotonic() < end, f"in vain: {what}"
        time.sleep(0.02)  # between two looks at another process; nothing is assumed to have happened
    return result


@dataclass
class Server:
    """One `chengxin serve`."""

    settings: Settings
    process: subprocess.Popen[bytes]
    log: Path
    _closing: ExitStack = field(default_factory=ExitStack)

    @property
    def workers(self) -> set[int]:
        """Process ids of the workers: the children of the process that was started."""
        running = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
        return {pid for pid in running if _parent(pid) == self.pid}

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_until_ready(self) -> None:
        """Every worker serves, and the gateway says that it is ready."""
        until(lambda: self._running() and self.said("serving") >= self.settings.workers, "workers serve")
        with httpx.Client(trust_env=False) as http:
            assert http.get(f"{self.settings.public_url}/readyz").status_code == 200, self.log.read_text()

    def _running(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return True

    def said(self, event: str) -> int:
        """How often an event stands in the log."""
        return self.log.read_text().count(f'"event":"{event}"')

    def pinned(self, worker: int) -> httpx.Client:
        """A client whose one connection this worker holds."""
        for _ in range(400):
            http = self._closing.enter_context(
                httpx.Client(trust_env=False, timeout=60, limits=httpx.Limits(max_connections=1))
            )
            stream = http.get(f"{self.settings.public_url}/healthz").extensions["network_stream"]
            if _holds(worker, self.settings.port, stream.get_extra_info("client_addr")[1]):
                return http
        raise AssertionError("the worker accepts no connection")

    def each(self) -> list[httpx.Client]:
        """A pinned client for every worker."""
        return [self.pinned(worker) for worker in sorted(self.workers)]

    def metrics(self) -> dict[str, float]:
        """What a scrape brings, by name and labels."""
        with httpx.Client(trust_env=False) as http:
            text = http.get(f"http://127.0.0.1:{self.settings.metrics_port}/metrics").text
        lines = [line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, _, value in lines}

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        self._closing.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def state(self) -> dict[str, Any] | None:
        """What the server says of itself to commands on its home."""
        path = self.settings.home / STATE_FILE
        return json.loads(path.read_bytes()) if path.exists() else None


def send(http: httpx.Client, prepared: Prepared) -> httpx.Response:
    """A signed request on this connection."""
    return http.request(prepared.method, prepared.url, headers=prepared.headers, content=prepared.content)


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def _holds(pid: int, server_port: int, client_port: int) -> bool:
    """Whether this process holds the server's end of a loopback connection."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        local, remote, inode = (line.split()[place] for place in (1, 2, 9))
        if (int(local[-4:], 16), int(remote[-4:], 16)) == (server_port, client_port):
            return f"socket:[{inode}]" in _descriptors(pid)
    return False


def _descriptors(pid: int) -> set[str]:
    """What the descriptors of a process are; one that was closed meanwhile is left out."""
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            found.add(str(entry.readlink()))
    return found


def start(settings: Settings, log: Path, **environment: str) -> Server:
    """Start `chengxin serve` on this home."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli", "--home", str(settings.home), "serve"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"} | environment,
        )
    return Server(settings, process, log)


@dataclass
class TidyWorld(World):
    """A world that closes its clients: gunicorn keeps connections open."""

    closing: ExitStack = field(default_factory=ExitStack)

    def bank(self, key: PrivateKey | None = None) -> BankClient:
        client = super().bank(key)
        self.closing.callback(client.close)
        return client

    def citizen(
        self, number: str, name: str = "测试", alg: str = "Ed25519", *, enrol: bool = True
    ) -> Citizen:
        citizen = super().citizen(number, name, alg, enrol=enrol)
        self.closing.callback(citizen.client.close)
        return citizen


@dataclass
class Town:
    """A world whose gateway is served by worker processes; `world.house` is the test's own, one more."""

    world: World
    server: Server


@contextmanager
def town(home: Path, **settings: Any) -> Iterator[Town]:
    """A served installation on PostgreSQL, ended on leaving."""
    with databases.using("postgresql"), databases.fresh() as where:
        clock = SettableClock()
        usual = {"host": "127.0.0.1", "workers": 2, "threads": 8}
        house = new_house(home, clock, generous(), **(where | usual | settings))
        with closing(house.custody), ExitStack() as ending:
            ending.callback(house.engine.dispose)
            people = _people(house, PublishingThread(house), None, clock)  # type: ignore[arg-type]
            told = {one.name: getattr(people, one.name) for one in fields(World) if one.init}
            world = TidyWorld(**told)
            ending.enter_context(world.closing)
            server = start(house.settings, home / "server.out")
            made = Town(world, server)
            try:
                server.wait_until_ready()
                yield made
            finally:
                made.server.stop()
