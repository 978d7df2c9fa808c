"""`chengxin ledger show`: reading an export, offline; with the regulator's key, what was sealed too.

Invariant: only leaves that stand in the tree of the signed checkpoint are shown, and only those that were
asked for. Whether they were allowed is what `ledger verify` says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.common import FILE, fail, json_option, note, read_object
from gateway.cli.values import PAST

if TYPE_CHECKING:
    from keys.notes import Vkey
    from ledger.entries import Leaf

DIRECTORY = click.Path(path_type=Path, file_okay=False)
_PARTIES = ("institution", "recipient", "source", "registrar", "holder")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which leaves are wanted. Times in ms since the Unix epoch, `until` exclusive."""

    institutions: tuple[str, ...]
    operators: tuple[str, ...]
    types: tuple[str, ...]
    since: int | None
    until: int | None

    def wants(self, leaf: Leaf) -> bool:
        """Whether every filter that was given lets the leaf through."""
        return (
            (not self.types or any(leaf.type == one or leaf.type.startswith(f"{one}.") for one in self.types))
            and (not self.institutions or bool(_named(leaf, _PARTIES) & set(self.institutions)))
            and (not self.operators or bool(_named(leaf, ("operator",)) & set(self.operators)))
            and (self.since is None or leaf.instant >= self.since)
            and (self.until is None or leaf.instant < self.until)
        )


@click.command(short_help="Show the leaves of an export.")
@click.argument("directory", type=DIRECTORY)
@click.option(
    "--institution", "institutions", multiple=True, help="Acted, or is named by the leaf; repeatable."
)
@click.option("--operator", "operators", multiple=True, help="Operator id; repeatable.")
@click.option(
    "--type",
    "types",
    multiple=True,
    help="Type of leaf: query.refused, or query for all of them; repeatable.",
)
@click.option("--since", type=PAST, help="From then on: 2026-12-01, 2026-12-01T08:00:00Z, 7d (ago).")
@click.option("--until", type=PAST, help="Before then, written alike.")
@click.option("--regulator-key", type=FILE, help="The regulator's private key: sealed details are shown.")
@click.option(
    "--vkey", help="The log's verifier key, as you got it earlier; default: what the export says, unpinned."
)
@json_option
def show(
    directory: Path,
    institutions: tuple[str, ...],
    operators: tuple[str, ...],
    types: tuple[str, ...],
    since: int | None,
    until: int | None,
    regulator_key: Path | None,
    vkey: str | None,
    as_json: bool,
) -> None:
    """Show the leaves of an export, filtered; with the regulator's key what was sealed too. Works offline.

    With --json one object a line.

    \b
    chengxin ledger show export/ --type query.refused --since 7d
    chengxin ledger show export/ --institution 91990000DEMA00003T --regulator-key regulator.jwk
    """
    wanted = Filter(institutions, operators, types, since, until)
    if not directory.is_dir():
        fail(f"{directory} is no directory: give what `chengxin ledger export --to DIR` wrote")
    shown = 0
    for leaf, details in _leaves(directory, _vkey(directory, vkey), regulator_key, wanted):
        shown += 1
        click.echo(_json_line(leaf, details) if as_json else _text(leaf, details))
    if not shown:
        note("no leaf fits: widen the filters")


def _vkey(directory: Path, given: str | None) -> Vkey:
    from keys.notes import parse_vkey

    if given is not None:
        return parse_vkey(given)
    if not (directory / "keys.json").is_file():
        fail(f"{directory} is no export: give what `chengxin ledger export --to DIR` wrote")
    stated = read_object(directory / "keys.json", "export's keys.json").get("vkey")
    if not isinstance(stated, str):
        fail(f"{directory / 'keys.json'} names no key: give --vkey")
    note("note: read under the key that the export itself names; pin the one you got earlier with --vkey")
    return parse_vkey(stated)


def _leaves(
    directory: Path, vkey: Vkey, regulator_key: Path | None, wanted: Filter
) -> Iterator[tuple[Leaf, Any]]:
    """The wanted leaves with their opened details, None where there are none or no key opens them."""
    from gateway.client.keyfile import read_jwk
    from ledger.bodies import KeySealing
    from ledger.entries import parse_leaf
    from ledger.verify.following import open_export
    from ledger.verify.reader import Tree
    from ledger.verify.sealed import Opener

    opener = None if regulator_key is None else Opener(directory, read_jwk(regulator_key))
    checkpoint = open_export(directory, vkey).checkpoint
    for index, data, _ in Tree(directory, checkpoint).leaves():
        leaf = parse_leaf(data)
        if opener is not None and isinstance(leaf.body, KeySealing):
            opener.announce(index, leaf.body)
        if wanted.wants(leaf):
            yield leaf, None if opener is None else opener.open(index, leaf)
    if opener is not None and opener.unread:
        note(f"note: {len(opener.unread)} sealed details are missing here: erased, lost, or left out")
    if opener is not None and opener.not_ours:
        note(f"note: {opener.not_ours} sealed details were not sealed to this regulator")


def _named(leaf: Leaf, members: tuple[str, ...]) -> set[str]:
    """What the actor and the body of a leaf say under these names."""
    return {
        value
        for part in (leaf.by, leaf.body)
        for name in members
        if isinstance(value := getattr(part, name, None), str)
    }


def _members(leaf: Leaf) -> dict[str, Any]:
    from keys.canonical import parse_canonical
    from ledger.entries import format_leaf

    members: dict[str, Any] = parse_canonical(format_leaf(leaf))
    return members


def _json_line(leaf: Leaf, details: Any) -> str:
    members = _members(leaf)
    return json.dumps(members if details is None else members | {"details": details}, ensure_ascii=False)


def _text(leaf: Leaf, details: Any) -> str:
    """One line for the leaf, and the opened details indented under it."""
    members = _members(leaf)
    by = " ".join(members.get("by", {}).values())
    body = " ".join(f"{name}={_short(value)}" for name, value in members["body"].items())
    line = f"{leaf.index:>6}  {leaf.at}  {leaf.type:<22}  {by + '  ' if by else ''}{body}"
    if details is None:
        return line
    return "\n".join(
        [
            line,
            *(f"        {part}" for part in json.dumps(details, ensure_ascii=False, indent=2).splitlines()),
        ]
    )


def _short(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ",".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
