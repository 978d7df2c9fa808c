"""A run that can have no PostgreSQL says so at its end and how to get one; on a build machine it fails."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.demo import postgres_server
from tests import databases

ROOT = Path(__file__).parents[3]
BLIND = """
from gateway.demo import postgres_server
postgres_server.find_postgres = lambda **_: None
"""
ONE = "tests/gateway/postgres/test_schema.py::test_every_trigger_fires_always"


def test_a_run_without_postgresql_says_how_to_enable_it(tmp_path: Path) -> None:
    (tmp_path / "blind.py").write_text(BLIND)
    kept = {name: value for name, value in os.environ.items() if name != "CI" and "PYTEST" not in name}
    words = ["-p", "blind", "-p", "no:cacheprovider", "-p", "no:randomly", "-q", ONE]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=ROOT,
        env=kept | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "pip install 'chengxin-gateway[test]'" in ran.stdout, ran.stdout + ran.stderr
    assert (ran.returncode, "1 skipped" in ran.stdout) == (0, True)
    assert "skipped, and how to enable it" in ran.stdout


@pytest.mark.parametrize(
    ("environment", "ends"),
    [({}, pytest.skip.Exception), ({"CI": "1"}, pytest.fail.Exception)],
    ids=["at home", "on a build machine"],
)
def test_without_postgresql_a_build_machine_fails(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], ends: type[Exception]
) -> None:
    monkeypatch.setattr(databases, "RUN", databases._Run())
    monkeypatch.setattr(postgres_server, "find_postgres", lambda **_: None)
    monkeypatch.delenv("CI", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for _ in range(2):  # what was found to be missing is not looked for again
        with pytest.raises(ends, match=re.escape("pip install 'chengxin-gateway[test]'")):
            databases.postgres()
