"""The metrics of all workers together, on one loopback port.

Invariant: each process counts in files of its own and whoever is asked adds them all up, so that every worker
gives the same figures. Where the files lie is said before `prometheus_client` is first imported, for
it chooses how values are kept when it is loaded; hence nothing of it is imported at the top here.
"""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
FOLDER: Final = "metrics"
_BACKLOG: Final = 16


def collect_in(directory: Path) -> None:
    """Have this process and its children count in files in `directory`, emptied first.

    What earlier processes counted goes: a scraper takes counters that start anew for what they are.
    """
    if directory.exists():
        shutil.rmtree(directory)
    directory.mkdir(mode=0o700)
    os.environ[VARIABLE] = str(directory)


def require_collecting() -> None:
    """That `collect_in` came before the import; else every worker would tell of itself alone."""
    from prometheus_client import values

    if values.ValueClass is values.MutexValue:
        raise RuntimeError("prometheus_client was imported before gateway.scraping.collect_in")


def forget(pid: int) -> None:
    """A worker has ended: what it alone was the living source of is counted no more."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]  # the library leaves it untyped


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base's name
        """Say nothing of a scrape."""


def listen(port: int) -> socket.socket:
    """The listening socket, opened once, before workers are forked: all of them accept from it."""
    listener = socket.create_server(("127.0.0.1", port), backlog=_BACKLOG)
    listener.setblocking(False)  # whoever wakes too late must not wait in accept
    return listener


def answer_on(listener: socket.socket, before: Callable[[], None] = lambda: None) -> None:
    """Answer scrapes in a thread of this process, for as long as it lives, each after a call of `before`."""
    from prometheus_client import CollectorRegistry, make_wsgi_app, multiprocess

    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # likewise
    host, port = listener.getsockname()
    server = _Server((host, port), _Silent, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.server_name, server.server_port = host, port
    server.setup_environ()
    metrics_app: WSGIApplication = make_wsgi_app(registry)

    def app(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        before()
        return metrics_app(environ, start)

    server.set_app(app)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
