"""`chengxin keys rotate`: each of the gateway's keys, replaced by another; one file for each kind."""

from __future__ import annotations

import click

from gateway.cli.common import LazyGroup

_KINDS = {
    "checkpoint": "gateway.cli.keys_signing:checkpoint",
    "data": "gateway.cli.keys_epoch:data",
    "epoch": "gateway.cli.keys_epoch:epoch",
    "index": "gateway.cli.keys_epoch:index",
    "receipt": "gateway.cli.keys_signing:receipt",
    "root": "gateway.cli.keys_backup:rotate_root",
}


@click.group(short_help="Replace a key by another.", cls=LazyGroup, lazy=_KINDS)
def rotate() -> None:
    """Replace one of the gateway's keys by another. Each command can be run again if it was cut short."""
