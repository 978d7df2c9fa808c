"""`chengxin keys rotate epoch|index|data`, `destroy-epoch`, `rewrapped apply`: keys that wrap and find.

Invariant: each may be stopped at any moment and run again; it goes on where it was. No secret is shown.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from gateway.cli.common import (
    FILE,
    State,
    confirm,
    fail,
    json_option,
    note,
    opened,
    pass_state,
    progress,
    read_text,
    show_json,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rich.progress import Progress


@click.command(short_help="Wrap all data keys under a new epoch.")
@json_option
@pass_state
def epoch(state: State, as_json: bool) -> None:
    """Open a new epoch and wrap every data key under it, beside a running server. Cut short, run it again.

    The old epoch's key stays until `chengxin keys destroy-epoch`: only then is what was erased gone from old
    backups too.

    \b
    chengxin keys rotate epoch
    """
    from gateway.rotation.epoch import rotate_epoch

    with opened(state) as house, progress() as bars:
        done = rotate_epoch(house, bar(bars, "wrapping anew"))
    if as_json:
        show_json({"epoch": done.epoch, "count": done.count, "broken": done.broken})
    else:
        click.echo(f"epoch {done.epoch} is in force: {done.count} keys stand under it")
    if done.broken:
        note(
            f"chengxin: {done.broken} of what was wrapped did not open before either; they stay as they were"
        )


@click.command(short_help="Find persons under a new key.")
@json_option
@pass_state
def index(state: State, as_json: bool) -> None:
    """Write the blind index under a new key, beside a running server, and destroy the old key.

    Cut short, run it again.

    \b
    chengxin keys rotate index
    """
    from gateway.rotation.index import rotate_index

    with opened(state) as house, progress() as bars:
        done = rotate_index(house, bar(bars, "writing the index anew"))
    if as_json:
        show_json({"version": done.version, "rows": done.rows, "broken": done.broken})
    else:
        click.echo(f"version {done.version} of the index is in force: {done.rows} rows are found by it")
    if done.broken:
        note(f"chengxin: {done.broken} rows do not open and are found by nobody; they stay as they were")


@click.command(short_help="Encrypt everybody's fields under new keys.")
@click.option("--all", "everybody", is_flag=True, help="Everybody's data keys.")
@click.option(
    "--subject-of", type=FILE, help="One person's: a file with the citizen number, or - for standard input."
)
@json_option
@pass_state
def data(state: State, everybody: bool, subject_of: Path | None, as_json: bool) -> None:
    """Replace data keys by new ones and encrypt what they protect anew, beside a running server.

    Cut short, run it again. An answer given before is not delivered again where records were encrypted anew.

    \b
    chengxin keys rotate data --all
    """
    from gateway.people.subjects import find_by_number
    from gateway.rotation.data import rotate_data
    from keys.blind import canonical_citizen_number

    if everybody == (subject_of is not None):
        fail("say whose keys: --all, or --subject-of FILE with one citizen number")
    with opened(state) as house, progress() as bars:
        subject = None
        if subject_of is not None:
            number = canonical_citizen_number(read_text(subject_of))
            with house.read() as conn:
                found = find_by_number(house, conn, number)
            if not found.known:
                fail("nobody of that citizen number is known here: check the number")
            subject = found.subject
        done = rotate_data(house, bar(bars, "encrypting anew"), subject)
    if as_json:
        show_json({"persons": done.persons, "keys": done.keys, "broken": done.broken})
    else:
        click.echo(f"{done.keys} data keys of {done.persons} persons were replaced")
    if done.broken:
        note(f"chengxin: of {done.broken} persons something does not open; they stay as they were")


@click.command("destroy-epoch", short_help="Destroy the key of a closed epoch.")
@click.argument("epoch", type=click.IntRange(min=1))
@click.option("--yes", is_flag=True, help="Do not ask: this cannot be undone.")
@json_option
@pass_state
def destroy(state: State, epoch: int, yes: bool, as_json: bool) -> None:
    """Destroy the key of EPOCH, which a rotation has closed. What was erased under it is then gone for good.

    Refused while anything needs it, or while a copy of it is not attested as destroyed.

    \b
    chengxin keys destroy-epoch 1 --yes
    """
    from gateway.rotation.destroy import destroy_epoch

    confirm(f"destroy the key of epoch {epoch}? this cannot be undone", yes=yes)
    with opened(state) as house:
        index = destroy_epoch(house, epoch)
    if as_json:
        show_json({"epoch": epoch, "index": index})
    else:
        click.echo(f"the key of epoch {epoch} is destroyed (index {index})")


@click.group(short_help="Keys wrapped anew, for an old database.")
def rewrapped() -> None:
    """The keys that a rotation wrapped anew, kept beside the database (`rewrapped/`)."""


@rewrapped.command(short_help="Put them into a database that was put back.")
@json_option
@pass_state
def apply(state: State, as_json: bool) -> None:
    """Give a database of before a rotation the keys of those who survived. Stop the server first.

    What was erased since that backup stays unreadable: no file holds its keys.

    \b
    chengxin keys rewrapped apply
    """
    from gateway import provision
    from gateway.custody import open_custody
    from gateway.rotation.restored import apply_rewrapped

    settings = state.settings()
    custody = open_custody(settings, os.urandom)
    try:
        with provision.as_owner(settings) as engine:
            done = apply_rewrapped(engine, custody, settings.home)
    finally:
        custody.close()
    if as_json:
        show_json({"epoch": done.epoch, "unreadable": done.unreadable})
    elif done.epoch is None:
        click.echo("no epoch was rotated here: nothing to do")
    else:
        click.echo(f"keys of epoch {done.epoch} are in place; {done.unreadable} open for nobody any more")


def bar(bars: Progress, what: str) -> Callable[[int, int], None]:
    """A bar that a rotation moves on."""
    task = bars.add_task(what, total=None)
    return lambda done, total: bars.update(task, completed=done, total=max(total, done, 1))
