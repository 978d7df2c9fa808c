"""The command line as such: every command is there, explains itself, and fails in one line."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from consent.errors import ConsentError
from gateway.cli import main
from gateway.cli.failures import line_of
from gateway.errors import GatewayError, Rejected, Undelivered
from gateway.http.flood import TooManyBadSignatures
from gateway.http.problems import PROBLEMS
from gateway.http.signature import SignatureRefused
from keys.errors import KeysError
from ledger.errors import Finding, LedgerError
from tests.gateway.cli.town import Shell

COMMANDS = """
init serve query
registrar keygen, registrar officer, registrar certify, regulator keygen
institution add, institution suspend, institution reinstate, institution list
operator keygen, operator add, operator suspend, operator reinstate, operator list
consent request, consent decline, consent status, consent sign, consent withdraw
citizen keygen, citizen enrol, citizen report, citizen accesses
records import
policy lint, policy diff, policy apply, policy show
ledger checkpoint, ledger export, ledger verify, ledger show, ledger proof, ledger vkey
keys status, config show
"""
NAMES = [name.strip() for line in COMMANDS.strip().splitlines()[1:] for name in line.split(",")] + [
    "init",
    "serve",
    "query",
]

for _module in (
    "gateway.client.errors",
    "gateway.config",
    "gateway.records.table",
    "gateway.records.mapping",
):
    import_module(_module)  # so that their errors are known below


def below(kind: type[Exception]) -> Iterator[type[Exception]]:
    for one in kind.__subclasses__():
        yield one
        yield from below(one)


def commands(group: click.Group = main, path: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


def test_every_command_of_the_specification_is_there() -> None:
    assert set(NAMES) <= {name for name, _ in commands()}


@pytest.mark.parametrize("name", NAMES)
def test_every_command_explains_itself_with_an_example(name: str) -> None:
    result = CliRunner().invoke(main, [*name.split(), "--help"])
    assert result.exit_code == 0
    assert f"chengxin {name}" in " ".join(result.output.replace("--home .demo ", "").split()) or (
        "chengxin --home" in result.output
    )


def test_no_option_takes_a_secret_or_a_citizen_number() -> None:
    told = {"passphrase", "password", "secret", "token", "citizen_number", "number", "name_of_person"}
    for name, command in commands():
        for parameter in command.params:
            assert parameter.name not in told, name
            if parameter.name in ("key_file", "passphrase_file", "regulator_key", "person_file"):
                assert isinstance(parameter.type, click.Path), name


@pytest.mark.parametrize(
    "kind",
    sorted(
        {one for root in (GatewayError, KeysError, ConsentError, LedgerError) for one in (root, *below(root))}
        - {Finding, Undelivered, SignatureRefused, TooManyBadSignatures, *(Rejected, *below(Rejected))},
        key=lambda one: f"{one.__module__}.{one.__qualname__}",
    ),
)
def test_every_error_of_ours_becomes_one_line(kind: type[Exception]) -> None:
    line = line_of(kind("first\nsecond"))
    assert line is not None
    assert line.startswith("first; second")
    assert "\n" not in line


@pytest.mark.parametrize("problem", sorted(PROBLEMS))
def test_every_problem_of_the_gateway_says_what_to_do(problem: str) -> None:
    line = line_of(Rejected(problem))
    assert line is not None
    assert PROBLEMS[problem].hint_en.rstrip(".") in line


def test_errors_of_the_machine_become_one_line() -> None:
    for error in (
        OSError(errno.ENOSPC, "No space left on device", "x"),
        sa.exc.OperationalError("", {}, OSError()),
    ):
        line = line_of(error)
        assert line is not None
        assert "\n" not in line


def test_what_nobody_foresaw_keeps_its_traceback() -> None:
    assert line_of(ZeroDivisionError()) is None


def test_a_wrong_command_line_is_one_line_and_status_2(shell: Shell) -> None:
    assert "--help" in shell.fails("institution", "ad", status=2)
    assert "--sector" in shell.fails("institution", "add", "91990000DEMA00001L", "--name", "x", status=2)
    assert "credit code" in shell.fails(
        "institution", "add", "x", "--name", "x", "--sector", "finance", status=2
    )
    assert "2026-12-31" in shell.fails("ledger", "show", shell.place, "--since", "yesterday", status=2)
    assert "scheme" in shell.fails("citizen", "report", "--key", "k", "--url", "localhost", status=2)


def test_without_an_installation_every_command_of_the_state_says_how_to_begin(shell: Shell) -> None:
    for command in (
        ("serve",), ("keys", "status"), ("institution", "list"), ("operator", "list"), ("ledger", "vkey"),
        ("ledger", "checkpoint"), ("ledger", "export", "--to", shell.file("x")), ("ledger", "proof", "0"),
    ):  # fmt: skip
        assert "chengxin init" in shell.fails(*command)


def test_wrong_settings_are_one_line(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHENGXIN_PORT", "none")
    monkeypatch.setenv("CHENGXIN_HOTS", "::1")
    line = shell.fails("config", "show")
    assert "CHENGXIN_PORT" in line
    assert "CHENGXIN_HOST" in line


def test_the_version_is_told() -> None:
    assert CliRunner().invoke(main, ["--version"]).output.startswith("chengxin")


def test_config_show_tells_every_setting_and_no_secret(shell: Shell, tmp_path: Path) -> None:
    shown = shell.json("config", "show")
    assert shown["home"] == str(tmp_path / "home")
    assert shown["passphrase_file"].endswith("passphrase")
    assert "CHENGXIN_CHECKPOINT_COPY" in shell.ok("config", "show")
