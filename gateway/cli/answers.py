"""An answer at the terminal: kept with its receipt, proved, shown.

Invariant: an answer is shown only with the receipt that covers it, and what is said to be proved was
verified under the pinned key of the log."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gateway.cli.common import fail, require_free, show_json, show_table, write_new, write_object
from gateway.cli.connect import accepted

if TYPE_CHECKING:
    from gateway.client import Answer, BankClient, Proven

F = TypeVar("F", bound=Callable[..., Any])
_KEPT = ("answer.json", "receipt.jws", "proof.txt")


def keep_options(command: F) -> F:
    """`--proof/--no-proof` and `--save DIR`."""
    command = click.option(
        "--save",
        type=click.Path(path_type=Path, file_okay=False),
        help="Directory to keep answer, receipt and proof in.",
    )(command)
    return click.option(
        "--proof/--no-proof",
        default=True,
        show_default=True,
        help="Fetch and verify the proof in the ledger.",
    )(command)


def prepare_save(save: Path | None, name: str) -> None:
    """Make the directory, and say so now when one of the query's files stands there already."""
    if save is not None:
        save.mkdir(parents=True, exist_ok=True)
        require_free(*(save / f"{name}.{kind}" for kind in _KEPT))


def keep_answer(
    bank: BankClient, name: str, answer: Answer, *, proof: bool, save: Path | None
) -> Proven | None:
    """Keep what was answered, and fetch and verify the proof of its entry unless it is not wanted."""
    if save is not None:  # before the proof: what was answered must not be lost because a proof is late
        write_object(save / f"{name}.answer.json", answer.answer)
        write_new(save / f"{name}.receipt.jws", answer.signed.token.encode("ascii") + b"\n")
    proven: Proven | None = accepted(bank.prove(answer.receipt)) if proof else None
    if save is not None and proven is not None:
        write_new(save / f"{name}.proof.txt", proven.proof)
    return proven


def show_answer(name: str, answer: Answer, proven: Proven | None, *, as_json: bool) -> None:
    """The answer in tables, or all of it as JSON."""
    if as_json:
        _show_json(name, answer, proven)
        return
    if "predicate" in answer.answer:
        click.echo(f"{answer.answer['predicate']}: {answer.answer['answer']}")
        click.echo(f"as of {answer.answer['as_of']}: {answer.answer['rule']['en']}")
    else:
        _show_records(answer.answer.get("records"))
    decision, index = answer.receipt.decision, answer.receipt.index
    click.echo(f"\nquery {name}: {decision} at index {index}; the receipt covers this answer")
    if proven is not None:
        click.echo(f"proved in the ledger under the checkpoint of {proven.checkpoint.size} leaves")


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


def _show_records(records: object) -> None:
    if not isinstance(records, dict):
        fail("the answer holds no records: use --json to see it")
    for category, listed in records.items():
        click.echo(category if listed else f"{category}: nothing held")
        for record in listed:
            show_table(("", ""), [(member, _plain(value)) for member, value in record.items()])


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_plain(item)}" for name, item in value.items())
    return str(value)
