"""`chengxin registrar withdraw|revoke-key|list-consents|countersign|send`: the counter (柜台).

Invariant: as of `certify`: one invocation signs with one officer's key, offline; the second officer reads the
same order, checks it against the person before them, and only an order that verifies under the registrar's
key is written. `send` holds no key: it hands in what two officers signed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gateway.cli.common import (
    FILE,
    State,
    confirm,
    fail,
    json_option,
    key_option,
    out_option,
    pass_state,
    read_object,
    read_text,
    require_free,
    show_json,
    show_pairs,
    show_table,
    write_new,
    write_object,
)
from gateway.cli.connect import Target, accepted, target_options
from gateway.cli.registrar import certified_officer, is_draft
from gateway.cli.values import OFFICER_ID, THUMBPRINT, UUID_TEXT, now, person_option, read_person

if TYPE_CHECKING:
    from consent.counter import Order

F = TypeVar("F", bound=Callable[..., Any])


def _order_options(command: F) -> F:
    """What every first officer gives."""
    for option in (
        out_option("The draft to write; the second officer countersigns it."),
        click.option(
            "--yes",
            is_flag=True,
            help="Do not ask at the terminal; a script, which has none, is never asked.",
        ),
        person_option(),
        click.option("--gateway", required=True, help="Origin of the gateway's log, credit.example.cn/log0."),
        click.option(
            "--with", "second", type=OFFICER_ID, required=True, help="Id of the officer who signs second."
        ),
        click.option(
            "--officer", "officer_file", type=FILE, required=True, help="That officer's certificate."
        ),
        key_option("the officer who signs now"),
        click.option(
            "--registrar-key", type=FILE, required=True, help="The registrar's public key file (FILE.pub)."
        ),
    ):
        command = option(command)
    return command


@click.command(short_help="Order a withdrawal at the counter.")
@click.argument("consent_id", type=UUID_TEXT)
@_order_options
def withdraw(consent_id: str, **drafting: Any) -> None:
    """Draft and sign, as the first officer, the order to withdraw a consent of the person before you.

    \b
    chengxin registrar withdraw 3f0e5a52-6c5e-4a5c-9b7e-2f6f0f1d9c11 --registrar-key registrar.jwk.pub \\
        --key officer-a.jwk --officer officer-a.cert --with officer-b --gateway credit.example.cn/log0 \\
        --person person.txt --out draft.json
    """
    from consent.counter import CounterWithdrawal

    _draft(CounterWithdrawal, consent_id=consent_id, **drafting)


@click.command(short_help="Order the end of a key at the counter.")
@click.option(
    "--cause",
    type=click.Choice(("lost", "compromised")),
    required=True,
    help="lost keeps what the key granted; compromised suspends it.",
)
@click.option(
    "--citizen-key", type=THUMBPRINT, help="Thumbprint of the one key; default: every key of the person."
)
@_order_options
def revoke_key(cause: str, citizen_key: str | None, **drafting: Any) -> None:
    """Draft and sign, as the first officer, the order to revoke a key of the person before you.

    Without --citizen-key every key is meant that the person had when the order was made.

    \b
    chengxin registrar revoke-key --cause lost --registrar-key registrar.jwk.pub \\
        --key officer-a.jwk --officer officer-a.cert --with officer-b --gateway credit.example.cn/log0 \\
        --person person.txt --out draft.json
    """
    from consent.counter import CounterRevocation

    _draft(CounterRevocation, cause=cause, key=citizen_key, **drafting)


@click.command(short_help="Order a list of a person's consents.")
@_order_options
def list_consents(**drafting: Any) -> None:
    """Draft and sign, as the first officer, the order to list keys and consents of the person before you.

    The look is an entry that the person sees.

    \b
    chengxin registrar list-consents --registrar-key registrar.jwk.pub \\
        --key officer-a.jwk --officer officer-a.cert --with officer-b --gateway credit.example.cn/log0 \\
        --person person.txt --out draft.json
    """
    from consent.counter import CounterListing

    _draft(CounterListing, **drafting)


@click.command(short_help="Sign an order as second officer.")
@click.argument("draft", type=FILE)
@click.option("--registrar-key", type=FILE, required=True, help="The registrar's public key file (FILE.pub).")
@key_option("the officer who signs now")
@click.option("--officer", "officer_file", type=FILE, required=True, help="That officer's certificate.")
@person_option()
@click.option(
    "--yes", is_flag=True, help="Do not ask at the terminal; a script, which has none, is never asked."
)
@out_option("The signed order to write.")
def countersign(
    draft: Path,
    registrar_key: Path,
    key_file: Path,
    officer_file: Path,
    person_file: Path | None,
    yes: bool,
    out: Path,
) -> None:
    """Read another officer's order, check it against the person before you, and add your signature.

    \b
    chengxin registrar countersign draft.json --registrar-key registrar.jwk.pub --key officer-b.jwk \\
        --officer officer-b.cert --person person.txt --out order.json
    """
    from consent.counter import format_signed_order, join_order, read_order, sign_order, verify_order
    from gateway.client.keyfile import read_private_key, read_public_key

    require_free(out)
    key, registrar = read_private_key(key_file), read_public_key(registrar_key)
    certificate = read_text(officer_file).strip()
    me = certified_officer(certificate, registrar, key)
    members = read_object(draft, "draft of an order")
    if not is_draft(members):
        fail("this is no order with one signature: give the file that the first officer's command wrote")
    order = read_order(members["document"])
    if me.officer not in order.officers or me.registrar != order.registrar:
        fail(f"the order waits for {' and '.join(order.officers)}, not for {me.officer}: let them sign")
    number, _ = read_person(person_file)
    if not order.is_of(number):
        fail("the order is about another person: check the citizen number, or have it drafted again")
    _show(order)
    confirm("Sign this?", yes=yes)
    mine = order.officers.index(me.officer)
    signatures, officers = list(members["signatures"]), list(members["officers"])
    signatures.insert(mine, sign_order(order, key))
    officers.insert(mine, certificate)
    signed = join_order(order, (signatures[0], signatures[1]), (officers[0], officers[1]))
    verify_order(signed, registrar, order.gateway, now())
    write_new(out, format_signed_order(signed) + b"\n")
    click.echo(f"order signed by {' and '.join(order.officers)}: {out}. Hand it in: chengxin registrar send")


@click.command(short_help="Hand in an order that two officers signed.")
@click.argument("order_file", metavar="ORDER", type=FILE)
@person_option()
@json_option
@target_options
@pass_state
def send(state: State, order_file: Path, person_file: Path | None, as_json: bool, **target: Any) -> None:
    """Hand in an order that two officers signed, within a day, and say what the gateway replied.

    \b
    chengxin registrar send order.json --person person.txt --url https://credit.example.cn
    """
    from consent.counter import CounterListing, CounterWithdrawal, parse_signed_order
    from gateway.client import CounterClient, new_http
    from keys.canonical import canonical

    signed = parse_signed_order(canonical(read_object(order_file, "order")))
    number, _ = read_person(person_file)
    place = Target(state, **target)
    with new_http() as http:
        client = CounterClient(place.address(), place.pins(), http)
        order = signed.order
        if isinstance(order, CounterListing):
            _tell_list(accepted(client.consents(signed, number), as_json=as_json), as_json=as_json)
        elif isinstance(order, CounterWithdrawal):
            done = accepted(client.withdraw(signed, number), as_json=as_json)
            index = done.signed.receipt.index
            told = {"consent_id": done.consent_id, "state": done.state, "index": index}
            _tell(told, f"withdrawn at index {index}: consent {done.consent_id}", as_json=as_json)
        else:
            for one in accepted(client.revoke(signed, number), as_json=as_json):
                told = {"key": one.key, "index": one.index, "suspended": one.suspended}
                line = f"key {one.key} revoked at index {one.index}, {one.suspended} consents suspended"
                _tell(told, line, as_json=as_json)


def _draft(
    kind: type[Order],
    *,
    registrar_key: Path,
    key_file: Path,
    officer_file: Path,
    second: str,
    gateway: str,
    person_file: Path | None,
    yes: bool,
    out: Path,
    **members: Any,
) -> None:
    """The first officer's part of an order."""
    from consent.counter import format_order, make_order, sign_order
    from gateway.client.keyfile import read_private_key, read_public_key
    from keys.canonical import parse_canonical

    require_free(out)
    key, registrar = read_private_key(key_file), read_public_key(registrar_key)
    certificate = read_text(officer_file).strip()
    me = certified_officer(certificate, registrar, key)
    if second == me.officer:
        fail("one officer cannot be both: give the other officer's id with --with")
    number, _ = read_person(person_file)
    order = make_order(
        kind,
        gateway=gateway,
        citizen_number=number,
        registrar=me.registrar,
        officers=(me.officer, second),
        at=now(),
        salt=os.urandom(16),
        **members,
    )
    _show(order)
    confirm("Sign this?", yes=yes)
    drafted = {
        "document": parse_canonical(format_order(order)),
        "signatures": [sign_order(order, key)],
        "officers": [certificate],
    }
    write_object(out, drafted)
    click.echo(f"order signed by {me.officer}: {out}. Now {second} countersigns it.")


