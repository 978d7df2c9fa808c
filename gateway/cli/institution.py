"""`chengxin institution`: who may take part, and their standing. Every change is a leaf."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.common import (
    FILE,
    LazyGroup,
    State,
    fail,
    json_option,
    opened,
    out_option,
    pass_state,
    show_json,
    show_table,
)
from gateway.cli.values import REASON, USCC, WHEN

if TYPE_CHECKING:
    from keys.signing import Jwk

SECTORS = (
    "finance",
    "agency",
    "e-commerce",
    "delivery",
    "property",
    "data",
    "apps",
    "source",
    "registrar",
    "regulator",
)
USUAL_ROLE = {"source": "source", "registrar": "registrar", "regulator": "audit"}
_BRINGS = {"registrar": "registrar keygen", "regulator": "regulator keygen"}


_COMMANDS = {
    "publish-key": "gateway.cli.institution_keys:publish_key",
    "revoke-key": "gateway.cli.institution_keys:revoke_key",
    "rotate-key": "gateway.cli.institution_keys:rotate_key",
}


@click.group(short_help="Register and suspend institutions.", cls=LazyGroup, lazy=_COMMANDS)
def institution() -> None:
    """Institutions (机构): banks and agencies, sources, registrars, regulators."""


@institution.command(short_help="Register an institution.")
@click.argument("uscc", type=USCC)
@click.option("--name", required=True, help="Its registered name.")
@click.option("--sector", type=click.Choice(SECTORS), required=True, help="What it is.")
@click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice(("query", "source", "registrar", "audit", "admin")),
    help="What it may do; repeatable. Default: query, or what a source, registrar or regulator does.",
)
@click.option("--public", type=FILE, help="Public key file that a registrar or regulator brings (FILE.pub).")
@click.option(
    "--encryption-key",
    type=FILE,
    help="Public X25519 key file of a bank or agency: its answers are encrypted to it.",
)
@pass_state
def add(
    state: State,
    uscc: str,
    name: str,
    sector: str,
    roles: tuple[str, ...],
    public: Path | None,
    encryption_key: Path | None,
) -> None:
    """Register the institution with this unified social credit code (统一社会信用代码).

    \b
    chengxin institution add 91990000DEMA00003T --name "Demo Bank" --sector finance --role query
    chengxin institution add 91990000DEMA00004X --name Regulator --sector regulator --public regulator.jwk.pub
    """
    from gateway.client.keyfile import read_public_key
    from gateway.institutions.register import NewInstitution, add_institution

    if (public is not None) != (sector in _BRINGS):
        if public is not None:
            fail(f"a {sector} institution brings no key: leave --public out; its operators have their own")
        fail(
            f"a {sector} brings its public key: "
            f"make one with `chengxin {_BRINGS[sector]}` and give it with --public"
        )
    sealing = _read_x25519(public) if public is not None and sector == "regulator" else None
    new = NewInstitution(
        institution=uscc,
        name=name,
        sector=sector,
        roles=roles or (USUAL_ROLE.get(sector, "query"),),
        registrar_key=read_public_key(public) if public is not None and sector == "registrar" else None,
        regulator_key=sealing,
        encryption_key=None if encryption_key is None else _read_x25519(encryption_key),
    )
    with opened(state) as house:
        entry = add_institution(house, new)
    click.echo(f"registered {uscc} ({sector}: {', '.join(sorted(set(new.roles)))}) at index {entry.index}")


@institution.command(short_help="Make an encryption key.")
@out_option("Private key file to make (X25519).")
def keygen(out: Path) -> None:
    """Make the key that opens an institution's encrypted answers, and FILE.pub, which `encryption-key` takes.

    \b
    chengxin institution keygen --out bank-encryption.jwk
    """
    from gateway.cli.keygen import make_sealing_key

    make_sealing_key(out)


@institution.command("encryption-key", short_help="Encrypt an institution's answers.")
@click.argument("uscc", type=USCC)
@click.argument("file", type=FILE)
@pass_state
def encryption_key(state: State, uscc: str, file: Path) -> None:
    """Encrypt the answers to an institution to this public key from here on. A later key replaces it.

    \b
    chengxin institution encryption-key 91990000DEMA00003T bank-encryption.jwk.pub
    """
    from gateway.institutions.register import set_encryption_key

    key = _read_x25519(file)
    with opened(state) as house:
        entry = set_encryption_key(house, uscc, key)
    click.echo(f"answers to {uscc} are encrypted to this key from index {entry.index} on")


def _read_x25519(file: Path) -> Jwk:
    """A public X25519 key out of a file."""
    from gateway.client.keyfile import read_jwk
    from keys.errors import KeysError
    from keys.sealing import parse_x25519_jwk

    jwk = read_jwk(file)
    try:
        parse_x25519_jwk(jwk)
    except KeysError:
        fail(f"{file} holds no public X25519 key: give the .pub file that keygen wrote")
    return jwk


@institution.command(short_help="Suspend an institution.")
@click.argument("uscc", type=USCC)
@click.option("--reason", type=REASON, required=True, help="Why, as a code: misuse-found.")
@click.option("--until", type=WHEN, help="When it ends by itself: 2026-12-31, 2026-12-31T08:00:00Z, 30d.")
@pass_state
def suspend(state: State, uscc: str, reason: str, until: int | None) -> None:
    """Suspend an institution: its next query is refused.

    \b
    chengxin institution suspend 91990000DEMA00003T --reason misuse-found --until 30d
    """
    from gateway.institutions.register import suspend as act

    with opened(state) as house:
        entry = act(house, "institution", uscc, reason, until)
    click.echo(f"suspended {uscc} at index {entry.index}")


@institution.command()
@click.argument("uscc", type=USCC)
@click.option("--reason", type=REASON, required=True, help="Why, as a code: review-passed.")
@pass_state
def reinstate(state: State, uscc: str, reason: str) -> None:
    """End the suspension of an institution.

    \b
    chengxin institution reinstate 91990000DEMA00003T --reason review-passed
    """
    from gateway.institutions.register import reinstate as act

    with opened(state) as house:
        entry = act(house, "institution", uscc, reason)
    click.echo(f"reinstated {uscc} at index {entry.index}")


@institution.command("list")
@json_option
@pass_state
def list_(state: State, as_json: bool) -> None:
    """List all institutions and their standing.

    \b
    chengxin institution list
    """
    from gateway.institutions.register import listed

    with opened(state) as house:
        found = listed(house, "institution")
    if as_json:
        show_json(found)
        return
    show_table(
        ("institution", "name", "sector", "roles", "state", "until"),
        [
            (r["institution"], r["name"], r["sector"], " ".join(r["roles"]), r["state"], r["until"])
            for r in found
        ],
    )
