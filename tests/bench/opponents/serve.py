"""Starts one opponent: `python -m tests.bench.opponents.serve NAME SERVER PORT CONFIG`.

`SERVER` is `gthread` (gunicorn's threaded worker, as it comes), `granian`, or `gateway`: the very server,
worker class and settings that the gateway runs on. Two workers each; `gthread` and `granian` with `THREADS`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from gunicorn.app.base import BaseApplication
from sqlalchemy import Engine

from gateway.config import load_settings
from gateway.server import _Gunicorn
from tests.bench.opponents import crud, floor, plain
from tests.bench.opponents.data import Config, open_engine

APPS: Final[dict[str, Callable[[Config, Engine], Any]]] = {
    "crud": crud.create_app,
    "plain": plain.create_app,
    "floor": floor.create_app,
    "raw floor": floor.raw_app,
}
SERVERS: Final = ("gthread", "granian", "gateway")
WORKERS: Final = 2
THREADS: Final = 16
_ENVIRON: Final = "BENCH_OPPONENT"


def command(name: str, server: str, port: int, config: Path) -> list[str]:
    """The words that start this opponent."""
    return [sys.executable, "-m", "tests.bench.opponents.serve", name, server, str(port), str(config)]


def load() -> Any:
    """The application that the environment names: granian's workers import it anew."""
    name, _, file = os.environ[_ENVIRON].partition("\n")
    config = Config.read(Path(file))
    options = floor.IN_CLEAR if "floor" in name else {}
    return APPS[name](config, open_engine(config, **options))


class _Gthread(BaseApplication):
    """gunicorn as anybody starts it."""

    def __init__(self, port: int) -> None:
        self._port = port
        super().__init__()

    def load_config(self) -> None:
        for name, value in {
            "bind": f"127.0.0.1:{self._port}",
            "workers": WORKERS,
            "worker_class": "gthread",
            "threads": THREADS,
            "keepalive": 15,
            "control_socket_disable": True,
            "loglevel": "warning",
        }.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return load()


class _AsTheGateway(_Gunicorn):
    """The gateway's own server, whatever it is set to, around another application."""

    def __init__(self, port: int, home: Path) -> None:
        home.mkdir(exist_ok=True)
        os.environ |= {"CHENGXIN_PORT": str(port), "CHENGXIN_HOST": "127.0.0.1"}
        settings = load_settings(home)
        super().__init__(settings.model_copy(update={"workers": WORKERS}), None)  # type: ignore[arg-type]

    def load(self) -> Any:
        return load()

    def _post_worker_init(self, worker: object) -> None:
        """Nothing to publish, nothing to scrape."""

    def _child_exit(self, server: object, worker: object) -> None:
        """Nothing to forget."""


def main(name: str, server: str, port: str, config: str) -> None:
    """Serve until SIGTERM."""
    os.environ[_ENVIRON] = f"{name}\n{config}"
    if server == "granian":
        from granian.constants import Interfaces
        from granian.server import Server

        Server(
            "tests.bench.opponents.serve:load",
            factory=True,
            address="127.0.0.1",
            port=int(port),
            interface=Interfaces.WSGI,
            workers=WORKERS,
            blocking_threads=THREADS,
            log_access=False,
        ).serve()
    elif server == "gthread":
        _Gthread(int(port)).run()
    else:
        _AsTheGateway(int(port), Path(config).with_name("floor-home")).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
