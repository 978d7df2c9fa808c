"""`init` makes a whole installation or leaves nothing, and `serve` serves it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx
import pytest

from gateway.db import migrate
from tests.gateway.cli.town import ORIGIN, Shell, init
from tests.ports import free_port


def test_what_was_given_stands_in_the_settings_file(installed: Shell) -> None:
    settings = tomllib.loads((installed.home / "config.toml").read_text())
    assert settings["origin"] == ORIGIN
    assert settings.keys() == {"origin", "port", "public_url"}
    assert installed.json("config", "show")["origin"] == ORIGIN


def test_a_passphrase_is_made_once_for_its_owner_alone_and_said(shell: Shell) -> None:
    told = init(shell)
    file = shell.home / "passphrase"
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(file.read_text().strip()) >= 32
    assert str(file) in told
    assert file.read_text().strip() not in told


def test_a_passphrase_that_stands_is_used_and_kept(shell: Shell) -> None:
    own = shell.file("own-passphrase")
    own.write_text("a passphrase of my very own\n")
    own.chmod(0o600)
    told = shell.ok("init", "--demo", "--passphrase-file", own)
    assert "A passphrase was made" not in told
    assert own.read_text() == "a passphrase of my very own\n"
    assert shell.ok("ledger", "vkey")


def test_a_second_init_changes_nothing(installed: Shell) -> None:
    before = {path: path.read_bytes() for path in installed.home.rglob("*") if path.is_file()}
    assert "nothing was changed" in installed.fails("init", "--demo")
    assert "config.toml exists" in installed.fails("init", "--port", "9000")
    assert {path: path.read_bytes() for path in installed.home.rglob("*") if path.is_file()} == before


def test_keys_that_are_lost_are_to_be_brought_back_and_not_made_anew(installed: Shell) -> None:
    custody, aside = installed.home / "custody", installed.file("aside")
    custody.rename(aside)
    for command in (("keys", "status"), ("ledger", "vkey"), ("ledger", "recover")):
        said = installed.fails(*command)
        assert str(custody) in said
        assert "lost-root-share.md" in said
        assert "chengxin init" not in said
    (installed.home / "log" / "checkpoint").unlink()
    assert "lost-root-share.md" in installed.fails("keys", "status"), "the copy outside is left"
    aside.rename(custody)
    assert installed.ok("ledger", "vkey")


def test_where_nothing_was_ever_installed_init_is_named(shell: Shell) -> None:
    shell.home.mkdir()
    assert "run `chengxin init` first" in shell.fails("keys", "status")


def test_a_database_that_is_lost_is_to_be_brought_back_and_nothing_removed(installed: Shell) -> None:
    database = installed.home / "gateway.db"
    for file in installed.home.glob("gateway.db*"):
        file.unlink()
    assert "bring it back (the runbook's restore.md)" in installed.fails("keys", "status")
    database.unlink()
    migrate(f"sqlite:///{database}")
    said = installed.fails("keys", "status")
    assert "remove nothing" in said
    assert "restore.md" in said
    for kept in ("log/checkpoint", "outside/checkpoint"):
        (installed.home / kept).unlink()
    assert "init did not finish" in installed.fails("keys", "status")


@pytest.mark.parametrize(
    "wrong", [("--origin", "https://x"), ("--public-url", "http://bank.example"), ("--host", "?")]
)
def test_a_failed_init_leaves_nothing(shell: Shell, wrong: tuple[str, str]) -> None:
    shell.fails("init", *wrong)
    assert not shell.home.exists()


def test_an_exposed_passphrase_is_refused_and_nothing_is_left(shell: Shell) -> None:
    own = shell.file("own-passphrase")
    own.write_text("a passphrase of my very own\n")
    own.chmod(0o644)
    assert "chmod" in shell.fails("init", "--passphrase-file", own)
    assert not shell.home.exists()


def test_a_policy_of_ones_own_is_taken_and_a_wrong_one_refused(shell: Shell) -> None:
    wrong = shell.file("wrong.toml")
    wrong.write_text("purposes = 1\n")
    assert "chengxin policy lint" in shell.fails("init", "--policy", wrong)
    shipped = sorted(Path("consent/policy_data").resolve().glob("*.toml"))
    shell.ok("init", *(part for file in shipped for part in ("--policy", file)))


def test_serve_serves_until_it_is_told_to_stop(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    shell.ok("init", "--demo", "--port", port, "--metrics-port", free_port())
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CHENGXIN_")}
    command = [sys.executable, "-m", "gateway.cli", "--home", str(shell.home), "serve"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as server:
        try:
            with httpx.Client(transport=httpx.HTTPTransport(retries=7)) as http:
                assert http.get(f"http://localhost:{port}/healthz").json() == {"status": "ok"}
                keys = http.get(f"http://localhost:{port}/v1/keys").json()
            assert keys["vkey"] == shell.ok("ledger", "vkey").strip()
            assert f"port {port} is in use" in shell.fails("serve")
            monkeypatch.setenv("CHENGXIN_PORT", str(free_port()))
            monkeypatch.setenv("CHENGXIN_METRICS_PORT", str(free_port()))
            assert "a server is running on this home" in shell.fails("serve")
            monkeypatch.undo()
            size = shell.json("ledger", "checkpoint")["size"]
            shell.ok("regulator", "keygen", "--out", shell.file("r.jwk"))
            shell.ok("institution", "add", "91990000DEMA00001L", "--name", "Bank", "--sector", "finance")
            assert shell.json("ledger", "checkpoint")["size"] == size + 1
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)
    assert server.returncode == 0


def test_state_commands_work_beside_no_server_and_publish_on_demand(installed: Shell) -> None:
    first = installed.json("ledger", "checkpoint")
    installed.ok("institution", "add", "91990000DEMA00001L", "--name", "Bank", "--sector", "finance")
    note = (installed.home / "log" / "checkpoint").read_text()
    assert note == first["note"]
    second = installed.json("ledger", "checkpoint")
    assert second["size"] == first["size"] + 1
    assert installed.ok("ledger", "checkpoint") == second["note"]
    assert json.loads(installed.ok("keys", "status", "--json"))["epoch"] == 1
