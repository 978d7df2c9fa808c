"""The command `chengxin`: one file for each noun, loaded when it is named.

Invariant: a failure that anybody can foresee is one line on standard error that says what to do, exit
status 1, or 2 for a wrong command line; a traceback is always our own fault. Secrets are read from files,
never from arguments."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click

from gateway.cli.common import LazyGroup, Root, State

_NOUNS = {
    "init": "gateway.cli.init:init",
    "serve": "gateway.cli.serve:serve",
    "demo": "gateway.demo.run:demo_command",
    "sandbox": "gateway.sandbox.run:sandbox",
    "registrar": "gateway.cli.registrar:registrar",
    "regulator": "gateway.cli.regulator:regulator",
    "institution": "gateway.cli.institution:institution",
    "operator": "gateway.cli.operator:operator",
    "citizen": "gateway.cli.citizen:citizen",
    "consent": "gateway.cli.consent:consent",
    "query": "gateway.cli.query:query",
    "statute": "gateway.cli.statute:statute",
    "records": "gateway.cli.records:records",
    "hold": "gateway.cli.hold:hold",
    "erasure": "gateway.cli.erasure:erasure",
    "events": "gateway.cli.events:events",
    "webhook": "gateway.cli.webhook:webhook",
    "notice": "gateway.cli.notice:notice",
    "policy": "gateway.cli.policy:policy",
    "ledger": "gateway.cli.ledger:ledger",
    "keys": "gateway.cli.keys:keys",
    "database": "gateway.cli.database:database",
    "backup": "gateway.cli.backup:backup",
    "restore": "gateway.cli.backup:restore",
    "upgrade": "gateway.cli.backup:upgrade",
    "config": "gateway.cli.config:config",
}


def _version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        click.echo(f"chengxin {version('chengxin-gateway')}")
    except PackageNotFoundError:
        click.echo("chengxin, run from a checkout that is not installed")
    ctx.exit()


@click.command(
    "chengxin",
    cls=Root,
    lazy={name: place for name, place in _NOUNS.items() if name != "demo" or find_spec("gateway.demo.run")},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with `chengxin init --demo`, or see everything at once with `chengxin demo`.",
)
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory of the gateway's state [env: CHENGXIN_HOME; default: ~/.chengxin].",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Show the version and exit.",
)
@click.pass_context
def main(ctx: click.Context, home: Path | None) -> None:
    """Chengxin Gateway (诚信网关): credit queries under the citizen's signed consent, and a ledger of every
    answer and every refusal that nobody can quietly change."""
    ctx.obj = State(home)


__all__ = ["LazyGroup", "main"]
