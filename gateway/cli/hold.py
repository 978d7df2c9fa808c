"""`chengxin hold`: what a case is about is not erased while it is open (封存)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from gateway.cli.common import State, json_option, opened, pass_state, show_json, show_table
from gateway.cli.values import REASON, UUID, UUID_TEXT, person_option, read_person


@click.group(short_help="Legal holds: place, lift, list.")
def hold() -> None:
    """Legal holds: while a case is open, nothing of its person is erased."""


class _Case(click.ParamType[str]):
    """A UUID, or `new`."""

    name = "case"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from gateway.ids import new_uuid

        if value == "new":
            return new_uuid(os.urandom)
        if not isinstance(value, str) or UUID.fullmatch(value) is None:
            self.fail("a case is a UUID in small letters, or new", param, ctx)
        return value


@hold.command(short_help="Open a case about a person.")
@click.option("--case", type=_Case(), default="new", show_default=True, help="Its id, a UUID; new makes one.")
@person_option()
@click.option("--reason", type=REASON, required=True, help="A code, e.g. investigation.")
@json_option
@pass_state
def place(state: State, case: str, person_file: Path | None, reason: str, as_json: bool) -> None:
    """Open a case about a person: nothing of theirs is erased while it is open. It needs a regulator.

    \b
    chengxin hold place --case new --person person.txt --reason investigation
    """
    from gateway.erasure.holds import place_hold

    number, _ = read_person(person_file)
    with opened(state) as house:
        entry = place_hold(house, case, number, reason)
    if as_json:
        show_json({"case": case, "index": entry.index})
    else:
        click.echo(f"case {case} opened at index {entry.index}")


@hold.command(short_help="Close a case.")
@click.option("--case", type=UUID_TEXT, required=True, help="Its id.")
@click.option("--outcome", type=REASON, required=True, help="A code, e.g. no-further-action.")
@pass_state
def lift(state: State, case: str, outcome: str) -> None:
    """Close a case: what it kept may be erased again.

    \b
    chengxin hold lift --case 0f8e2c1a-5b7d-4e3f-9a6b-1c2d3e4f5a6b --outcome no-further-action
    """
    from gateway.erasure.holds import lift_hold

    with opened(state) as house:
        entry = lift_hold(house, case, outcome)
    click.echo(f"case {case} closed at index {entry.index}")


@hold.command("list", short_help="List the cases.")
@json_option
@pass_state
def list_(state: State, as_json: bool) -> None:
    """List the cases there are and were, without whom they are about.

    \b
    chengxin hold list
    """
    import msgspec

    from gateway.erasure.holds import all_holds

    with opened(state) as house, house.read() as conn:
        found = all_holds(conn)
    if as_json:
        show_json(msgspec.to_builtins(found))
    else:
        show_table(
            ("case", "reason", "state", "index"), [(h.case, h.reason, h.state, h.index) for h in found]
        )
