"""`chengxin ledger`: the log, for those who keep it and for those who check it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import click

from gateway.cli.common import (
    FILE,
    LazyGroup,
    State,
    fail,
    json_option,
    note,
    opened,
    out_option,
    pass_state,
    progress,
    require_free,
    show_json,
    write_new,
)

DIRECTORY = click.Path(path_type=Path, file_okay=False)


@click.group(
    short_help="Checkpoint, proof, export, verify.",
    cls=LazyGroup,
    lazy={
        "show": "gateway.cli.show:show",
        "recover": "gateway.cli.recover:recover",
        "reopen": "gateway.cli.recover:reopen",
    },
)
def ledger() -> None:
    """The ledger: checkpoints, proofs, exports, and their verification."""


@ledger.command(short_help="Publish, and print the checkpoint.")
@json_option
@pass_state
def checkpoint(state: State, as_json: bool) -> None:
    """Publish what is new, and print the signed checkpoint (C2SP tlog-checkpoint).

    \b
    chengxin ledger checkpoint
    """
    from gateway.cli.publication import newest_checkpoint

    with opened(state) as house:
        published = newest_checkpoint(house)
    found = published.checkpoint
    if as_json:
        show_json(
            {
                "origin": found.origin,
                "size": found.size,
                "root": found.root.hex(),
                "note": published.note.decode(),
            }
        )
    else:
        click.echo(published.note.decode(), nl=False)


@ledger.command(short_help="Export the log for an auditor.")
@click.option("--to", type=DIRECTORY, required=True, help="Directory to write: new or empty.")
@click.option(
    "--sealed/--no-sealed",
    default=True,
    show_default=True,
    help="With the sealed details, which only a regulator's key opens; leave them out for anybody else.",
)
@json_option
@pass_state
def export(state: State, to: Path, sealed: bool, as_json: bool) -> None:
    """Export everything committed by now: checkpoint, C2SP tiles, policies, keys and sealed details.

    \b
    chengxin ledger export --to export/
    """
    from gateway.cli.publication import newest_checkpoint
    from gateway.export import export_ledger
    from gateway.publishing import vkey_of
    from keys.notes import format_vkey

    if to.exists() and any(to.iterdir()):
        fail(f"{to} is not empty: export into a new directory")
    with opened(state) as house, progress() as bars:
        published = newest_checkpoint(house)
        task = bars.add_task("exporting", total=None)
        done = export_ledger(
            house,
            published,
            to,
            sealed=sealed,
            progress=_steps(lambda step: bars.update(task, completed=step)),
        )
        vkey = format_vkey(vkey_of(house))
    size = done.checkpoint.size
    if as_json:
        show_json(
            {
                "to": str(to),
                "size": size,
                "root": done.checkpoint.root.hex(),
                "sealed": done.sealed,
                "vkey": vkey,
            }
        )
    else:
        click.echo(f"{size} leaves and {done.sealed} sealed details in {to}")
        line = [_interpreter(), "-m", "ledger.verify", str(to), "--vkey", vkey]
        click.echo(f"verify it, here or anywhere:  {shlex.join(line)}")
    if not done.intact:
        note("chengxin: the leaves do not add up to the signed checkpoint: verify the export, it says where")


def _interpreter() -> str:
    """This Python as one would type it here: another one may lack what the verifier imports."""
    found, here = Path(sys.executable), Path.cwd()
    return str(found.relative_to(here)) if found.is_relative_to(here) else str(found)


def _steps(show: Callable[[int], object]) -> Callable[[], None]:
    """A progress callback that counts, and shows every hundredth step."""
    count = 0

    def step() -> None:
        nonlocal count
        count += 1
        if count % 100 == 0:
            show(count)

    return step


@ledger.command(short_help="Verify an export.")
@click.argument("directory", type=DIRECTORY)
@click.option("--vkey", help="The log's verifier key, as you got it earlier; default: this home's own.")
@click.option(
    "--registrar",
    "registrars",
    multiple=True,
    metavar="ID=FILE",
    help="A registrar's public key you trust; repeatable.",
)
@click.option("--regulator-key", type=FILE, help="A regulator's private key: sealed evidence is checked too.")
@click.option("--kept", type=FILE, multiple=True, help="A checkpoint you kept earlier; repeatable.")
@click.option(
    "--recovered", type=int, multiple=True, help="Entry of a recovery that you know of; repeatable."
)
@json_option
@pass_state
def verify(
    state: State,
    directory: Path,
    vkey: str | None,
    registrars: tuple[str, ...],
    regulator_key: Path | None,
    kept: tuple[Path, ...],
    recovered: tuple[int, ...],
    as_json: bool,
) -> None:
    """Verify an export: every leaf and hash, and that every answer was allowed. The same as python -m
    ledger.verify.

    \b
    chengxin ledger verify export/ --vkey "$VKEY" --registrar 91990000DEMA00002P=registrar.jwk.pub \\
        --regulator-key regulator.jwk
    """
    from ledger.verify.__main__ import main

    if vkey is None:
        vkey = _home_vkey(state)
        note("note: checked against this home's own key; an auditor gives the --vkey they got earlier")
    arguments = [str(directory), "--vkey", vkey]
    for pin in registrars:
        arguments += ["--registrar", pin]
    for file in kept:
        arguments += ["--kept", str(file)]
    for index in recovered:
        arguments += ["--recovered", str(index)]
    if regulator_key is not None:
        from gateway.client.keyfile import read_jwk

        read_jwk(regulator_key)  # refuses a private key that others can read
        arguments += ["--regulator-key", str(regulator_key)]
    click.get_current_context().exit(main([*arguments, "--json"] if as_json else arguments))


@ledger.command(short_help="Print the inclusion proof of a leaf.")
@click.argument("index", type=click.IntRange(min=0))
@out_option("File to write the proof to.", required=False)
@json_option
@pass_state
def proof(state: State, index: int, out: Path | None, as_json: bool) -> None:
    """Print the inclusion proof of one leaf (C2SP tlog-proof@v1), which verifies offline.

    \b
    chengxin ledger proof 42
    """
    from gateway.cli.publication import newest_checkpoint
    from gateway.publishing import proof_of
    from ledger.merkle import leaf_hash
    from ledger.rows import read_leaf

    require_free(out)
    with opened(state) as house:
        published = newest_checkpoint(house)
        size = published.checkpoint.size
        if index >= size:
            fail(f"there is no leaf {index}: the log has {size}, the last is {size - 1}")
        text = proof_of(house, published, index)
        with house.read() as conn:
            leaf = read_leaf(conn, house.shard, index)
    if out is not None:
        write_new(out, text)
    if as_json:
        show_json(
            {
                "index": index,
                "leaf": "" if leaf is None else leaf_hash(leaf).hex(),
                "size": size,
                "proof": text.decode(),
            }
        )
    elif out is None:
        click.echo(text.decode(), nl=False)
    else:
        click.echo(f"proof of leaf {index} under {size} leaves: {out}")


@ledger.command(short_help="Print the log's verifier key.")
@pass_state
def vkey(state: State) -> None:
    """Print the key that verifies this log's checkpoints. Give it to everybody, early.

    \b
    chengxin ledger vkey
    """
    click.echo(_own_vkey(state))


def _home_vkey(state: State) -> str:
    """The key of this home, for whoever gave none. An auditor has no home, and is told what to give."""
    from gateway.errors import NotReady

    try:
        return _own_vkey(state)
    except NotReady as error:
        fail(f"{error}; an auditor, who has no installation, gives --vkey as the gateway handed it out")


def _own_vkey(state: State) -> str:
    from gateway.publishing import vkey_of
    from keys.notes import format_vkey

    with opened(state) as house:
        return format_vkey(vkey_of(house))
