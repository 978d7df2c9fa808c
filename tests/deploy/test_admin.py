"""Root's `chengxin`: what it lends is lent to one command, for as long as that runs, and to nobody else."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

import pytest

from tests.deploy.test_systemd import section
from tests.deploy.tools import DEPLOY, run

PASSPHRASE = "correct horse"

COMMAND = """#!/bin/sh
stat -c '%a %n' "$CHENGXIN_PASSPHRASE_FILE" "${CHENGXIN_PASSPHRASE_FILE%/*}"
cat "$CHENGXIN_PASSPHRASE_FILE"
echo "$@"
exit "${STATUS:-0}"
"""


@pytest.fixture
def admin(tmp_path: Path) -> Path:
    """The script with places of this test's, as whoever runs it: only root can become the service's user."""
    for name in ("secrets", "run"):
        (tmp_path / name).mkdir()
    (tmp_path / "secrets" / "passphrase").write_text(PASSPHRASE)
    command = tmp_path / "command"
    command.write_text(COMMAND)
    command.chmod(0o755)
    text = (DEPLOY / "admin.sh").read_text("utf-8")
    for there, here in (
        ("/etc/chengxin/secrets", str(tmp_path / "secrets")),
        ("/run/", f"{tmp_path}/run/"),
        ('/opt/chengxin/bin/chengxin "$@"', f'{command} "$@"'),
        ("user=chengxin", f"user={pwd.getpwuid(os.getuid()).pw_name}"),
        ('-g "$user"', f"-g {os.getgid()}"),
        ('"$user:$user"', f"{os.getuid()}:{os.getgid()}"),
        ('runuser -u "$user" -- ', ""),
        ("$(id -u)", "${PRETEND_ID:-0}"),
    ):
        assert there in text, there
        text = text.replace(there, here)
    script = tmp_path / "chengxin"
    script.write_text(text)
    return script


def test_the_passphrase_is_lent_while_the_command_runs_and_gone_afterwards(admin: Path) -> None:
    done = run("sh", admin, "keys", "status", "two words")
    assert done.returncode == 0, done.stderr
    file, folder, passphrase = done.stdout.splitlines()[0:3]
    assert file.startswith("400 ")
    assert folder.startswith("700 ")
    assert passphrase == PASSPHRASE + "keys status two words"
    assert not list((admin.parent / "run").iterdir())


def test_a_command_that_fails_keeps_its_status_and_nothing_stays(admin: Path) -> None:
    assert run("sh", admin, "init", STATUS="3").returncode == 3
    assert not list((admin.parent / "run").iterdir())


@pytest.mark.parametrize("content", [None, ""])
def test_without_a_passphrase_no_command_runs(admin: Path, content: str | None) -> None:
    """`init` would make one in the lent directory, and it would be gone with it."""
    file = admin.parent / "secrets" / "passphrase"
    file.unlink() if content is None else file.write_text(content)
    done = run("sh", admin, "init")
    assert (done.returncode, done.stdout) == (1, "")
    assert str(file) in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_who_is_not_root_is_told_so(admin: Path) -> None:
    done = run("sh", admin, "init", PRETEND_ID="1000")
    assert (done.returncode, done.stdout) == (1, "")
    assert "root" in done.stderr


def test_it_works_on_the_settings_of_the_service_as_its_user() -> None:
    service = section("chengxin.service", "Service")
    text = (DEPLOY / "admin.sh").read_text("utf-8")
    for value in service["Environment"]:
        if "PASSPHRASE" not in value:
            assert f"    {value} \\\n" in text, value
    assert f"user={service['User'][0]}\n" in text
    [credential] = service["LoadCredential"]
    assert f"secrets={Path(credential.partition(':')[2]).parent}\n" in text
    assert service["ExecStart"][0].split()[0] + ' "$@"\n' in text


def test_the_shell_reads_it() -> None:
    assert subprocess.run(["sh", "-n", str(DEPLOY / "admin.sh")], check=False).returncode == 0
