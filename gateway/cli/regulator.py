"""`chengxin regulator`: the regulator's (监管) own key, made where the gateway never sees it."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.common import out_option


@click.group(short_help="Make the regulator's key.")
def regulator() -> None:
    """The regulator's key, to which the details of every leaf are sealed."""


@regulator.command(short_help="Make the regulator's key.")
@out_option("Private key file to make (X25519).")
def keygen(out: Path) -> None:
    """Make the key that opens sealed details, and FILE.pub, which `institution add` takes.

    \b
    chengxin regulator keygen --out regulator.jwk
    """
    from gateway.cli.keygen import make_sealing_key

    make_sealing_key(out)
