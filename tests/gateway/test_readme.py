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


def test_both_languages_have_the_same_sections_and_rows() -> None:
    english, chinese = text("README.md"), text("README.zh.md")
    assert len(re.findall(r"^## ", english, re.MULTILINE)) == len(re.findall(r"^## ", chinese, re.MULTILINE))
    assert len(table_rows(english)) == len(table_rows(chinese))
