"""`chengxin policy`: the purposes, statutes, catalogue, quotas and terms that decide, and changing them.

Invariant: what is applied has been shown first, as the difference from what is in force, and is one leaf; it
is in force from that leaf on, in every worker. A bundle is TOML files, a directory of them, or one published
JSON bundle.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.common import (
    State,
    confirm,
    fail,
    json_option,
    note,
    opened,
    pass_state,
    read_file,
    read_text,
    show_json,
    show_table,
)

if TYPE_CHECKING:
    from consent.policy import PolicyBundle
    from consent.policy_diff import Change

SOURCES = click.argument(
    "sources", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True), metavar="FILE|DIR..."
)
DEMO = click.option(
    "--demo/--checked",
    default=None,
    help="Whether what nobody has checked is on all the same. Default: as the policy in force has it, "
    "and --checked where none is.",
)


@click.group(short_help="Lint, compare, apply the policy.")
def policy() -> None:
    """The policy (政策): purposes, statutes, catalogue, quotas, retention. Every leaf names its hash."""


@policy.command(short_help="Find what is wrong in policy files.")
@SOURCES
@DEMO
@json_option
@pass_state
def lint(state: State, sources: tuple[Path, ...], demo: bool | None, as_json: bool) -> None:
    """Find everything that is wrong or doubtful in policy files or their directory; exit status 1 when
    something is wrong.

    \b
    chengxin policy lint policy/
    """
    from consent.policy_lint import lint as examine

    found = examine(_texts(sources), _in_force_is_demo(state) if demo is None else demo)
    if as_json:
        show_json([{"severity": f.severity, "place": f.place, "message": f.message} for f in found])
    elif found:
        show_table(("severity", "place", "what"), [(f.severity, f.place, f.message) for f in found])
    wrong = sum(finding.severity == "error" for finding in found)
    note(f"{len(found)} findings, {wrong} of them errors")
    if wrong:
        raise click.exceptions.Exit(1)


@policy.command(short_help="Print the schema of policy files.")
def schema() -> None:
    """Print the JSON Schema of policy files, for an editor that checks TOML.

    \b
    chengxin policy schema > policy.schema.json
    """
    from consent.policy import policy_schema

    show_json(policy_schema())


@policy.command(short_help="Show what would change.")
@SOURCES
@click.option(
    "--from",
    "origins",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="Compare with these files instead of the policy in force; repeatable.",
)
@DEMO
@json_option
@pass_state
def diff(
    state: State, sources: tuple[Path, ...], origins: tuple[Path, ...], demo: bool | None, as_json: bool
) -> None:
    """Show what these files, or their directory, would change in the policy in force, or in other files.

    \b
    chengxin policy diff policy/
    chengxin policy diff new/ --from old/
    """
    if origins:
        old = _bundle(origins, demo=bool(demo))
    else:
        with opened(state) as house:
            old = house.policy
    _show_changes(_changes(old, _bundle(sources, demo=old.demo if demo is None else demo)), as_json)


@policy.command(short_help="Put a policy in force.")
@SOURCES
@DEMO
@click.option("--yes", is_flag=True, help="Do not ask. A script, which has no terminal, must say it.")
@json_option
@pass_state
def apply(state: State, sources: tuple[Path, ...], demo: bool | None, yes: bool, as_json: bool) -> None:
    """Put a policy, all its files or their directory, in force from its own entry on; running workers load it
    and decide by it.

    \b
    chengxin policy apply policy/
    """
    from consent.policy import policy_hash
    from gateway.policies import apply_policy

    with opened(state) as house:
        old = house.policy
        new = _bundle(sources, demo=old.demo if demo is None else demo)
        changes = _changes(old, new)
        if not as_json:
            _show_changes(changes, as_json=False)
        if new != old:
            if not yes and not sys.stdin.isatty():
                fail("nothing was changed: say --yes to apply from a script")
            confirm("Put this policy in force?", yes=yes)
        entry = apply_policy(house, new, replaces=policy_hash(old))
    if as_json:
        show_json({"policy": policy_hash(new), "replaces": policy_hash(old), "index": entry.index})
    else:
        click.echo(f"policy {policy_hash(new)} is in force from index {entry.index}")


@policy.command(short_help="Show the policy in force.")
@json_option
@click.option("--toml", "as_toml", is_flag=True, help="TOML, to edit and apply.")
@pass_state
def show(state: State, as_json: bool, as_toml: bool) -> None:
    """Show the policy in force: what is on and what is off; --json prints exactly the bytes that are hashed.

    \b
    chengxin policy show
    """
    from consent.policy import format_policy, policy_hash

    if as_json and as_toml:
        raise click.UsageError("choose --json or --toml")
    with opened(state) as house:
        bundle = house.policy
    if as_json:
        click.echo(format_policy(bundle).decode(), nl=False)
    elif as_toml:
        from gateway.cli.policy_toml import format_toml

        click.echo(format_toml(bundle), nl=False)
    else:
        click.echo(f"policy {policy_hash(bundle)}" + (" (demo: nothing in it is checked)" * bundle.demo))
        show_table(("what", "code", "on", "name"), _rows(bundle))


def _rows(bundle: PolicyBundle) -> Iterable[Sequence[object]]:
    """Every row that may be on or off."""
    from consent.purposes import purpose_is_on

    for purpose in bundle.purposes:
        on = "on" if purpose_is_on(bundle, purpose.code) else "off"
        yield "purpose", purpose.code, on, f"{purpose.zh} {purpose.en}"
    for statute in bundle.statutes:
        on = "on" if bundle.statute_is_on(statute.code) else "off"
        yield "statute", statute.code, on, f"{statute.zh} {statute.en}"
    for rule in bundle.predicates:
        on = "on" if bundle.predicate_is_on(rule.name) else "off"
        yield "predicate", rule.name, on, f"{rule.zh} {rule.en}"
    for category in bundle.categories:
        on = "on" if bundle.category_is_on(category.code) else "off"
        yield "category", category.code, on, f"{category.zh} {category.en}"


def _changes(old: PolicyBundle, new: PolicyBundle) -> tuple[Change, ...]:
    from consent.policy_diff import diff as compare

    return compare(old, new)


def _show_changes(changes: Sequence[Change], as_json: bool) -> None:
    heads = ("change", "place", "old", "new", "effect")
    lines = [(one.kind, one.place, one.old, one.new, one.effect) for one in changes]
    if as_json:
        show_json([dict(zip(heads, line, strict=True)) for line in lines])
    elif lines:
        show_table(heads, lines)
    else:
        click.echo("no difference")


def _bundle(sources: Sequence[Path], *, demo: bool) -> PolicyBundle:
    """One bundle: a published JSON file, which says itself whether it is a demonstration's, or TOML."""
    import msgspec

    from consent.policy import PolicyBundle, load_policy, parse_policy, read_tables

    if len(sources) == 1 and sources[0].suffix == ".json":
        return parse_policy(read_file(sources[0]))
    texts = _texts(sources)
    # load_policy takes texts without statutes for a policy that has none.
    needed = {one.name for one in msgspec.structs.fields(PolicyBundle) if one.required} - {"statutes"}
    missing = needed - read_tables(texts.values(), demo=demo).keys()
    if missing:
        lack = ", ".join(sorted(missing))
        fail(f"no table {lack} is there: give all files of the policy, or their directory")
    return load_policy(texts.values(), demo=demo)


def _in_force_is_demo(state: State) -> bool:
    """Whether the policy in force is one for demonstration; False where nothing is installed."""
    from gateway.errors import NotReady

    try:
        with opened(state) as house:
            return house.policy.demo
    except NotReady:
        return False


def _texts(sources: Iterable[Path]) -> dict[str, str]:
    """The TOML texts of these files and of the directories' files by their paths, each once."""
    files = [
        path
        for source in sources
        for path in (sorted(source.glob("*.toml")) if source.is_dir() else [source])
    ]
    if not files:
        fail("no .toml file is there: name the policy's files or their directory")
    return {str(path): read_text(path) for path in files}
