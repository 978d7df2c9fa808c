"""`chengxin erasure`: shredding by order or by term, and the certificate that it is done (删除)."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.common import (
    FILE,
    State,
    confirm,
    fail,
    json_option,
    note,
    opened,
    out_option,
    pass_state,
    progress,
    read_text,
    require_free,
    show_json,
    show_pairs,
    show_table,
    write_new,
)
from gateway.cli.values import REASON, UUID_TEXT, person_option, read_person

DIRECTORY = click.Path(path_type=Path, file_okay=False)


@click.group(short_help="Erase records; certify it.")
def erasure() -> None:
    """Erase what is past its term or demanded back, and certify it once no backup can be read."""


@erasure.command(short_help="Erase a person's records.")
@person_option()
@click.option("--class", "classes", multiple=True, help="A retention class of the catalogue; repeat it.")
@click.option(
    "--all", "everything", is_flag=True, help="Everything, identity and link too: the person leaves."
)
@click.option("--ground", type=REASON, required=True, help="Why, as the policy lists it, e.g. demanded.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@pass_state
def order(
    state: State,
    person_file: Path | None,
    classes: tuple[str, ...],
    everything: bool,
    ground: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Erase a person's records by retention class, or everything of theirs. There is no way back.

    \b
    chengxin erasure order --person person.txt --class loan --ground demanded
    chengxin erasure order --person person.txt --all --ground demanded
    """
    from gateway.erasure.forget import forget_erased
    from gateway.erasure.order import erase_all, erase_classes

    if bool(classes) == everything:
        raise click.UsageError("name classes with --class, or say --all")
    number, _ = read_person(person_file)
    confirm("This cannot be undone. Erase?", yes=yes)
    with opened(state) as house:
        forget_erased(house)
        if everything:
            erased = erase_all(house, number, ground)
        else:
            erased = erase_classes(house, number, classes, ground)
        forget_erased(house)
    if as_json:
        import msgspec

        show_json(msgspec.to_builtins(erased))
        return
    show_pairs(
        {
            "erasure": erased.erasure,
            "index": erased.index,
            "classes": " ".join(erased.classes),
            "records": erased.count,
        }
    )
    note(f"For the certificate, end epoch {erased.epoch}: `chengxin erasure certificate` says what is to do.")


@erasure.command(short_help="Erase what is past its term.")
@click.option("--dry-run", is_flag=True, help="Only say how many persons it concerns.")
@json_option
@pass_state
def due(state: State, dry_run: bool, as_json: bool) -> None:
    """Erase every record that is past its display term (CIR art. 16). Run it daily; it goes on after a kill.

    \b
    chengxin erasure due
    """
    import msgspec

    from gateway.erasure.due import count_due, erase_due

    with opened(state) as house, progress() as bars:
        persons = count_due(house)
        if dry_run:
            done = None
        else:
            task = bars.add_task("erasing", total=persons)
            done = erase_due(house, lambda count: bars.update(task, completed=count))
    if done is None:
        show_json({"persons": persons}) if as_json else click.echo(
            f"{persons} persons have records past their term"
        )
        return
    if as_json:
        show_json(msgspec.to_builtins(done))
        return
    click.echo(f"{sum(one.count for one in done.erased)} records of {len(done.erased)} persons erased")
    for case in done.held_by:
        note(f"passed over: a person held by case {case}")


@erasure.command("list", short_help="List the erasures.")
@json_option
@pass_state
def list_(state: State, as_json: bool) -> None:
    """List the erasures there were, and which can be certified.

    \b
    chengxin erasure list
    """
    import msgspec

    from gateway.erasure.certificate import listed

    with opened(state) as house, house.read() as conn:
        found = listed(house, conn)
    if as_json:
        show_json(msgspec.to_builtins(found))
        return
    show_table(
        ("erasure", "index", "classes", "ground", "epoch", "certain"),
        [
            (e.erasure, e.index, " ".join(e.classes), e.authority, e.epoch, "yes" if e.certain else "")
            for e in found
        ],
    )


@erasure.command(short_help="Make the certificate of an erasure.")
@click.argument("erasure_id", metavar="ID", type=UUID_TEXT)
@out_option("File to write the certificate to.")
@pass_state
def certificate(state: State, erasure_id: str, out: Path) -> None:
    """Make the signed certificate of an erasure, once the key of its epoch is destroyed; before that, say
    what is still to be done.

    \b
    chengxin erasure certificate 0f8e2c1a-5b7d-4e3f-9a6b-1c2d3e4f5a6b --out certificate.jws
    """
    from gateway.erasure.certificate import certify

    require_free(out)
    with opened(state) as house, house.read() as conn:
        token = certify(house, conn, erasure_id)
    write_new(out, token.encode() + b"\n")
    click.echo(f"certificate of erasure {erasure_id}: {out}")


@erasure.command("verify-certificate", short_help="Check a certificate of erasure.")
@click.argument("file", type=FILE)
@click.option("--export", "directory", type=DIRECTORY, required=True, help="An export of the log.")
@click.option("--vkey", required=True, help="The log's verifier key, as you got it earlier.")
@json_option
def verify_certificate_(file: Path, directory: Path, vkey: str, as_json: bool) -> None:
    """Check a certificate of erasure offline against an export of the log. It needs no installation.

    \b
    chengxin erasure verify-certificate certificate.jws --export export/ --vkey "$VKEY"
    """
    import msgspec

    from gateway.client.certificate import verify_certificate
    from keys.errors import KeysError
    from keys.notes import parse_vkey

    try:
        pinned = parse_vkey(vkey)
    except KeysError:
        fail("--vkey is no verifier key: give the line that `chengxin ledger vkey` prints")
    found = verify_certificate(read_text(file).strip(), directory, pinned)
    if as_json:
        show_json(msgspec.to_builtins(found))
        return
    click.echo(
        f"holds: erasure {found.erasure} of {found.count} records ({' '.join(found.classes)}) at index "
        f"{found.index}; the key of epoch {found.epoch} was destroyed at index {found.destroyed.index}"
    )
