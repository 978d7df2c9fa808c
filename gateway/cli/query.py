"""`chengxin query`: a bank's client that signs, and believes only what it verified.

Invariant: an answer is shown only with the receipt that covers it, and what is said to be proved was
verified under the pinned key of the log. A refusal is a result: its title, its reason and its receipt's
index, exit status 1."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import click

from gateway.cli.common import (
    State,
    fail,
    json_option,
    key_option,
    pass_state,
    require_free,
    show_json,
    show_table,
    write_new,
    write_object,
)
from gateway.cli.connect import Target, accepted, target_options
from gateway.cli.values import UUID_TEXT, person_option, read_person

if TYPE_CHECKING:
    from gateway.client import Answer, Proven

_KEPT = ("answer.json", "receipt.jws", "proof.txt")


@click.command(short_help="Query under a consent, and verify.")
@key_option("the operator who queries")
@click.option("--consent-id", type=UUID_TEXT, required=True, help="The consent, always named.")
@click.option("--purpose", required=True, help="Purpose code, the one consented to.")
@click.option(
    "--category", "categories", multiple=True, required=True, help="Category of information; repeatable."
)
@person_option(required=False)
@click.option("--case-ref", help="Your own file number; only its salted hash reaches the ledger.")
@click.option("--query-id", type=UUID_TEXT, help="Default: a new one. Keep it until the reply has come.")
@click.option(
    "--proof/--no-proof", default=True, show_default=True, help="Fetch and verify the proof in the ledger."
)
@click.option(
    "--save",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory to keep answer, receipt and proof in.",
)
@json_option
@target_options
@pass_state
def query(
    state: State,
    key_file: Path,
    consent_id: str,
    purpose: str,
    categories: tuple[str, ...],
    person_file: Path | None,
    case_ref: str | None,
    query_id: str | None,
    proof: bool,
    save: Path | None,
    as_json: bool,
    **target: Any,
) -> None:
    """Query under a consent; verify the receipt and its proof in the ledger.

    With --person the gateway also checks that the consent is that person's.

    \b
    chengxin query --key operator.jwk --consent-id 3f0e5a52-6c5e-4a5c-9b7e-2f6f0f1d9c11 \\
        --purpose 02 --category loan --category repayment
    """
    from gateway.client import Person

    name = query_id or str(uuid4())
    if save is not None:
        save.mkdir(parents=True, exist_ok=True)
        require_free(*(save / f"{name}.{kind}" for kind in _KEPT))
    person = None if person_file is None else Person(*read_person(person_file))
    with Target(state, **target).bank(key_file) as bank:
        outcome = bank.query(name, consent_id, purpose, categories, person_check=person, case_ref=case_ref)
        answer: Answer = accepted(outcome, as_json=as_json)
        if save is not None:  # before the proof: what was answered must not be lost because a proof is late
            write_object(save / f"{name}.answer.json", answer.answer)
            write_new(save / f"{name}.receipt.jws", answer.signed.token.encode("ascii") + b"\n")
        proven: Proven | None = accepted(bank.prove(answer.receipt)) if proof else None
    if save is not None and proven is not None:
        write_new(save / f"{name}.proof.txt", proven.proof)
    _show_json(name, answer, proven) if as_json else _show(name, answer, proven)


def _show_json(name: str, answer: Answer, proven: Proven | None) -> None:
    receipt = answer.receipt
    shown: dict[str, Any] = {
        "query_id": name,
        "answer": answer.answer,
        "index": receipt.index,
        "leaf": receipt.leaf,
        "receipt": answer.signed.token,
    }
    if proven is not None:
        shown["proof"] = proven.proof.decode("utf-8")
        shown["checkpoint"] = {"size": proven.checkpoint.size, "root": proven.checkpoint.root.hex()}
    show_json(shown)


def _show(name: str, answer: Answer, proven: Proven | None) -> None:
    records = answer.answer.get("records")
    if not isinstance(records, dict):
        fail("the answer holds no records: use --json to see it")
    for category, listed in records.items():
        click.echo(category if listed else f"{category}: nothing held")
        for record in listed:
            show_table(("", ""), [(member, _plain(value)) for member, value in record.items()])
    click.echo(f"\nquery {name}: disclosed at index {answer.receipt.index}; the receipt covers this answer")
    if proven is not None:
        click.echo(f"proved in the ledger under the checkpoint of {proven.checkpoint.size} leaves")


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_plain(item)}" for name, item in value.items())
    return str(value)
