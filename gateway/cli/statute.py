"""`chengxin statute`: queries that a law allows without consent, by two persons with two keys.

Invariant: who approves signs for the request file they were handed, by a hash worked out here, and is shown
what it asks for first. The file names a person: it is made readable to its owner alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

import click

from gateway.cli.answers import keep_answer, keep_options, prepare_save, show_answer
from gateway.cli.common import (
    FILE,
    State,
    fail,
    json_option,
    key_option,
    out_option,
    pass_state,
    read_object,
    show_json,
    show_pairs,
    write_object,
)
from gateway.cli.connect import Target, accepted, target_options
from gateway.cli.values import ANSWER, PURPOSE, UUID_TEXT, person_option, read_person

if TYPE_CHECKING:
    from gateway.client.statutory import Waiting

_REQUEST = click.option(
    "--request", "request_file", type=FILE, required=True, help="The file that `statute submit` wrote."
)


@click.group(short_help="Query under a statute: submit, approve, collect.")
def statute() -> None:
    """Statutory queries (法定查询): one operator submits, another approves, the first collects."""


@statute.command(short_help="Submit a query under a statute.")
@key_option("the operator who asks")
@click.option("--statute", "code", required=True, help="The statute's code in the policy.")
@click.option("--document", required=True, help="Number of the document that orders the query.")
@click.option(
    "--defer", is_flag=True, help="Leave it out of the person's list for now, as the statute allows."
)
@click.option("--purpose", type=PURPOSE, required=True, help="Purpose code, the statute's own.")
@click.option(
    "--category", "categories", multiple=True, required=True, help="Category of information; repeatable."
)
@click.option("--answer", type=ANSWER, default="report", show_default=True, help="report, or predicate:NAME.")
@person_option()
@click.option("--case-ref", help="Your own file number; only its salted hash reaches the ledger.")
@click.option("--query-id", type=UUID_TEXT, help="Default: a new one.")
@out_option("Where to write the request, for the approver and for `statute collect`.")
@json_option
@target_options
@pass_state
def submit(
    state: State,
    key_file: Path,
    code: str,
    document: str,
    defer: bool,
    purpose: str,
    categories: tuple[str, ...],
    answer: str,
    person_file: Path | None,
    case_ref: str | None,
    query_id: str | None,
    out: Path,
    as_json: bool,
    **target: Any,
) -> None:
    """Submit a query under a statute; it waits for another operator's approval.

    \b
    chengxin statute submit --key operator.jwk --statute civil-procedure-253 --purpose 91 \\
        --document （2026）琼01执123号 --category judgment --person person.txt --out request.json
    """
    from gateway.client import Person
    from gateway.client.statutory import Order, statutory_request

    request = statutory_request(
        query_id or str(uuid4()),
        Order(code, document, defer),
        purpose,
        categories,
        Person(*read_person(person_file)),
        answer=answer,
        case_ref=case_ref,
    )
    write_object(out, request)  # first: a request whose reply is lost is sent again from it
    with Target(state, **target).statutory(key_file) as client:
        waiting = accepted(client.submit(request), as_json=as_json)
    _show_waiting(waiting, as_json=as_json)


@statute.command(short_help="Approve another operator's query.")
@key_option("the operator who approves")
@_REQUEST
@json_option
@target_options
@pass_state
def approve(state: State, key_file: Path, request_file: Path, as_json: bool, **target: Any) -> None:
    """Approve another operator's query, by the request file; who approves never sees the answer.

    \b
    chengxin statute approve --key approver.jwk --request request.json
    """
    _settle(Target(state, **target), key_file, request_file, "approve", as_json=as_json)


@statute.command(short_help="Deny another operator's query.")
@key_option("the operator who denies")
@_REQUEST
@json_option
@target_options
@pass_state
def deny(state: State, key_file: Path, request_file: Path, as_json: bool, **target: Any) -> None:
    """Deny another operator's query, by the request file.

    \b
    chengxin statute deny --key approver.jwk --request request.json
    """
    _settle(Target(state, **target), key_file, request_file, "deny", as_json=as_json)


@statute.command(short_help="Collect the answer to your own query.")
@key_option("the operator who asked")
@click.option("--query-id", type=UUID_TEXT, required=True, help="The query, as `statute submit` printed it.")
@click.option(
    "--decryption-key", type=FILE, help="Private key file of the institution, if its answers are encrypted."
)
@keep_options
@json_option
@target_options
@pass_state
def collect(
    state: State,
    key_file: Path,
    query_id: str,
    decryption_key: Path | None,
    proof: bool,
    save: Path | None,
    as_json: bool,
    **target: Any,
) -> None:
    """Collect the answer to your own query; each time is in the ledger. Exit status 3 while it waits.

    \b
    chengxin statute collect --key operator.jwk --query-id 3f0e5a52-6c5e-4a5c-9b7e-2f6f0f1d9c11
    """
    from gateway.client.statutory import Waiting

    prepare_save(save, query_id)
    with Target(state, **target).statutory(key_file, decryption_key) as client:
        outcome = accepted(client.collect(query_id), as_json=as_json)
        if isinstance(outcome, Waiting):
            _show_waiting(outcome, as_json=as_json)
            raise click.exceptions.Exit(3)
        proven = keep_answer(client, query_id, outcome, proof=proof, save=save)
    show_answer(query_id, outcome, proven, as_json=as_json)


def _settle(
    target: Target,
    key_file: Path,
    request_file: Path,
    decision: Literal["approve", "deny"],
    *,
    as_json: bool,
) -> None:
    import msgspec

    request = read_object(request_file, "request")
    asked = request.get("statute")
    if not isinstance(asked, dict) or not isinstance(request.get("query_id"), str):
        fail(f"{request_file} is no statutory request: give what `chengxin statute submit --out FILE` wrote")
    with target.statutory(key_file) as client:
        settled = accepted(client.settle(request, decision), as_json=as_json)
    if as_json:
        show_json(msgspec.to_builtins(settled))
        return
    show_pairs(
        {
            "query": settled.query_id,
            "statute": asked.get("code"),
            "document": asked.get("document"),
            "purpose": request.get("purpose"),
            "categories": " ".join(request.get("categories", ())),
            "answer": request.get("answer"),
        }
    )
    click.echo(f"{settled.state} at index {settled.index}")


def _show_waiting(waiting: Waiting, *, as_json: bool) -> None:
    import msgspec

    if as_json:
        show_json(msgspec.to_builtins(waiting))
        return
    click.echo(f"query {waiting.query_id}: {waiting.state}, recorded at index {waiting.index}")
    if waiting.state == "pending":
        click.echo(f"another operator approves it before {waiting.approve_before}")
