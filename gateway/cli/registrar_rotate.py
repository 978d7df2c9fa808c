"""`chengxin registrar rotate`: on the registrar's own machine, the old key signs for the new one."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.common import FILE, fail, key_option, out_option, require_free, write_new
from gateway.cli.values import USCC


@click.command(short_help="Replace the registrar's key by another.")
@click.option(
    "--registrar", "registrar_id", type=USCC, required=True, help="The registrar's social credit code."
)
@click.option("--gateway", required=True, help="Origin of the gateway's log, credit.example.cn/log0.")
@key_option("the registrar, as it is in force now")
@click.option("--new-key", type=FILE, required=True, help="Private key file of the registrar from then on.")
@out_option("The rotation to write, for the gateway.")
def rotate(registrar_id: str, gateway: str, key_file: Path, new_key: Path, out: Path) -> None:
    """Sign, with the old key and with the new, that the new one replaces the old at one gateway.

    Certify the officers anew under the new key before the gateway takes the rotation over.

    \b
    chengxin registrar rotate --registrar 91990000DEMA00002P --gateway credit.example.cn/log0 \\
        --key registrar.jwk --new-key registrar-2.jwk --out rotation.json
    """
    from gateway.client.keyfile import read_private_key
    from keys.rotation import format_rotation
    from keys.rotation import rotate as sign

    require_free(out)
    old, new = read_private_key(key_file), read_private_key(new_key)
    if old.kid == new.kid:
        fail("--new-key is the old key: make another with `chengxin registrar keygen`")
    made = sign(gateway, "registrar", registrar_id, old, new)
    write_new(out, format_rotation(made) + b"\n")
    click.echo(f"{new.kid} replaces {old.kid} once the gateway takes it over: {out}")
