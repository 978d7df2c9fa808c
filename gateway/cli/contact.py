"""`chengxin citizen contact`: where a citizen is notified. An address never stands on a command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gateway.cli.common import FILE, State, fail, json_option, key_option, pass_state, read_text, show_json
from gateway.cli.connect import Target, accepted, target_options


@click.group(short_help="Where you are notified.")
def contact() -> None:
    """Where you are notified that there is news in your credit account; the notice says nothing of it."""


def read_address(path: Path, channel: str) -> str:
    """The address in a file: one line, of the channel's form. Fails with one line that does not repeat it."""
    from gateway.contact_forms import is_email, is_mobile

    address = read_text(path).strip()
    if not (is_email(address) if channel == "email" else is_mobile(address)):
        meant = "an e-mail address" if channel == "email" else "a mobile number like +8613800000000"
        fail(f"{path} should hold {meant} and nothing else: correct it")
    return address


@contact.command("set", short_help="Be notified there.")
@key_option("the citizen")
@click.option("--channel", type=click.Choice(("email", "sms")), required=True, help="How.")
@click.option("--address", "address_file", type=FILE, required=True, help="File with the address.")
@click.option(
    "--lang",
    type=click.Choice(("en", "zh-CN")),
    default="zh-CN",
    show_default=True,
    help="In which language.",
)
@target_options
@pass_state
def set_(state: State, key_file: Path, channel: str, address_file: Path, lang: str, **target: Any) -> None:
    """Be notified at an address, in place of the one before. It is kept encrypted, and not in the ledger.

    \b
    chengxin citizen contact set --key citizen.jwk --channel email --address my-address.txt
    """
    address = read_address(address_file, channel)
    with Target(state, **target).citizen(key_file) as client:
        accepted(client.put_contact(channel, address, lang))
    click.echo(f"you are notified by {channel}")


@contact.command(short_help="Show where you are notified.")
@key_option("the citizen")
@json_option
@target_options
@pass_state
def show(state: State, key_file: Path, as_json: bool, **target: Any) -> None:
    """Show where you are notified.

    \b
    chengxin citizen contact show --key citizen.jwk
    """
    with Target(state, **target).citizen(key_file) as client:
        held = accepted(client.contacts(), as_json=as_json)
    if as_json:
        show_json(held)
        return
    for one in held["contacts"]:
        click.echo(f"{one['channel']}  {one['address']}  {one['language']}")
    if not held["contacts"]:
        click.echo("you are not notified")


@contact.command(short_help="Be notified no more.")
@key_option("the citizen")
@target_options
@pass_state
def remove(state: State, key_file: Path, **target: Any) -> None:
    """Be notified no more: every address is forgotten.

    \b
    chengxin citizen contact remove --key citizen.jwk
    """
    with Target(state, **target).citizen(key_file) as client:
        accepted(client.drop_contacts())
    click.echo("you are not notified any more")
