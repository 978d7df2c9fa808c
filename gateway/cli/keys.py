"""`chengxin keys`: which keys there are, and where the ledger published them. Never a secret."""

from __future__ import annotations

import click

from gateway.cli.common import LazyGroup, State, json_option, note, opened, pass_state, show_json, show_table

_PURPOSE = {
    "epoch": ("aead", "wraps the data keys of this epoch"),
    "index": ("mac", "finds persons without their number"),
    "rows": ("mac", "protects the rows that decisions read"),
    "checkpoint": ("ed25519", "signs checkpoints"),
    "receipt": ("ed25519", "signs receipts"),
}


_COMMANDS = {
    "backup": "gateway.cli.keys_backup:backup",
    "copies": "gateway.cli.keys_backup:copies",
    "copy-destroyed": "gateway.cli.keys_backup:copy_destroyed",
    "destroy-epoch": "gateway.cli.keys_epoch:destroy",
    "restore": "gateway.cli.keys_backup:restore",
    "revoke": "gateway.cli.keys_signing:revoke",
    "rewrapped": "gateway.cli.keys_epoch:rewrapped",
    "rotate": "gateway.cli.keys_rotate:rotate",
}


@click.group(short_help="Keys: show, rotate, back up.", cls=LazyGroup, lazy=_COMMANDS)
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
    from gateway.institutions.published import listed
    from gateway.rotation.standing import advice, describe

    with opened(state) as house:
        held = house.custody.names()
        epoch = house.keyring.epoch
        with house.read() as conn:
            public = [
                {
                    "use": row["use"],
                    "holder": row["holder"],
                    "kid": row["kid"],
                    "index": row["since"],
                    "ended": row["ended_index"],
                }
                for row in listed(house, conn)
            ]
            rotation = describe(house, conn)
    custody = [dict(zip(("name", "kind", "use"), (name, *_known(name)), strict=True)) for name in held]
    if as_json:
        show_json({"custody": custody, "epoch": epoch, "published": public, **rotation})
        return
    click.echo(f"in custody (epoch {epoch})")
    show_table(("name", "kind", "for"), [tuple(key.values()) for key in custody])
    click.echo("\npublished in the ledger")
    show_table(("use", "holder", "thumbprint", "from", "before"), [tuple(key.values()) for key in public])
    click.echo("\nepochs, and what stands under each")
    show_table(tuple(rotation["epochs"][0]), [tuple(epoch.values()) for epoch in rotation["epochs"]])
    click.echo("\nversions of the blind index")
    show_table(tuple(rotation["indexes"][0]), [tuple(index.values()) for index in rotation["indexes"]])
    for line in advice(rotation):
        note(line)


def _known(name: str) -> tuple[str, str]:
    family, _, version = name.partition("-")
    return _PURPOSE.get(
        family if version.isdigit() or not version else name, ("?", "not a key of this release")
    )
