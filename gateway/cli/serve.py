"""`chengxin serve`: the server, until it is told to stop."""

from __future__ import annotations

import click

from gateway.cli.common import State, pass_state


@click.command(short_help="Serve the API, publish the ledger.")
@pass_state
def serve(state: State) -> None:
    """Serve the API and publish the ledger, until SIGTERM or Ctrl-C.

    \b
    chengxin --home /srv/chengxin serve
    """
    from gateway.server import serve as run

    run(state.settings())
