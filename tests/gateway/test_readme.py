"""What the README says is what there is: settings, routes and commands, in both languages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from gateway.cli import main
from gateway.config import settings_table
from tests.gateway.world import World

ROOT = Path(__file__).parent.parent.parent
READMES = ("README.md", "README.zh.md")


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def table_rows(readme: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in readme.splitlines()
        if line.startswith("|")
    ]


def commands(command: click.Command, prefix: str = "") -> Iterator[str]:
    if not isinstance(command, click.Group):
        yield prefix
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from commands(found, f"{prefix} {name}".strip())


def test_the_settings_table_is_complete() -> None:
    for name in READMES:
        shown = {row[0]: row[1] for row in table_rows(text(name)) if row[0].startswith("`CHENGXIN_")}
        assert shown == {f"`{row.env}`": f"`{row.default}`" for row in settings_table()}, name


def test_the_settings_of_the_english_table_are_described_as_the_command_does() -> None:
    shown = {row[0]: row[2] for row in table_rows(text("README.md")) if row[0].startswith("`CHENGXIN_")}
    assert shown == {f"`{row.env}`": row.description for row in settings_table()}


def test_every_command_stands_in_the_readme_and_no_other() -> None:
    built = set(commands(main))
    for name in READMES:
        block = re.search(r"<!-- commands -->(.*?)<!-- /commands -->", text(name), re.DOTALL)
        assert block is not None, name
        listed = set()
        for cell in re.findall(r"^\| `([^`]+)`", block.group(1), re.MULTILINE):
            noun, _, verbs = cell.replace("\\|", "|").rpartition(" ")
            listed |= {f"{noun} {verb}".strip() for verb in verbs.split("|")}
        assert listed == built, name


def test_every_route_stands_in_the_readme(world: World) -> None:
    rules = {
        re.sub(r"<(?:\w+:)?(\w+)>", lambda found: "{index}" if found[1] == "index" else "{id}", rule.rule)
        for rule in world.server.app.url_map.iter_rules()
    }
    for name in READMES:
        for rule in rules:
            shown = "/ledger/tile/…" if rule.startswith("/ledger/tile/") else rule
            assert f"{shown}`" in text(name), (name, shown)


@pytest.mark.parametrize("name", READMES)
def test_every_file_that_is_linked_is_there(name: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", text(name)):
        if "://" not in target:
            assert (ROOT / target).exists(), target


def trusted(name: str) -> list[list[str]]:
    """The tests that each row of "Who could do what to whom" links in its last cell, of both its tables."""
    heading = {"README.md": "Who could do what to whom", "README.zh.md": "谁能对谁做什么"}[name]
    section = text(name).partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    heads = [
        lines[0] for lines in (part.split("\n") for part in section.split("\n\n")) if lines[0][:1] == "|"
    ]
    assert len(heads) == 2, name
    rows = [line for line in section.splitlines() if line.startswith("| ") and line not in heads]
    return [re.findall(r"\]\((tests/[^)]+)\)", row.rstrip("| ").rpartition("|")[2]) for row in rows]


@pytest.mark.parametrize("name", READMES)
def test_every_row_of_trust_links_the_tests_that_prove_it(name: str) -> None:
    """In its last cell, the same in both languages, and each is a file of tests."""
    linked = trusted(name)
    assert linked == trusted(READMES[0]) != []
    for row in linked:
        assert row, "a row links no test"
        for target in row:
            assert re.search(r"^def test_", text(target), re.MULTILINE), target


def test_both_languages_have_the_same_sections_and_rows() -> None:
    english, chinese = text("README.md"), text("README.zh.md")
    assert len(re.findall(r"^## ", english, re.MULTILINE)) == len(re.findall(r"^## ", chinese, re.MULTILINE))
    assert len(table_rows(english)) == len(table_rows(chinese))
