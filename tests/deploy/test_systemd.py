"""The units that ship: accepted by systemd, tightly confined, and the gateway works when confined so."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.deploy.tools import DEPLOY, run, tool
from tests.gateway.workers.served import until
from tests.gateway.world import new_house

UNITS = DEPLOY / "systemd"
SERVICES = ("chengxin.service", "chengxin-backup.service", "chengxin-erasure.service")
TIMERS = {"chengxin-backup.timer": "02:30:00", "chengxin-erasure.timer": "03:30:00"}
MOST_EXPOSED = 1.5

CONFINED = """
import ctypes, os, sys
libc, seccomp = ctypes.CDLL(None, use_errno=True), ctypes.CDLL("libseccomp.so.2", use_errno=True)
PR_SET_NO_NEW_PRIVS, PR_SET_MDWE, EPERM = 38, 65, 1
assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
libc.prctl(PR_SET_MDWE, 1, 0, 0, 0)  # a kernel before 6.3 does not know it, and systemd filters calls alone
seccomp.seccomp_init.restype = ctypes.c_void_p
deny = 0x00050000 | EPERM
context = ctypes.c_void_p(seccomp.seccomp_init(deny))
for name in sys.argv[1].split(","):
    number = seccomp.seccomp_syscall_resolve_name(name.encode())
    if number >= 0:
        assert seccomp.seccomp_rule_add(context, 0x7FFF0000, number, 0) == 0, name
assert seccomp.seccomp_load(context) == 0
try:
    os.setpriority(os.PRIO_PROCESS, 0, 5)
except PermissionError:
    print("confined", flush=True)
os.execv(sys.argv[2], sys.argv[2:])
"""


def section(unit: str, name: str) -> dict[str, list[str]]:
    """The settings of one section, each with all of its values in order."""
    found: dict[str, list[str]] = {}
    current = ""
    for line in (UNITS / unit).read_text("utf-8").splitlines():
        if line.startswith("["):
            current = line.strip("[]")
        elif current == name and "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units as they are, but for the command, which is not installed where this test runs."""
    program = f"{sys.executable} -m gateway.cli"
    for unit in sorted(UNITS.glob("chengxin*")):
        (tmp_path / unit.name).write_text(
            unit.read_text("utf-8").replace("/opt/chengxin/bin/chengxin", program)
        )
    for unit in SERVICES:
        (tmp_path / f"{unit}.d").mkdir()
        (tmp_path / f"{unit}.d" / "softhsm.conf").write_bytes((UNITS / "softhsm.conf").read_bytes())
    return tmp_path


def test_systemd_accepts_every_unit_without_a_word(installed: Path) -> None:
    analyze = tool("systemd-analyze", "systemd")
    done = run(analyze, "verify", "--man=no", *(installed / unit for unit in (*SERVICES, *TIMERS)))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        ("chengxin.service", "NoNewPrivileges", "NoNewPriviliges"),
        ("chengxin.service.d/softhsm.conf", "ReadWritePaths", "ReadWritePath"),
    ],
)
def test_systemd_finds_what_is_wrong(installed: Path, file: str, right: str, wrong: str) -> None:
    """The check can fail."""
    unit = installed / file
    unit.write_text(unit.read_text().replace(right, wrong))
    done = run(tool("systemd-analyze", "systemd"), "verify", "--man=no", installed / "chengxin.service")
    assert f"'{wrong}'" in done.stdout + done.stderr


@pytest.mark.parametrize("unit", SERVICES)
def test_a_service_is_exposed_to_little(unit: str) -> None:
    done = run(tool("systemd-analyze", "systemd"), "security", "--offline=true", UNITS / unit)
    [exposure] = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert float(exposure) <= MOST_EXPOSED, done.stdout


@pytest.mark.parametrize("unit", SERVICES)
def test_the_passphrase_is_a_credential_and_nothing_secret_is_in_the_environment(unit: str) -> None:
    service = section(unit, "Service")
    assert service["LoadCredential"] == ["passphrase:/etc/chengxin/secrets/passphrase"]
    folder = service["RuntimeDirectory"][0]
    assert f"CHENGXIN_PASSPHRASE_FILE=%t/{folder}/passphrase" in service["Environment"]
    assert service["ExecStartPre"] == [f"/usr/bin/install -m 0400 %d/passphrase %t/{folder}/passphrase"]
    assert service["RuntimeDirectoryMode"] == ["0700"]
    assert service["UMask"] == ["0077"]


