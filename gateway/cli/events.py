"""`chengxin events`: what an institution is told, asked for by one of its operators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from gateway.cli.common import State, json_option, key_option, pass_state, show_json, show_table
from gateway.cli.connect import Target, accepted, target_options


@click.command(short_help="Ask what an institution is told.")
@key_option("the operator")
@click.option("--after", type=click.IntRange(0), default=0, show_default=True, help="Last number seen.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="Most at once.")
@json_option
@target_options
@pass_state
def events(state: State, key_file: Path, after: int, limit: int, as_json: bool, **target: Any) -> None:
    """Ask what the operator's institution is told: consents granted, declined, withdrawn, expired, suspended,
    resumed, and corrections of what it was answered, in the order of the ledger.

    \b
    chengxin events --key operator.jwk --after 17
    """
    with Target(state, **target).bank(key_file) as client:
        told = accepted(client.events(after, limit), as_json=as_json)
    if as_json:
        show_json(msgspec.to_builtins(told))
        return
    show_table(
        ("seq", "when", "what", "consent or query", "index"),
        [(one.seq, one.at, one.kind, one.consent_id or one.query_id, one.index) for one in told],
    )
