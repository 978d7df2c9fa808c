"""`chengxin institution rotate-key|revoke-key|publish-key`: the keys that registrars and regulators bring."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gateway.cli.common import FILE, State, fail, opened, pass_state, read_file
from gateway.cli.values import USCC


@click.command("rotate-key", short_help="Take over a registrar's new key.")
@click.argument("uscc", type=USCC)
@click.option("--rotation", "file", type=FILE, required=True, help="What `chengxin registrar rotate` wrote.")
@pass_state
def rotate_key(state: State, uscc: str, file: Path) -> None:
    """Have a registrar's new key in force from now on, as both its keys signed.

    Officers certify from here on under certificates by the new key; whoever is enrolled stays so.

    \b
    chengxin institution rotate-key 91990000DEMA00002P --rotation rotation.json
    """
    from gateway.institutions.replaced import rotate_registrar_key
    from keys.errors import KeysError
    from keys.rotation import parse_rotation

    try:
        rotation = parse_rotation(read_file(file).removesuffix(b"\n"))
    except KeysError:
        fail(f"{file} is no rotation: give the file that `chengxin registrar rotate` wrote")
    with opened(state) as house:
        entry = rotate_registrar_key(house, uscc, rotation)
    click.echo(f"{uscc} certifies under {rotation.statement.to} from index {entry.index} on")


@click.command("revoke-key", short_help="End a key that is lost or in wrong hands.")
@click.argument("uscc", type=USCC)
@click.option("--use", type=click.Choice(("registrar", "regulator")), required=True, help="Which key of it.")
@click.option(
    "--cause", type=click.Choice(("compromised", "lost", "retired")), required=True, help="What happened."
)
@pass_state
def revoke_key(state: State, uscc: str, use: str, cause: Any) -> None:
    """End the key of a registrar or regulator: nobody is enrolled, or sealed to, under it any more.

    \b
    chengxin institution revoke-key 91990000DEMA00002P --use registrar --cause compromised
    """
    from gateway.institutions.replaced import revoke_institution_key

    with opened(state) as house:
        entry = revoke_institution_key(house, uscc, use, cause)
    click.echo(f"the {use} key of {uscc} ended at index {entry.index}; publish another with publish-key")


@click.command("publish-key", short_help="Publish a key after the last was revoked.")
@click.argument("uscc", type=USCC)
@click.option("--public", type=FILE, required=True, help="The new public key file (FILE.pub).")
@pass_state
def publish_key(state: State, uscc: str, public: Path) -> None:
    """Publish the new key of a registrar or regulator whose last one was revoked.

    Auditors who pinned the last key of a registrar do not take this one for its successor: they pin it anew.

    \b
    chengxin institution publish-key 91990000DEMA00002P --public registrar-2.jwk.pub
    """
    from gateway.client.keyfile import read_jwk
    from gateway.institutions.replaced import publish_institution_key

    key = read_jwk(public)
    if "d" in key:
        fail(f"{public} holds a private key, which stays where it is: give the .pub file")
    with opened(state) as house:
        entry = publish_institution_key(house, uscc, key)
    click.echo(f"published the new key of {uscc} at index {entry.index}")
