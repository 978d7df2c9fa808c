"""What strikes, at random: workers, whole servers, PostgreSQL, connections. The seed decides, and is printed.

Invariant: whatever was killed is brought back as an installation's supervisor does it, by starting it again
and nothing else; and in the end it is up.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg

from tests import databases
from tests.faults.cluster import Cluster, kill_tree
from tests.gateway.workers.served import Server, start, until

LEAST_S, MOST_S = 0.5, 4.0
"""Between two strikes."""
RESTARTS_S = 0.5


@dataclass
class Installation:
    """A server that a supervisor keeps up, and the cluster under it (None on SQLite)."""

    server: Server
    cluster: Cluster | None
    restarts: int = 0

    def supervise(self) -> None:
        """Start the server again if it ended, as systemd does."""
        if self.server.process.poll() is None:
            return
        self.restarts += 1
        self.server = start(self.server.settings, self.server.log)

    def ready(self) -> bool:
        """Whether it serves, and says that it is ready."""
        import httpx

        self.supervise()
        with suppress(httpx.HTTPError):
            return httpx.get(f"{self.server.settings.public_url}/readyz", trust_env=False).status_code == 200
        return False


@dataclass
class Chaos:
    """Strikes until the time is over."""

    place: Installation
    choose: random.Random
    struck: Counter[str] = field(default_factory=Counter)

    def run(self, end: float) -> None:
        """Strike again and again until `end` (monotonic); then wait until all is up."""
        while time.monotonic() < end:
            self._rest(min(end - time.monotonic(), self.choose.uniform(LEAST_S, MOST_S)))
            if time.monotonic() >= end:
                break
            strike = self.choose.choices(*zip(*self._strikes(), strict=True))[0]
            self.struck[strike.__name__.strip("_").replace("_", " ")] += 1
            strike()
        self._rest(0)
        until(self.place.ready, "the gateway is ready again")

    def _rest(self, seconds: float) -> None:
        """Let time pass, the supervisor awake."""
        end = time.monotonic() + seconds
        self.place.supervise()
        while time.monotonic() < end:
            time.sleep(max(0.0, min(RESTARTS_S, end - time.monotonic())))
            self.place.supervise()

    def _strikes(self) -> list[tuple[Callable[[], None], int]]:
        """What may come, and how often in proportion."""
        common: list[tuple[Callable[[], None], int]] = [
            (self._a_worker_killed, 8),
            (self._the_server_killed, 1),
        ]
        if self.place.cluster is None:
            return common
        return [
            *common,
            (self._connections_cut, 6),
            (self._postgresql_killed, 2),
            (self._postgresql_stopped, 2),
        ]

    def _a_worker_killed(self) -> None:
        workers = sorted(self.place.server.workers)
        if workers:
            with suppress(ProcessLookupError):
                os.kill(self.choose.choice(workers), signal.SIGKILL)

    def _the_server_killed(self) -> None:
        kill_tree(self.place.server.pid)
        self.place.server.process.wait(60)

    def _connections_cut(self) -> None:
        """Some of the gateway's connections, or all."""
        assert self.place.cluster is not None
        with suppress(psycopg.OperationalError), self.place.cluster.connect() as conn:
            found = conn.execute(
                "SELECT pid FROM pg_stat_activity WHERE usename = %s ORDER BY pid", [databases.GATEWAY]
            )
            pids = [pid for (pid,) in found.fetchall()]
            some = self.choose.sample(pids, self.choose.randint(min(1, len(pids)), len(pids)))
            conn.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) pid", [some])

    def _postgresql_killed(self) -> None:
        assert self.place.cluster is not None
        self.place.cluster.kill()
        self._down()

    def _postgresql_stopped(self) -> None:
        assert self.place.cluster is not None
        self.place.cluster.stop_at_once()
        self._down()

    def _down(self) -> None:
        """For a while nobody is there; then it is started again."""
        assert self.place.cluster is not None
        self._rest(self.choose.uniform(0, 1.5))
        self.place.cluster.revive()
