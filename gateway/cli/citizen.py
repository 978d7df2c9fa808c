"""`chengxin citizen`: the citizen (信息主体) with a key that only they hold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.common import (
    FILE,
    LazyGroup,
    State,
    json_option,
    key_option,
    out_option,
    pass_state,
    read_file,
    show_json,
    show_table,
)
from gateway.cli.connect import Target, accepted, target_options
from gateway.cli.values import THUMBPRINT, person_option, read_person

if TYPE_CHECKING:
    from gateway.client import Access


@click.group(
    cls=LazyGroup,
    lazy={"contact": "gateway.cli.contact:contact"},
    short_help="A citizen's key, report, accesses.",
)
def citizen() -> None:
    """Make, enrol and revoke a citizen's keys, read what is held and who looked."""


@citizen.command(short_help="Make a citizen's key.")
@click.option(
    "--alg",
    type=click.Choice(("Ed25519", "ES256")),
    default="Ed25519",
    show_default=True,
    help="Kind of key.",
)
@out_option("Private key file to make.")
def keygen(alg: str, out: Path) -> None:
    """Make a citizen's key, and FILE.pub, which the registrar certifies.

    \b
    chengxin citizen keygen --out citizen.jwk
    """
    from gateway.cli.keygen import make_signing_key

    make_signing_key(out, alg)


@citizen.command(short_help="Enrol a citizen's certified key.")
@key_option("the citizen")
@click.option("--certificate", type=FILE, required=True, help="What the registrar's two officers signed.")
@person_option()
@target_options
@pass_state
def enrol(state: State, key_file: Path, certificate: Path, person_file: Path | None, **target: Any) -> None:
    """Enrol the citizen's key with the registrar's certificate.

    \b
    chengxin citizen enrol --key citizen.jwk --certificate certificate.json --person person.txt
    """
    number, _ = read_person(person_file)
    held = read_file(certificate)
    with Target(state, **target).citizen(key_file) as client:
        index = accepted(client.enrol(held, number))
    click.echo(f"enrolled at index {index}")


@citizen.command(short_help="Show your keys.")
@key_option("the citizen")
@json_option
@target_options
@pass_state
def keys(state: State, key_file: Path, as_json: bool, **target: Any) -> None:
    """Show every key enrolled for you and from when it acts. Refuse one that you do not know.

    \b
    chengxin citizen keys --key citizen.jwk
    """
    with Target(state, **target).citizen(key_file) as client:
        found = accepted(client.keys(), as_json=as_json)
    if as_json:
        show_json(found)
        return
    show_table(
        ("key", "state", "acts from", "registrar", "index"),
        [
            (one["key"], one["state"], one["effective"], one["registrar"], one["index"])
            for one in found["keys"]
        ],
    )


@citizen.command(short_help="Revoke a key of yours.")
@click.argument("revoked", metavar="[THUMBPRINT]", type=THUMBPRINT, required=False)
@click.option(
    "--cause",
    type=click.Choice(("lost", "compromised", "refused")),
    required=True,
    help="lost keeps what it granted; compromised suspends it; refused: a key that is not in effect yet.",
)
@key_option("the citizen, live")
@json_option
@target_options
@pass_state
def revoke(
    state: State, revoked: str | None, cause: Any, key_file: Path, as_json: bool, **target: Any
) -> None:
    """Revoke (作废) a key of yours by a live one: another by its thumbprint, or this very one without.

    \b
    chengxin citizen revoke V4RzwQ1kP0b3d2tq8m5n7y9c1x3z5b7d9f1h3j5k7m9 --cause lost --key new.jwk
    """
    from gateway.client import Wallet
    from gateway.client.keyfile import read_private_key

    key = read_private_key(key_file)
    place = Target(state, **target)
    with place.citizen(key_file) as client:
        origin = client.pins.vkey.name
        body = Wallet(origin).sign_revocation(revoked or key.kid, cause, origin, key)
        [done] = accepted(client.revoke(body), as_json=as_json)
    if as_json:
        show_json({"key": done.key, "index": done.index, "suspended": done.suspended})
    else:
        click.echo(f"key {done.key} revoked at index {done.index}, {done.suspended} consents suspended")


@citizen.command(short_help="Show what is held about you.")
@key_option("the citizen")
@json_option
@target_options
@pass_state
def report(state: State, key_file: Path, as_json: bool, **target: Any) -> None:
    """Show what is held about you: records, consents, and when each stops being shown (CIR art. 17).

    \b
    chengxin citizen report --key citizen.jwk
    """
    with Target(state, **target).citizen(key_file) as client:
        held = accepted(client.report(), as_json=as_json)
    if as_json:
        show_json(held)
        return
    person = held["person"]
    click.echo(f"{person.get('name', '')} {person['citizen_number']}".strip() + f", as of {held['as_of']}")
    for category, listed in held["records"].items():
        click.echo(f"\n{category}")
        show_table(
            ("occurred", "source", "adverse", "what", "shown until"),
            [
                (
                    r["occurred_on"],
                    r["source"],
                    "yes" if r["adverse"] else "",
                    _plain(r["fields"]),
                    r.get("shown_until"),
                )
                for r in listed
            ],
        )
    click.echo("\nconsents" if held["consents"] else "\nno consents")
    if held["consents"]:
        show_table(
            ("consent", "state", "recipient", "purpose", "categories", "used", "until"),
            [
                (
                    one["consent_id"],
                    one["state"],
                    one["document"]["recipient"],
                    one["document"]["purpose"],
                    " ".join(one["document"]["categories"]),
                    f"{one['uses']} of {one['document']['max_uses']}",
                    one["document"]["not_after"],
                )
                for one in held["consents"]
            ],
        )


@citizen.command(short_help="Show who looked, when and why.")
@key_option("the citizen")
@json_option
@target_options
@pass_state
def accesses(state: State, key_file: Path, as_json: bool, **target: Any) -> None:
    """Show who looked, when and why; each entry is checked against its leaf and proved to stand in the
    ledger.

    \b
    chengxin citizen accesses --key citizen.jwk
    """
    import msgspec

    with Target(state, **target).citizen(key_file) as client:
        listed: tuple[Access, ...] = accepted(client.accesses(), as_json=as_json)
    if as_json:
        show_json(msgspec.to_builtins(listed))
        return
    show_table(
        ("index", "when", "what", "by", "purpose", "categories", "reason", "proved"),
        [line for one in listed for line in (_line(one, ""), *(_line(own, "  ") for own in one.joined))],
    )


def _line(one: Access, indent: str) -> tuple[object, ...]:
    """One entry in the list; those of a query that was unsealed stand indented under the one that did."""
    why = one.purpose if one.statute is None else f"{one.purpose or ''} {one.statute}".strip()
    return (
        one.index,
        one.at,
        indent + one.type,
        one.institution_name or one.institution,
        why,
        " ".join(one.categories),
        one.reason,
        "yes" if one.proven else "not yet",
    )


def _plain(fields: dict[str, Any]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in fields.items())
