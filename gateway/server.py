"""The server: gunicorn with threaded workers, publisher and housekeeping in each, metrics on loopback.

Invariant: custody, database and sealing key are opened in each worker, after the fork; the parent process
holds the home's lock for the life of the server, so that there is never a second server on it, and replaces a
worker that dies. Workers share nothing but database, tiles, file locks and a count of each one's connections
(`accepting`). gunicorn is chosen because it binds several addresses (IPv4 and IPv6 loopback) and hands the
raw request target on, which signatures need (see deploy/docs/adr).
"""

from __future__ import annotations

import gc
import json
import os
import socket
import sys
import time
from typing import Any, Final, cast

import sqlalchemy as sa
import structlog
from gunicorn.app.base import BaseApplication

from consent.policy import categories_off, predicates_off, purposes_off, statutes_off
from gateway import scraping, tracing
from gateway.accepting import Scoreboard
from gateway.config import Settings
from gateway.deadlines import DeadlineWorker
from gateway.errands import Errands
from gateway.house import House
from gateway.housekeeping import Housekeeping
from gateway.http.app import create_app
from gateway.http.express import Express
from gateway.institutions.published import published
from gateway.logs import configure
from gateway.opening import open_house
from gateway.publishing import PublishingThread
from gateway.stock import take_stock
from ledger.files import write_atomic

STATE_FILE = "server.json"
PATIENCE_S: Final = 30.0
AGAIN_S: Final = 0.5
SWITCH_S: Final = 0.0005
"""How long a thread may compute while another waits to go on (s), a tenth of Python's own: whoever holds the
head's lock comes back from the database once an exchange and once from COMMIT, and waits for its turn."""

log = structlog.get_logger(__name__)


class Worker:
    """Everything one worker process runs: house, publisher, housekeeping, application."""

    def __init__(self, settings: Settings) -> None:
        configure(settings)
        tracing.start(settings)
        self.house = open_house(settings)
        self.house.receipts.require_usable()
        self.publishing = PublishingThread(self.house)
        self.housekeeping = Housekeeping(self.house)
        self.errands = Errands(self.house)
        self.app = create_app(self.house, self.publishing)

    def start(self) -> None:
        """Publish, keep house once, start the threads."""
        sys.setswitchinterval(SWITCH_S)
        self.publishing.publish_now()
        self.publishing.start()
        self.housekeeping.start()
        self.errands.start()
        log.info("serving", url=self.house.settings.public_url, log=self.house.origin, pid=os.getpid())

    def stop(self) -> None:
        """End the threads and publish what is left."""
        self.errands.stop()
        self.housekeeping.stop()
        self.publishing.stop()
        tracing.stop()
        self.house.engine.dispose()
        self.house.custody.close()


class _Gunicorn(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn, configured by the settings alone: no file, no command line, no environment."""

    def __init__(self, settings: Settings, scraped: socket.socket) -> None:
        self._settings = settings
        self._scraped = scraped
        self._worker: Worker | None = None
        self._scoreboard = Scoreboard(2 * settings.workers)  # at SIGHUP the new come before the old go
        super().__init__()

    def load_config(self) -> None:
        """As many workers as the settings say; each shares its commits among its threads."""
        settings = self._settings
        chosen: dict[str, Any] = {
            "bind": [f"{_bracketed(address)}:{settings.port}" for address in settings.addresses],
            "workers": settings.workers,
            "worker_class": DeadlineWorker,
            "threads": settings.threads,
            "control_socket_disable": True,
            "loglevel": "warning",
            "proc_name": "chengxin",
            "when_ready": self._when_ready,
            "pre_fork": self._pre_fork,
            "post_worker_init": self._post_worker_init,
            "worker_exit": self._worker_exit,
            "child_exit": self._child_exit,
            "on_exit": self._on_exit,
            "keepalive": 15,
            "graceful_timeout": 20,
            "http_parser": "python",  # the strict one: another, where it is installed, takes folded headers
            "limit_request_line": 4094,
            "limit_request_fields": 50,
            "forwarded_allow_ips": "",
        }
        for name, value in chosen.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Open the house, in the worker; a database that is away for a moment is waited for.

        gunicorn ends the whole server for a worker that fails to load. One that ends by itself is replaced.
        """
        end = time.monotonic() + PATIENCE_S
        while self._worker is None:
            try:
                self._worker = Worker(self._settings)
            except sa.exc.DBAPIError as error:
                log.error("worker.waits", error=type(error).__name__)
                if time.monotonic() > end:
                    sys.exit(1)
                time.sleep(AGAIN_S)
        return self._worker.app

    def _when_ready(self, _server: object) -> None:
        """In the parent, which listens: leave word of the running server for commands on the same home."""
        settings = self._settings
        state = {"pid": os.getpid(), "url": settings.public_url, "metrics_port": settings.metrics_port}
        write_atomic(settings.home / STATE_FILE, json.dumps(state).encode())

    def _pre_fork(self, _server: object, worker: DeadlineWorker) -> None:
        """In the parent: the worker that is about to be has its place among all."""
        worker.place = self._scoreboard.acquire()

    def _post_worker_init(self, server: DeadlineWorker) -> None:
        if self._worker is None:
            raise AssertionError("gunicorn loads the application before it tells")
        worker = self._worker
        server.answer_at_the_front(cast(Express, worker.app.wsgi_app), self._settings.batch_limit)
        scraping.answer_on(self._scraped, before=lambda: take_stock(worker.house, worker.publishing))
        self._worker.start()
        # What is there by now stays: a full collection would go through all of it, and mostly under the lock.
        gc.collect()
        gc.freeze()

    def _worker_exit(self, _server: object, _worker: object) -> None:
        """In the worker, its requests done; one that could not open the house has nothing to end."""
        if self._worker is not None:
            self._worker.stop()

    def _child_exit(self, _server: object, worker: Any) -> None:
        """In the parent, however the worker ended."""
        scraping.forget(worker.pid)
        self._scoreboard.release(worker.place)

    def _on_exit(self, _server: object) -> None:
        """In the parent, last of all."""
        (self._settings.home / STATE_FILE).unlink(missing_ok=True)


def serve(settings: Settings) -> None:
    """Serve until told to stop (SIGTERM, SIGINT). The caller holds `gateway.locks.sole_publisher`.

    The house is opened once beforehand, so that what is wrong is said at once, and once for all workers.
    """
    scraping.require_collecting()
    tracing.require_installed(settings)
    configure(settings)
    house = open_house(settings)
    try:
        _say_what_is_off(house)
    finally:
        house.engine.dispose()
        house.custody.close()
    _Gunicorn(settings, scraping.listen(settings.metrics_port)).run()


def _say_what_is_off(house: House) -> None:
    """What of the policy nobody has checked, and a regulator who is still wanting."""
    for purpose in purposes_off(house.policy):
        log.warning("purpose.off", code=purpose.code, zh=purpose.zh, why="unverified")
    for category in categories_off(house.policy):
        log.warning("category.off", code=category.code, zh=category.zh, why="unverified")
    for statute in statutes_off(house.policy):
        log.warning("statute.off", code=statute.code, zh=statute.zh, why="unverified")
    for rule in predicates_off(house.policy):
        log.warning("predicate.off", name=rule.name, zh=rule.zh, why="unverified")
    with house.read() as conn:
        if not published(house, conn, "regulator"):
            log.warning("not-ready", why="no-regulator", hint="chengxin institution add --sector regulator")


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
