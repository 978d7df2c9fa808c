"""`chengxin query`: a bank's client that signs, and believes only what it verified.

Invariant: a refusal is a result: its title, its reason and its receipt's index, exit status 1. How an answer
is shown: `gateway.cli.answers`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import click

from gateway.cli.answers import keep_answer, keep_options, prepare_save, show_answer
from gateway.cli.common import FILE, State, json_option, key_option, note, pass_state
from gateway.cli.connect import Target, accepted, target_options
from gateway.cli.failures import Failure, line_of
from gateway.cli.values import ANSWER, PURPOSE, UUID_TEXT, person_option, read_person

if TYPE_CHECKING:
    from gateway.client import Answer


@click.command(short_help="Query under a consent, and verify.")
@key_option("the operator who queries")
@click.option("--consent-id", type=UUID_TEXT, required=True, help="The consent, always named.")
@click.option("--purpose", type=PURPOSE, required=True, help="Purpose code, the one consented to.")
@click.option(
    "--category", "categories", multiple=True, required=True, help="Category of information; repeatable."
)
@click.option(
    "--answer", "form", type=ANSWER, default="report", show_default=True, help="report, or predicate:NAME."
)
@person_option(required=False)
@click.option("--case-ref", help="Your own file number; only its salted hash reaches the ledger.")
@click.option("--query-id", type=UUID_TEXT, help="Default: a new one. Keep it until the reply has come.")
@click.option(
    "--decryption-key", type=FILE, help="Private key file of the institution, if its answers are encrypted."
)
@keep_options
@json_option
@target_options
@pass_state
def query(
    state: State,
    key_file: Path,
    consent_id: str,
    purpose: str,
    categories: tuple[str, ...],
    form: str,
    person_file: Path | None,
    case_ref: str | None,
    query_id: str | None,
    decryption_key: Path | None,
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
    from gateway.client import Person, Refused

    name = query_id or str(uuid4())
    prepare_save(save, name)
    person = None if person_file is None else Person(*read_person(person_file))
    with Target(state, **target).bank(key_file, decryption_key) as bank, _sent_as(name):
        outcome = bank.query(
            name, consent_id, purpose, categories, answer=form, person_check=person, case_ref=case_ref
        )
        if isinstance(outcome, Refused) and outcome.problem.status >= 500:
            note(f"note: sent as --query-id {name}; keep it to send the same again")
        answer: Answer = accepted(outcome, as_json=as_json)
        proven = keep_answer(bank, name, answer, proof=proof, save=save)
    show_answer(name, answer, proven, as_json=as_json)


@contextmanager
def _sent_as(name: str) -> Iterator[None]:
    """What stops a query that was sent says how to have its answer all the same: it may be in the ledger."""
    from gateway.client.errors import EncryptedAnswer, EvidenceFailed, UnexpectedReply, Unreachable

    try:
        yield
    except (EvidenceFailed, UnexpectedReply, Unreachable) as error:
        line = line_of(error)
        again = f"--query-id {name}, which takes no second use"
        if isinstance(error, EncryptedAnswer):
            raise Failure(f"{line} and {again}") from error
        raise Failure(f"{line}; then send the same again with {again}") from error
