"""`chengxin backup`, `restore`, `upgrade`: what keeps an installation through its second month.

Invariant: a backup holds no secret, and no command here overwrites anything; `upgrade` touches the database
only after a backup of it stands.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.common import (
    FILE,
    State,
    fail,
    json_option,
    note,
    pass_state,
    progress,
    read_file,
    show_json,
)

if TYPE_CHECKING:
    from gateway.recovery.restore import Newest
    from gateway.recovery.standing import Found

DIRECTORY = click.Path(path_type=Path, file_okay=False)


@click.command(short_help="Back up everything but the secrets.")
@click.option("--to", type=DIRECTORY, required=True, help="Directory in which each backup gets its own.")
@click.option("--keep", type=click.IntRange(min=1), help="How many backups stay there; the oldest go.")
@json_option
@pass_state
def backup(state: State, to: Path, keep: int | None, as_json: bool) -> None:
    """Back up database, log and settings, while the server runs. Custody and passphrase are never in it.

    \b
    chengxin backup --to backups --keep 30
    """
    from gateway.house import wall_clock
    from gateway.recovery.backup import take_backup

    with progress() as bars:
        task = bars.add_task("rows", total=None)
        made = take_backup(
            state.settings(), to, wall_clock(), lambda some: bars.update(task, advance=some), keep
        )
    said = {
        "backup": str(made.path),
        "origin": made.manifest.origin,
        "size": made.manifest.size,
        "rows": made.manifest.rows,
        "schema": made.manifest.schema,
    }
    if as_json:
        show_json(said)
    else:
        click.echo(f"{made.manifest.size} leaves, {made.manifest.rows} rows in {made.path}")
        note("chengxin: keep it apart from the passphrase and from the shares of `chengxin keys backup`")


@click.command(short_help="Restore a backup into an empty database.")
@click.argument("path", metavar="BACKUP", type=DIRECTORY)
@click.option(
    "--checkpoint", type=FILE, help="The newest checkpoint that anybody kept, if the own copy is lost."
)
@click.option(
    "--vkey", help="The log's verifier key, if it was rotated between the backup and that checkpoint."
)
@json_option
@pass_state
def restore(state: State, path: Path, checkpoint: Path | None, vkey: str | None, as_json: bool) -> None:
    """Restore a backup: the database, and the log where none is. Nothing that stands is overwritten.

    Afterwards the log is compared with the newest checkpoint: if the backup is older, `chengxin ledger
    recover` brings back what came after it.

    \b
    chengxin restore backups/chengxin-20261122T033207.000000Z
    """
    from gateway.logs import configure
    from gateway.recovery.restore import restore_backup
    from gateway.recovery.standing import standing_of

    settings = state.settings()
    configure(settings)
    with progress() as bars:
        task = bars.add_task("rows", total=None)
        done = restore_backup(
            settings, path, _newest(checkpoint, vkey), lambda some: bars.update(task, advance=some)
        )
    found = standing_of(settings)
    said = {
        "rows": done.rows,
        "size": done.manifest.size,
        "standing": found.standing.value,
        "checkpoint": found.outside,
        "tiles": found.tiles,
        "log_restored": done.log_restored,
        "unreadable": done.applied.unreadable,
    }
    if as_json:
        show_json(said)
        return
    click.echo(f"{done.rows} rows, {done.manifest.size} leaves restored")
    if done.applied.unreadable:
        click.echo(f"{done.applied.unreadable} data keys open no more: what they closed was erased")
    click.echo(_next_step(found))


@click.command(short_help="Back up, bring the schema to this release's, and check.")
@click.option("--backup-to", type=DIRECTORY, required=True, help="Directory for the backup taken before.")
@json_option
@pass_state
def upgrade(state: State, backup_to: Path, as_json: bool) -> None:
    """Take a backup, bring the database to this release's schema, and open the gateway once to check it.

    Run it with the new release installed and the server stopped; again, if it was cut short.

    \b
    chengxin upgrade --backup-to backups
    """
    from gateway.house import wall_clock
    from gateway.logs import configure
    from gateway.recovery.upgrade import upgrade as bring_up

    settings = state.settings()
    configure(settings)
    with progress() as bars:
        task = bars.add_task("backup", total=None)
        done = bring_up(settings, backup_to, wall_clock(), lambda some: bars.update(task, advance=some))
    if as_json:
        show_json(
            {
                "backup": str(done.backup.path),
                "before": done.before,
                "schema": done.after,
                "size": done.size,
            }
        )
        return
    click.echo(f"backup: {done.backup.path}")
    click.echo(f"schema: {done.before} -> {done.after}; the log's {done.size} leaves and their rows open")


def _newest(checkpoint: Path | None, vkey: str | None) -> Newest | None:
    from gateway.recovery.restore import Newest
    from keys.notes import parse_vkey

    if checkpoint is None:
        if vkey is not None:
            fail("--vkey goes with --checkpoint FILE: give both, or neither")
        return None
    return Newest(read_file(checkpoint), None if vkey is None else parse_vkey(vkey))


def _next_step(found: Found) -> str:
    from gateway.recovery.standing import Standing

    behind = f"the log went on to {max(found.outside, found.tiles)} leaves, and its tiles hold"
    match found.standing:
        case Standing.WHOLE:
            return "nothing came after this backup: run `chengxin serve`"
        case Standing.RECOVERABLE:
            return f"{behind} them: run `chengxin ledger recover`"
        case Standing.BEYOND:
            return f"{behind} only {found.tiles}: find the tiles, or run `chengxin ledger reopen NEW-ORIGIN`"
