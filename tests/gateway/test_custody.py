"""An installation whose keys are in an HSM: made, served, asked, and taken back if it cannot be finished."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from gateway.client.bank import Answer, BankClient
from gateway.client.reply import Refused
from gateway.errors import NotReady
from gateway.opening import initialise
from keys.custody.pkcs11 import Pkcs11Custody, TokenAccess
from keys.custody.token import open_token
from tests import softhsm
from tests.gateway.cli.town import Shell, shell_in
from tests.gateway.test_story import records
from tests.gateway.workers.served import town
from tests.gateway.world import PASSPHRASE, SettableClock, new_home, new_world, roomy_policy
from tests.ports import free_port

NUMBER = "110101199003070134"
LABEL = "gateway-tests"


@pytest.fixture(scope="module")
def access() -> TokenAccess:
    """A token whose PIN is the passphrase that every home of the tests has in its file."""
    known, pin = softhsm.token(), PASSPHRASE.decode().strip()
    return TokenAccess(known.module, softhsm.make_token(LABEL, pin), pin)


@pytest.fixture
def token(access: TokenAccess) -> dict[str, str]:
    """Settings that name it."""
    softhsm.token()
    return softhsm.settings(access)


def in_the_token(access: TokenAccess) -> int:
    """How many keys of anybody it holds."""
    held = open_token(access.module, access.label, access.pin)
    try:
        assert held._session is not None
        return len(list(held._session.get_objects()))
    finally:
        held.close()


def test_a_query_is_answered_from_keys_in_an_hsm(tmp_path: Path, token: dict[str, str]) -> None:
    with new_world(tmp_path / "home", **token) as world:
        assert isinstance(world.house.custody, Pkcs11Custody)
        assert world.import_records(records(NUMBER)).accepted == 1
        citizen, bank = world.citizen(NUMBER), world.bank()
        consent = world.consent(citizen)
        answer = world.query(consent, bank)
        assert isinstance(answer, Answer)
        assert answer.answer["records"]["loan"][0]["fields"]["amount"] == 2096
        assert bank.prove(answer.receipt)
        world.withdraw(citizen, consent)
        again = world.reopen()
        assert again.custody.names() == world.house.custody.names()
        again.engine.dispose()
        again.custody.close()
        refused = world.query(consent, bank)
        assert isinstance(refused, Refused)
        assert refused.problem.name == "withdrawn"


@pytest.mark.slow
def test_two_workers_answer_from_keys_in_an_hsm(tmp_path: Path, token: dict[str, str]) -> None:
    with town(tmp_path / "home", **token) as served:
        world, server = served.world, served.server
        assert world.import_records(records(NUMBER)).accepted == 1
        consent = world.consent(world.citizen(NUMBER))
        workers = server.each()
        assert len(workers) == 2
        for http in workers:
            bank = BankClient(world.url, world.bank_key, **world.pins(), http=http)
            assert isinstance(world.query(consent, bank), Answer)
        assert server.stop() == 0


def test_an_init_that_fails_leaves_nothing_in_the_token(
    tmp_path: Path, token: dict[str, str], access: TokenAccess
) -> None:
    before = in_the_token(access)
    ports = {"port": free_port(), "metrics_port": free_port()}
    settings = new_home(tmp_path / "home", **ports, **token)
    with patch("gateway.opening.publish", side_effect=NotReady("the disk is gone")), pytest.raises(NotReady):
        initialise(settings, roomy_policy(), SettableClock())
    assert in_the_token(access) == before
    assert not settings.custody_dir.exists()


SHARES = ("--shares", "3", "--threshold", "2", "--out", "shares", "--label", "vault")


@pytest.fixture
def shell(tmp_path: Path, token: dict[str, str]) -> Any:
    """A shell whose home's settings name the token."""
    with shell_in(tmp_path) as made:
        softhsm.token()  # the shell's environment is a clean one
        made.home.mkdir(mode=0o700)
        lines = [f'{name} = "{value}"' for name, value in token.items()]
        made.home.joinpath("config.toml").write_text("\n".join([*lines, f"port = {free_port()}", ""]))
        yield made


def written(shell: Shell, pin: str) -> Path:
    path = shell.home / "passphrase"
    path.write_text(pin + "\n")
    path.chmod(0o600)
    return path


def test_init_makes_and_opens_an_installation_in_the_token(shell: Shell, access: TokenAccess) -> None:
    written(shell, access.pin)
    before = in_the_token(access)
    told = shell.ok("init", "--demo")
    assert "A passphrase was made" not in told
    assert in_the_token(access) == before + 6  # root, blind index, two pairs
    assert shell.ok("ledger", "vkey").strip() in told
    held = {key["name"] for key in shell.json("keys", "status")["custody"]}
    assert held == {"epoch-1", "index-1", "rows-1", "checkpoint", "receipt"}
    assert access.pin not in (shell.home / "config.toml").read_text()


def test_the_root_of_a_token_is_not_rotated_and_it_is_said_what_is(shell: Shell, access: TokenAccess) -> None:
    written(shell, access.pin)
    shell.ok("init", "--demo")
    said = shell.fails("keys", "rotate", "root")
    assert "change the token's PIN, then `chengxin keys rotate epoch`" in said
    assert "back it up as its maker says" in shell.fails("keys", "backup", *SHARES)


def test_init_makes_no_pin_where_there_is_none(shell: Shell) -> None:
    said = shell.fails("init", "--demo")
    assert f"write the PIN of token {LABEL} into it" in said
    assert sorted(path.name for path in shell.home.iterdir()) == ["config.toml"]


def test_what_is_wrong_with_the_token_is_said_in_one_line(shell: Shell, access: TokenAccess) -> None:
    pin = written(shell, "not-the-right-pin")
    assert f"the PIN does not open token {LABEL}" in shell.fails("init", "--demo")
    pin.chmod(0o644)
    assert "chmod" in shell.fails("init", "--demo")
    written(shell, access.pin)
    config = shell.home / "config.toml"
    for wrong, said in (
        (config.read_text().replace(LABEL, "elsewhere"), "no token is labelled elsewhere"),
        (config.read_text().replace(".so", ".none"), "no PKCS#11 module is there"),
        (
            config.read_text().replace("pkcs11_token", "# pkcs11_token"),
            "needs pkcs11_module and pkcs11_token",
        ),
    ):
        before = config.read_text()
        config.write_text(wrong)
        assert said in shell.fails("init", "--demo")
        config.write_text(before)
    assert sorted(path.name for path in shell.home.iterdir()) == ["config.toml", "passphrase"]