def _show(order: Order) -> None:
    from consent.counter import CounterRevocation, CounterWithdrawal
    from keys.instant import format_instant

    what: dict[str, object] = {"order": "list keys and consents"}
    if isinstance(order, CounterWithdrawal):
        what = {"order": "withdraw a consent", "consent": order.consent_id}
    elif isinstance(order, CounterRevocation):
        what = {"order": f"revoke as {order.cause}", "key": order.key or "every key of this person"}
    show_pairs(
        what
        | {
            "gateway": order.gateway,
            "registrar": order.registrar,
            "officers": ", ".join(order.officers),
            "at": format_instant(order.at),
        }
    )


def _tell(members: dict[str, Any], line: str, *, as_json: bool) -> None:
    if as_json:
        show_json(members)
    else:
        click.echo(line)


def _tell_list(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(found)
        return
    show_table(
        ("key", "state", "acts from"), [(one["key"], one["state"], one["effective"]) for one in found["keys"]]
    )
    click.echo("\nconsents" if found["consents"] else "\nno consents")
    if found["consents"]:
        show_table(
            ("consent", "state", "recipient", "purpose", "until"),
            [
                (
                    one["consent_id"],
                    one["state"],
                    one["recipient_name"] or one["recipient"],
                    one["purpose"],
                    one["not_after"],
                )
                for one in found["consents"]
            ],
        )
