"""`chengxin keys`: which keys there are, and where the ledger published them. Never a secret."""

from __future__ import annotations

import click

from gateway.cli.common import State, json_option, opened, pass_state, show_json, show_table

_PURPOSE = {
    "epoch": ("aead", "wraps the data keys of this epoch"),
    "index": ("mac", "finds persons without their number"),
    "rows": ("mac", "protects the rows that decisions read"),
    "checkpoint": ("ed25519", "signs checkpoints"),
    "receipt": ("ed25519", "signs receipts"),
}


@click.group(short_help="Which keys there are.")
def keys() -> None:
    """The gateway's keys: in custody, and as published in the ledger."""


@keys.command(short_help="Show custody and published keys.")
@json_option
@pass_state
def status(state: State, as_json: bool) -> None:
    """Show the keys in custody and the published keys. No secret is shown.

    \b
    chengxin keys status
    """
    from gateway.institutions.published import published

    with opened(state) as house:
        held = house.custody.names()
        epoch = house.keyring.epoch
        with house.read() as conn:
            public = [
                {"use": row["use"], "holder": row["holder"], "kid": row["kid"], "index": row["changed_index"]}
                for row in published(house, conn)
            ]
    custody = [dict(zip(("name", "kind", "use"), (name, *_known(name)), strict=True)) for name in held]
    if as_json:
        show_json({"custody": custody, "epoch": epoch, "published": public})
        return
    click.echo(f"in custody (epoch {epoch})")
    show_table(("name", "kind", "for"), [tuple(key.values()) for key in custody])
    click.echo("\npublished in the ledger")
    show_table(("use", "holder", "thumbprint", "index"), [tuple(key.values()) for key in public])


def _known(name: str) -> tuple[str, str]:
    family, _, version = name.partition("-")
    return _PURPOSE.get(
        family if version.isdigit() or not version else name, ("?", "not a key of this release")
    )
