"""The sandbox as a bank's developer meets it: one command, one file that says everything, scenarios."""

from __future__ import annotations

import json
import os
import shlex
import signal
import stat
import subprocess
import sys
from itertools import takewhile
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.demo import server_process
from gateway.demo.home import Home
from gateway.http.problems import PROBLEMS
from gateway.sandbox.run import FILE

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).resolve().parents[3]
PATIENCE_S = 120.0


def command(home: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "gateway.cli", "--home", str(home), "sandbox", *words]


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("CHENGXIN_", "DEMO_"))}


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, str, dict[str, Any]]:
    """One whole run of the scenarios, and what it left."""
    home = Home((tmp_path_factory.mktemp("sandbox") / "home").resolve())
    done = subprocess.run(
        command(home.path, "--check"),
        cwd=CHECKOUT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return home, done.stdout, json.loads((home.path / FILE).read_text("utf-8"))


def test_every_scenario_holds(checked: tuple[Home, str, dict[str, Any]]) -> None:
    _, printed, described = checked
    names = [one["name"] for one in described["scenarios"]]
    assert [line.removeprefix("ok  ") for line in printed.splitlines()[:-1]] == names
    assert printed.splitlines()[-1] == f"{len(names)} scenarios held"


def test_scenarios_are_answers_refusals_and_requests_that_are_none(
    checked: tuple[Home, str, dict[str, Any]],
) -> None:
    scenarios = checked[2]["scenarios"]
    assert {one["status"] for one in scenarios} == {200, 202, 400, 401, 403, 409}
    problems = {one["problem"] for one in scenarios if "problem" in one}
    assert problems <= set(PROBLEMS)
    assert len(problems) >= 18
    assert {one.get("decision") for one in scenarios} >= {"disclosed", "predicate", "redelivered", "refused"}


def test_consents_say_whose_they_are_and_what_they_allow(
    checked: tuple[Home, str, dict[str, Any]],
) -> None:
    _, _, described = checked
    for one in described["consents"].values():
        assert (one["person"] in described["people"], one["operator"] in described["operators"]) == (
            True,
        ) * 2
    live = described["consents"]["live"]
    assert (live["purpose"], live["categories"], live["answer"]) == ("02", ["loan", "repayment"], "report")
    assert any(
        (one.get("body") or {}).get("consent_id") == live["consent_id"] for one in described["scenarios"]
    )


def test_keys_and_people_are_their_owners_alone_and_where_the_file_says(
    checked: tuple[Home, str, dict[str, Any]],
) -> None:
    home, _, described = checked
    assert stat.S_IMODE((home.path / FILE).stat().st_mode) == 0o600
    for one in described["operators"].values():
        assert stat.S_IMODE(Path(one["key_file"]).stat().st_mode) == 0o600
        assert json.loads(Path(one["key_file"]).read_text("utf-8"))["kty"] == "OKP"
    for person in described["people"].values():
        assert (Path(person["folder"]) / "certificate.json").is_file()


def test_nothing_is_left_running(checked: tuple[Home, str, dict[str, Any]]) -> None:
    assert server_process.earlier(checked[0]) == ()


def test_a_sandbox_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    home = Home((tmp_path / "home").resolve())
    process = subprocess.Popen(
        command(home.path), cwd=CHECKOUT, env=environment(), stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        said = next(line for line in process.stdout if "sandbox is up" in line)
        url = said.split()[4]
        assert httpx.get(f"{url}/readyz", trust_env=False).status_code == 200
        told = list(takewhile(lambda line: "Ctrl-C" not in line, process.stdout))
        examples = [line.strip() for line in told if line.startswith("  ")]
        assert len(examples) == 4
        for line in examples:
            done = subprocess.run(
                shlex.split(line),
                cwd=CHECKOUT,
                env=environment(),
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{line}: {done.stderr}"
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
    assert server_process.earlier(home) == ()
