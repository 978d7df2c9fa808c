"""`chengxin policy`: what is wrong is said, what would change is shown, what is applied is in force."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError

from consent.errors import MalformedPolicy
from consent.policy import (
    default_policy,
    default_texts,
    format_policy,
    load_policy,
    parse_policy,
    policy_hash,
)
from gateway.cli.policy_toml import format_toml
from tests.gateway.cli.town import Shell

LIMIT = "request_days = 14"


@pytest.fixture
def policy(shell: Shell) -> Path:
    """The files of the default policy, in a directory."""
    folder = shell.file("policy")
    folder.mkdir()
    for name, text in default_texts().items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def edit(folder: Path, old: str, new: str) -> None:
    """Edit the one file that has this text."""
    [path] = [one for one in folder.glob("*.toml") if old in one.read_text("utf-8")]
    path.write_text(path.read_text("utf-8").replace(old, new), encoding="utf-8")


# --- lint ---


def test_lint_finds_no_error_in_what_is_shipped(shell: Shell, policy: Path) -> None:
    found = shell.json("policy", "lint", policy)
    assert "error" not in {one["severity"] for one in found}
    assert "0 of them errors" in shell.run("policy", "lint", policy).stderr


def test_lint_names_the_place_and_fails(shell: Shell, policy: Path) -> None:
    edit(policy, LIMIT, "request_days = 1000\nrequest_nights = 3")
    result = shell.run("policy", "lint", policy, "--json")
    assert result.exit_code == 1
    places = {one["place"] for one in msgspec.json.decode(result.stdout) if one["severity"] == "error"}
    assert places == {"enrolment.request_days", "enrolment.request_nights"}


def test_lint_takes_single_files_too(shell: Shell, policy: Path) -> None:
    assert shell.json("policy", "lint", *sorted(policy.glob("*.toml"))) == shell.json(
        "policy", "lint", policy
    )
    assert "missing" in shell.run("policy", "lint", policy / "rules.toml").stdout


def test_lint_reads_the_files_as_the_policy_in_force_is_read(installed: Shell, policy: Path) -> None:
    as_default, demo, checked = (
        installed.json("policy", "lint", policy, *how) for how in ((), ("--demo",), ("--checked",))
    )
    assert as_default == demo != checked


# --- diff ---


def test_diff_compares_with_the_policy_in_force(installed: Shell, policy: Path) -> None:
    assert installed.json("policy", "diff", policy) == []
    assert installed.ok("policy", "diff", policy).strip() == "no difference"
    edit(policy, LIMIT, "request_days = 7")
    assert installed.json("policy", "diff", policy) == [
        {"change": "changed", "place": "enrolment.request_days", "old": 14, "new": 7, "effect": None}
    ]


def test_diff_compares_two_policies_without_an_installation(shell: Shell, policy: Path) -> None:
    published = shell.file("old.json")
    published.write_bytes(format_policy(default_policy(demo=False)))
    edit(policy, LIMIT, "request_days = 7")
    [one] = shell.json("policy", "diff", policy, "--from", published)
    assert (one["old"], one["new"]) == (14, 7)


def test_diff_says_when_checks_begin_to_count(installed: Shell, policy: Path) -> None:
    [one] = installed.json("policy", "diff", policy, "--checked")
    assert (one["place"], one["new"], one["effect"]) == ("demo", False, "stricter")


# --- apply and show ---


def test_apply_shows_the_difference_and_is_in_force_from_its_index(installed: Shell, policy: Path) -> None:
    before = policy_hash(default_policy(demo=True))
    edit(policy, LIMIT, "request_days = 7")
    asked = installed.run("policy", "apply", policy)
    assert (asked.exit_code, "enrolment.request_days" in asked.stdout) == (1, True)
    assert "say --yes to apply from a script" in asked.stderr
    said = installed.ok("policy", "apply", policy, "--yes")
    assert "enrolment.request_days" in said
    named = said.split()[said.split().index("policy") + 1]
    shown = installed.ok("policy", "show", "--json").encode()
    assert policy_hash(parse_policy(shown)) == named != before
    assert said.strip().endswith("from index 5")
    assert installed.ok("policy", "show").startswith(f"policy {named} (demo")
    assert "in force already" in installed.fails("policy", "apply", policy)


def test_apply_says_it_as_json(installed: Shell, policy: Path) -> None:
    edit(policy, LIMIT, "request_days = 7")
    said = installed.json("policy", "apply", policy, "--yes")
    assert said["replaces"] == policy_hash(default_policy(demo=True))
    assert said["index"] == 5


def test_a_demonstration_is_not_applied_over_a_checked_policy(installed: Shell, policy: Path) -> None:
    installed.ok("policy", "apply", policy, "--checked", "--yes")
    assert "purpose" in (shown := installed.ok("policy", "show"))
    assert "demo" not in shown.splitlines()[0]
    assert "demonstration" in installed.fails("policy", "apply", policy, "--demo", "--yes")


def test_a_policy_that_contradicts_itself_is_not_applied(installed: Shell, policy: Path) -> None:
    edit(policy, LIMIT, "request_days = 1000")
    line = installed.fails("policy", "apply", policy, "--yes")
    assert "request_days" in line
    assert "chengxin policy lint" in line
    assert parse_policy(installed.ok("policy", "show", "--json").encode()) == default_policy(demo=True)


def test_what_is_shown_as_toml_can_be_applied_again(installed: Shell) -> None:
    shown = installed.file("shown.toml")
    shown.write_text(installed.ok("policy", "show", "--toml"), encoding="utf-8")
    assert installed.json("policy", "diff", shown) == []
    installed.fails("policy", "show", "--toml", "--json", status=2)


def test_a_part_of_a_policy_is_told_what_is_missing(installed: Shell, policy: Path) -> None:
    line = installed.fails("policy", "diff", policy / "rules.toml")
    assert "give all files of the policy, or their directory" in line


def test_an_empty_directory_is_no_policy(installed: Shell) -> None:
    folder = installed.file("empty")
    folder.mkdir()
    assert "no .toml file" in installed.fails("policy", "diff", folder)


# --- the text form ---


@pytest.mark.parametrize("demo", [True, False])
def test_toml_of_the_default_policy_gives_it_back(demo: bool) -> None:
    bundle = default_policy(demo=demo)
    assert load_policy(format_toml(bundle), demo=demo) == bundle


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=60)


@given(NAMES, st.sampled_from([True, False]))
def test_toml_of_any_name_gives_it_back(name: str, checked: bool) -> None:
    """Quotes, backslashes, control characters, every plane: a name in a policy is its author's."""
    base = default_policy(demo=True)
    purposes = tuple(msgspec.structs.replace(one, zh=name, checked=checked) for one in base.purposes)
    try:
        bundle = parse_policy(format_policy(msgspec.structs.replace(base, purposes=purposes)))
    except MalformedPolicy:  # no policy holds that name
        return
    assert load_policy(format_toml(bundle), demo=True) == bundle


def test_a_policy_without_statutes_has_a_text_too() -> None:
    base = default_policy(demo=True)
    bundle = msgspec.structs.replace(base, statutes=(), predicates=(), quotas=(), purposes=())
    assert load_policy(format_toml(bundle), demo=True) == bundle


def test_the_printed_schema_is_that_of_the_shipped_files(shell: Shell) -> None:
    validator = Draft202012Validator(msgspec.json.decode(shell.run("policy", "schema").stdout))
    tables: dict[str, Any] = {}
    for text in default_texts().values():
        tables |= tomllib.loads(text)
    validator.validate(tables)
    with pytest.raises(ValidationError):
        validator.validate(tables | {"quotas": [{"scope": "everybody"}]})
