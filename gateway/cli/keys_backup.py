"""`chengxin keys backup|copies|copy-destroyed|restore|rotate root`: the root key, in shares and replaced.

Invariant: a share is written to its own file, mode 0600, and is never on a terminal; a restore is whole or
has not happened. An HSM's keys are copied by the HSM's own means.
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
    opened,
    pass_state,
    progress,
    read_file,
    read_text,
    show_json,
    show_pairs,
    show_table,
    write_new,
)
from gateway.cli.values import UUID_TEXT

if TYPE_CHECKING:
    from gateway.config import Settings
    from keys.custody.copies import CustodyCopy
    from keys.custody.shares import RootShare

DIRECTORY = click.Path(path_type=Path, file_okay=False)
COPY_NAME = "custody-copy.json"


@click.command(short_help="Split the root key into shares.")
@click.option("--shares", type=click.IntRange(2, 16), default=5, show_default=True, help="How many holders.")
@click.option(
    "--threshold",
    type=click.IntRange(2, 16),
    default=3,
    show_default=True,
    help="How many of them restore it together.",
)
@click.option("--out", type=DIRECTORY, required=True, help="Directory to write: new or empty.")
@click.option("--label", required=True, help="Where the copy will be kept, for `keys copies`. No names.")
@json_option
@pass_state
def backup(state: State, shares: int, threshold: int, out: Path, label: str, as_json: bool) -> None:
    """Split the root key into shares (SLIP-39 words, one file for each holder) and copy the keys under it.

    Print each share and give it to its holder, then remove the files. The ledger says that the copy exists.

    \b
    chengxin keys backup --shares 5 --threshold 3 --out backup/ --label "safe of the branch, 2026-11"
    """
    from gateway.copies import announce_copy
    from gateway.ids import new_uuid
    from keys.custody.copies import copy_custody, epochs_in, format_copy
    from keys.custody.file import read_passphrase
    from keys.custody.roots import locked, open_roots
    from keys.custody.shares import format_share, split_root

    settings = _of_file(state)
    _require_empty(out)
    with opened(state) as house:
        roots = open_roots(settings.custody_dir, read_passphrase(settings.passphrase_file))
        if roots.after is not None:
            fail("the root key is being replaced: finish it with `chengxin keys rotate root` first")
        copy = new_uuid(house.random)
        made = split_root(roots.current, house.origin, copy, shares, threshold)
        with locked(settings.custody_dir):
            held = copy_custody(settings.custody_dir, roots.current, house.origin, copy)
        epochs = epochs_in(tuple(held.keys))
        entry = announce_copy(house, copy, label, epochs, shares, threshold)
    out.mkdir(mode=0o700, exist_ok=True)
    files = [out / f"share-{share.number}-of-{shares}.txt" for share in made]
    for file, share in zip(files, made, strict=True):
        write_new(file, format_share(share).encode())
    write_new(out / COPY_NAME, format_copy(held))
    _require_readable(files, threshold, out / COPY_NAME)
    said = {
        "copy": copy,
        "index": entry.index,
        "epochs": list(epochs),
        "threshold": threshold,
        "shares": [str(file) for file in files],
        "file": str(out / COPY_NAME),
    }
    if as_json:
        show_json(said)
        return
    show_pairs({**said, "epochs": " ".join(map(str, epochs)), "shares": f"{shares} in {out}"})
    click.echo(
        f"\nPrint each share, hand it to its holder and remove its file: any {threshold} open everything."
    )
    click.echo(f"Keep {COPY_NAME} away from them. When it is destroyed: chengxin keys copy-destroyed {copy}")


@click.command(short_help="List the copies of custody.")
@json_option
@pass_state
def copies(state: State, as_json: bool) -> None:
    """List the copies that were made of custody, and which are attested as destroyed.

    \b
    chengxin keys copies
    """
    import msgspec

    from gateway.copies import copies as listed

    with opened(state) as house, house.read() as conn:
        found = listed(house, conn)
    if as_json:
        show_json(msgspec.to_builtins(found))
        return
    show_table(
        ("copy", "label", "epochs", "state", "made at", "changed at"),
        [(c.copy, c.label, " ".join(map(str, c.epochs)), c.state, c.made, c.changed) for c in found],
    )


@click.command("copy-destroyed", short_help="Attest that a copy was destroyed.")
@click.argument("copy", type=UUID_TEXT)
@pass_state
def copy_destroyed(state: State, copy: str) -> None:
    """Attest in the ledger that a copy of custody was destroyed, wherever it was kept. First destroy it.

    \b
    chengxin keys copy-destroyed 0f8e2c1a-5b7d-4e3f-9a6b-1c2d3e4f5a6b
    """
    from gateway.copies import attest_destroyed

    with opened(state) as house:
        entry = attest_destroyed(house, copy)
    click.echo(f"attested at index {entry.index}: the copy {copy} is destroyed")


@click.command(short_help="Restore the custody from shares.")
@click.option(
    "--share", "share_files", type=FILE, multiple=True, required=True, help="A holder's share; repeat it."
)
@click.option(
    "--copy", "copy_file", type=FILE, help="The copy of the custody, where the custody itself is lost."
)
@click.option(
    "--new-passphrase-file",
    type=FILE,
    required=True,
    help="File (mode 0600) with the passphrase that shall open the custody from now on.",
)
@pass_state
def restore(
    state: State, share_files: tuple[Path, ...], copy_file: Path | None, new_passphrase_file: Path
) -> None:
    """Restore the custody under a new passphrase: from shares alone where only the passphrase was lost, with
    the copy where the custody was lost too.

    \b
    chengxin keys restore --share share-1-of-5.txt --share share-3-of-5.txt --share share-4-of-5.txt \\
        --copy custody-copy.json --new-passphrase-file passphrase.new
    """
    import os

    from keys.custody.file import read_passphrase
    from keys.custody.roots import restore_custody
    from keys.custody.shares import join_shares

    settings = _of_file(state)
    passphrase = read_passphrase(new_passphrase_file)
    shares = [_share(file) for file in share_files]
    root = join_shares(shares)
    held = None if copy_file is None else _copy(copy_file)
    for origin in {share.origin for share in shares} | (set() if held is None else {held.origin}):
        if origin != settings.origin:
            fail(
                f"these are of {origin}, the settings name {settings.origin}: give others, or correct origin"
            )
    names = restore_custody(settings.custody_dir, root, passphrase, held, os.urandom)
    click.echo(f"{len(names)} keys in {settings.custody_dir}: {' '.join(names)}")
    if new_passphrase_file.resolve() != settings.passphrase_file.resolve():
        click.echo(f"Now put {new_passphrase_file} in the place of {settings.passphrase_file} (mode 0600).")


@click.command("root", short_help="Replace the root key.")
@pass_state
def rotate_root(state: State) -> None:
    """Replace the root key and seal every key under the new one. Shares of the old root open nothing that is
    copied from then on: make new ones. Run it again if it was cut short; restart `serve` afterwards.

    \b
    chengxin keys rotate root
    """
    import os

    from keys.custody import roots
    from keys.custody.file import read_passphrase

    settings = _of_file(
        state, "change the token's PIN, then `chengxin keys rotate epoch`, `data` and `index`"
    )
    passphrase = read_passphrase(settings.passphrase_file)
    with progress() as bars:
        task = bars.add_task("sealing keys", total=None)
        count = roots.rotate_root(
            settings.custody_dir,
            passphrase,
            os.urandom,
            lambda done, total: bars.update(task, completed=done, total=total),
        )
    click.echo(f"{count} keys stand under a new root key")
    note("Old shares still open old copies: run `chengxin keys backup`, destroy those copies and say so.")


def _of_file(state: State, instead: str = "back it up as its maker says") -> Settings:
    """The settings of a `file` custody; of a token it is said what to do instead."""
    settings = state.settings()
    if settings.custody != "file":
        fail(f"these keys are in an HSM and leave it only by its own means: {instead}")
    return settings


def _require_empty(out: Path) -> None:
    if out.exists() and any(out.iterdir()):
        fail(f"{out} is not empty: write into a new directory")
    if not out.parent.is_dir():
        fail(f"{out.parent} is no directory: make it first")


def _share(file: Path) -> RootShare:
    from keys.custody.shares import parse_share
    from keys.errors import BadShare

    try:
        return parse_share(read_text(file))
    except BadShare as error:
        raise BadShare(f"{file}: {error}") from None


def _copy(file: Path) -> CustodyCopy:
    from keys.custody.copies import MAX_COPY_BYTES, parse_copy
    from keys.errors import CustodyError

    try:
        return parse_copy(read_file(file, MAX_COPY_BYTES))
    except CustodyError as error:
        fail(f"{file}: {error}: give the {COPY_NAME} that `keys backup` wrote")


def _require_readable(files: list[Path], threshold: int, copy_file: Path) -> None:
    """What stands on disk, read back, restores the root: said now, not on the day when it is needed."""
    from keys.custody.shares import join_shares

    held = _copy(copy_file)
    shares = [_share(file) for file in files]
    for first in range(len(shares)):
        held.require_under(join_shares([shares[(first + step) % len(shares)] for step in range(threshold)]))
