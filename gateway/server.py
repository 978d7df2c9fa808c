"""The server: gunicorn with one threaded worker, the publisher beside it, metrics on a loopback port.

Invariant: custody, database and sealing key are opened in the worker, after the fork, and the worker
publishes only while it holds the publisher's lock. gunicorn is chosen because it binds several addresses
(IPv4 and IPv6 loopback) and hands the raw request target on, which signatures need (see deploy/docs/adr).
"""

from __future__ import annotations

import json
import os
import threading
from contextlib import ExitStack
from typing import Any

import structlog
from gunicorn.app.base import BaseApplication
from prometheus_client import start_http_server

from consent.policy import categories_off, purposes_off
from gateway.config import Settings
from gateway.consents.ending import lapse_due
from gateway.deadlines import DeadlineWorker
from gateway.house import House
from gateway.http.app import create_app
from gateway.institutions.published import published
from gateway.logs import configure
from gateway.opening import open_house
from gateway.publishing import PublishingThread, sole_publisher
from gateway.transaction import purge_nonces
from ledger.files import write_atomic

HOUSEKEEPING_S = 30.0
STATE_FILE = "server.json"

log = structlog.get_logger(__name__)


class Housekeeping:
    """What time brings about: requests lapse, spent nonces are forgotten."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the turn that is running."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(HOUSEKEEPING_S):
            try:
                lapsed = lapse_due(self._house)
                self._house.transact(purge_nonces, seals=False)
            except Exception as error:  # noqa: BLE001  the next turn tries again; the failure is logged
                log.error("housekeeping.failed", error=type(error).__name__)
            else:
                log.debug("housekeeping.done", lapsed=lapsed)


class Worker:
    """Everything one worker process runs: house, publisher, housekeeping, application."""

    def __init__(self, settings: Settings) -> None:
        configure(settings)
        self._closing = ExitStack()
        self.house = open_house(settings)
        self._closing.enter_context(sole_publisher(self.house))
        self.publishing = PublishingThread(self.house)
        self.housekeeping = Housekeeping(self.house)
        self.app = create_app(self.house, self.publishing)

    def start(self) -> None:
        """Start the threads and say what is switched off."""
        policy = self.house.policy
        for purpose in purposes_off(policy):
            log.warning("purpose.off", code=purpose.code, zh=purpose.zh, why="unverified")
        for category in categories_off(policy):
            log.warning("category.off", code=category.code, zh=category.zh, why="unverified")
        with self.house.read() as conn:
            if not published(self.house, conn, "regulator"):
                log.warning(
                    "not-ready", why="no-regulator", hint="chengxin institution add --sector regulator"
                )
        self.publishing.publish_now()
        self.publishing.start()
        self.housekeeping.start()
        log.info("serving", url=self.house.settings.public_url, log=self.house.origin)

    def stop(self) -> None:
        """Publish what is left, end the threads, give the lock back."""
        self.housekeeping.stop()
        self.publishing.stop()
        self._closing.close()
        self.house.engine.dispose()
        self.house.custody.close()


class _Gunicorn(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn, configured by the settings alone: no file, no command line, no environment."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._worker: Worker | None = None
        super().__init__()

    def load_config(self) -> None:
        """One worker: SQLite has one writer, and group commit shares its commits among the threads."""
        settings = self._settings
        chosen: dict[str, Any] = {
            "bind": [f"{_bracketed(address)}:{settings.port}" for address in settings.addresses],
            "workers": 1,
            "worker_class": DeadlineWorker,
            "threads": settings.threads,
            "control_socket_disable": True,
            "loglevel": "warning",
            "proc_name": "chengxin",
            "post_worker_init": self._post_worker_init,
            "worker_exit": self._worker_exit,
            "keepalive": 15,
            "graceful_timeout": 20,
            "limit_request_line": 4094,
            "limit_request_fields": 50,
            "forwarded_allow_ips": "",
        }
        for name, value in chosen.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Open the house, in the worker."""
        self._worker = Worker(self._settings)
        return self._worker.app

    def _post_worker_init(self, _worker: object) -> None:
        if self._worker is None:
            raise AssertionError("gunicorn loads the application before it tells")
        start_http_server(self._settings.metrics_port, addr="127.0.0.1")
        self._worker.start()
        _write_state(self._settings)

    def _worker_exit(self, _server: object, _worker: object) -> None:
        if self._worker is not None:
            self._worker.stop()


def serve(settings: Settings) -> None:
    """Serve until told to stop (SIGTERM, SIGINT).

    The house is opened once beforehand, so that what is wrong is said at once.
    """
    house = open_house(settings)
    try:
        with sole_publisher(house):
            pass  # nobody else serves this home; the worker takes the lock for good
    finally:
        house.engine.dispose()
        house.custody.close()
    _Gunicorn(settings).run()


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _write_state(settings: Settings) -> None:
    """Leave word of the running server for commands on the same home."""
    state = {"pid": os.getppid(), "url": settings.public_url, "metrics_port": settings.metrics_port}
    write_atomic(settings.home / STATE_FILE, json.dumps(state).encode())
