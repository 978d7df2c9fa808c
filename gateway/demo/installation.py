"""A gateway of the demo's own: its settings, its installation, its database and its server.

Invariant: whatever happens, what was started here is stopped, unless it is meant to go on; nothing outside
the home is written.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from gateway.config import CONFIG_NAME, Settings, format_config, load_settings
from gateway.demo import server_process
from gateway.demo.failure import DemoFailed
from gateway.demo.home import Home
from gateway.demo.stage import shown
from gateway.house import House
from gateway.logs import configure
from gateway.opening import open_house

Values = Mapping[str, str | int | Path | tuple[str, ...]]


@contextmanager
def installed(home: Home, values: Values, *options: str, log: TextIO | None = None) -> Iterator[House]:
    """A new installation with these settings; the house beside whose server the story goes on.

    `options` are those of `chengxin init`. What this process logs goes to `log`, if it is given.
    """
    _write_settings(home, values)
    server_process.run(server_process.command(home, "init", "--demo", *options))
    settings = load_settings(home.path)
    if log is not None:
        configure(settings, log)
    house = open_house(settings)
    try:
        yield house
    finally:
        house.engine.dispose()
        house.custody.close()


@contextmanager
def running(
    home: Home, values: Values, *, goes_on: bool
) -> Iterator[tuple[subprocess.Popen[bytes], Settings]]:
    """The running server; stopped on any failure, and at the end unless it `goes_on`."""
    server, settings = _started(home, values)
    try:
        yield server, settings
    except BaseException:
        server_process.stop(server)
        raise
    if not goes_on:
        server_process.stop(server)


def _started(home: Home, values: Values) -> tuple[subprocess.Popen[bytes], Settings]:
    """Start the server and wait until it is ready; on other ports when one was taken meanwhile."""
    for _ in range(server_process.ATTEMPTS):
        settings = load_settings(home.path)
        server = server_process.start(home)
        try:
            if server_process.wait_until_ready(server, home, settings):
                return server, settings
        except BaseException:
            server_process.stop(server)
            raise
        _write_settings(home, values)
    raise DemoFailed(f"the server does not start: see {shown(home.server_log)}")


def _write_settings(home: Home, values: Values) -> None:
    """Free ports, unless the values name some, and the values into the home's settings."""
    ports = server_process.free_ports()
    chosen: dict[str, str | int | Path | tuple[str, ...]] = {
        "port": ports.api,
        "metrics_port": ports.metrics,
        **({} if ports.ipv6 else {"host": ("127.0.0.1",)}),
        **values,
    }
    (home.path / CONFIG_NAME).write_text(format_config(chosen), "utf-8")
