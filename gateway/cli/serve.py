"""`chengxin serve`: the server, until it is told to stop."""

from __future__ import annotations

import errno
import socket

import click

from gateway.cli.common import State, fail, pass_state


@click.command(short_help="Serve the API, publish the ledger.")
@pass_state
def serve(state: State) -> None:
    """Serve the API and publish the ledger, until SIGTERM or Ctrl-C.

    \b
    chengxin --home /srv/chengxin serve
    """
    from gateway.locks import sole_publisher
    from gateway.scraping import FOLDER, collect_in

    settings = state.settings()
    for address in settings.addresses:
        _require_free(address, settings.port, "port")
    _require_free("127.0.0.1", settings.metrics_port, "metrics_port")
    with sole_publisher(settings.home):  # before anything that belongs to the server is touched
        collect_in(settings.home / FOLDER)
        from gateway.server import serve as run  # imports prometheus_client, which must know where by now

        run(settings)


def _require_free(address: str, port: int, setting: str) -> None:
    """Say at once what gunicorn would find out after several tries."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                fail(f"{address} port {port} is in use: stop what listens there, or set another {setting}")
            fail(f"{address} cannot be listened on ({error.strerror}): set host to addresses of this machine")
