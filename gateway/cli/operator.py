"""`chengxin operator`: the persons of an institution who sign its requests. Every change is a leaf."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.common import FILE, State, json_option, opened, out_option, pass_state, show_json, show_table
from gateway.cli.values import OPERATOR_ID, REASON, USCC, WHEN


@click.group(short_help="Register and suspend operators.")
def operator() -> None:
    """Operators (查询用户): one person, one key; whoever administers cannot query."""


@operator.command(short_help="Make an operator's key.")
@out_option("Private key file to make (Ed25519).")
def keygen(out: Path) -> None:
    """Make an operator's signing key, and FILE.pub, which `operator add` takes.

    \b
    chengxin operator keygen --out operator.jwk
    """
    from gateway.cli.keygen import make_signing_key

    make_signing_key(out)


@operator.command(short_help="Register an operator's public key.")
@click.option("--institution", type=USCC, required=True, help="The institution that the operator acts for.")
@click.option("--public", type=FILE, required=True, help="The operator's public key file (FILE.pub).")
@click.option(
    "--role",
    "roles",
    multiple=True,
    required=True,
    type=click.Choice(("query", "approve", "source", "registrar", "audit", "admin")),
    help="What the operator may do; repeatable.",
)
@json_option
@pass_state
def add(state: State, institution: str, public: Path, roles: tuple[str, ...], as_json: bool) -> None:
    """Register an operator's public key; prints the opaque id that stands in the ledger.

    \b
    chengxin operator add --institution 91990000DEMA00003T --public operator.jwk.pub --role query
    """
    from gateway.client.keyfile import read_public_key
    from gateway.institutions.register import add_operator

    key = read_public_key(public)
    with opened(state) as house:
        name, entry = add_operator(house, institution, key, roles)
    if as_json:
        show_json(
            {"operator": name, "institution": institution, "roles": sorted(set(roles)), "index": entry.index}
        )
        return
    click.echo(f"registered {name} of {institution} ({', '.join(sorted(set(roles)))}) at index {entry.index}")


@operator.command()
@click.argument("operator_id", type=OPERATOR_ID)
@click.option("--reason", type=REASON, required=True, help="Why, as a code: left-the-bank.")
@click.option("--until", type=WHEN, help="When it ends by itself: 2026-12-31, 2026-12-31T08:00:00Z, 30d.")
@pass_state
def suspend(state: State, operator_id: str, reason: str, until: int | None) -> None:
    """Suspend an operator: the next query is refused.

    \b
    chengxin operator suspend op-0123456789abcdef --reason left-the-bank
    """
    from gateway.institutions.register import suspend as act

    with opened(state) as house:
        entry = act(house, "operator", operator_id, reason, until)
    click.echo(f"suspended {operator_id} at index {entry.index}")


@operator.command()
@click.argument("operator_id", type=OPERATOR_ID)
@click.option("--reason", type=REASON, required=True, help="Why, as a code: returned.")
@pass_state
def reinstate(state: State, operator_id: str, reason: str) -> None:
    """End the suspension of an operator.

    \b
    chengxin operator reinstate op-0123456789abcdef --reason returned
    """
    from gateway.institutions.register import reinstate as act

    with opened(state) as house:
        entry = act(house, "operator", operator_id, reason)
    click.echo(f"reinstated {operator_id} at index {entry.index}")


@operator.command("list")
@click.option("--institution", type=USCC, help="Only the operators of this institution.")
@json_option
@pass_state
def list_(state: State, institution: str | None, as_json: bool) -> None:
    """List operators and their standing.

    \b
    chengxin operator list --institution 91990000DEMA00003T
    """
    from gateway.institutions.register import listed

    with opened(state) as house:
        found = [row for row in listed(house, "operator") if institution in (None, row["institution"])]
    if as_json:
        show_json(found)
        return
    show_table(
        ("operator", "institution", "roles", "state", "until"),
        [(r["operator"], r["institution"], " ".join(r["roles"]), r["state"], r["until"]) for r in found],
    )