@pytest.mark.parametrize("unit", SERVICES[1:])
def test_all_services_work_on_the_same_installation_and_are_confined_alike(unit: str) -> None:
    one, other = section(SERVICES[0], "Service"), section(unit, "Service")

    def places(service: dict[str, list[str]]) -> list[str]:
        return [value for value in service["Environment"] if "PASSPHRASE" not in value]

    assert places(one) == places(other)
    for name in (
        "User",
        "SystemCallFilter",
        "CapabilityBoundingSet",
        "RestrictAddressFamilies",
        "IPAddressDeny",
    ):
        assert one[name] == other[name], name


def allowed() -> list[str]:
    """The system calls that the units' filter lets through, by systemd's own sets."""
    include, exclude = section("chengxin.service", "Service")["SystemCallFilter"]
    assert exclude.startswith("~")
    analyze = tool("systemd-analyze", "systemd")

    def calls(name: str) -> set[str]:
        lines = run(analyze, "syscall-filter", name).stdout.splitlines()[1:]
        words = {line.strip() for line in lines if not line.strip().startswith("#")} - {""}
        return {one for word in words for one in (calls(word) if word.startswith("@") else {word})}

    refused = set().union(*(calls(name) for name in exclude[1:].split()))
    return sorted(calls(include) - refused)


@pytest.mark.slow
def test_the_gateway_serves_under_the_units_system_call_filter(tmp_path: Path) -> None:
    """Filter, no new privileges and no writable code, put on by hand: containers run no systemd."""
    names = allowed()
    assert "mprotect" in names
    assert "setpriority" not in names
    try:
        ctypes.CDLL("libseccomp.so.2")
    except OSError:
        if os.environ.get("CI"):
            pytest.fail("no libseccomp")
        pytest.skip("no libseccomp: sudo apt-get install libseccomp2")
    house = new_house(tmp_path / "home", host="127.0.0.1")
    house.engine.dispose()
    house.custody.close()
    settings, out = house.settings, tmp_path / "out"
    command = [sys.executable, "-c", CONFINED, ",".join(names), sys.executable, "-m", "gateway.cli"]
    with out.open("wb") as file:
        process = subprocess.Popen(
            [*command, "--home", str(settings.home), "serve"],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    try:
        until(lambda: process.poll() is not None or '"serving"' in out.read_text(), "it serves")
        assert process.poll() is None, out.read_text()
        with httpx.Client(trust_env=False) as client:
            assert client.get(f"{settings.public_url}/healthz").status_code == 200
            assert client.get(f"{settings.public_url}/ledger/checkpoint").status_code == 200
            assert client.get(f"{settings.public_url}/readyz").json()["why"] == "no-regulator"
    finally:
        process.terminate()
        assert process.wait(90) == 0
    said = out.read_text()
    assert said.startswith("confined\n")
    assert "Operation not permitted" not in said


@pytest.mark.parametrize(("unit", "at"), TIMERS.items())
def test_a_timer_starts_its_service_every_night_and_makes_up_for_it(unit: str, at: str) -> None:
    timer = section(unit, "Timer")
    assert timer["Persistent"] == ["yes"]
    assert unit.replace(".timer", ".service") in SERVICES
    done = run(tool("systemd-analyze", "systemd"), "calendar", timer["OnCalendar"][0])
    assert done.returncode == 0
    assert at in done.stdout


def test_what_runs_by_night_are_commands_that_there_are() -> None:
    for unit in SERVICES:
        [command] = section(unit, "Service")["ExecStart"]
        program, *words = command.split()
        assert program == "/opt/chengxin/bin/chengxin"
        done = run(sys.executable, "-m", "gateway.cli", *words, "--help")
        assert done.returncode == 0, done.stderr


def test_the_backups_do_not_fill_the_disk() -> None:
    assert "--keep" in section("chengxin-backup.service", "Service")["ExecStart"][0]
