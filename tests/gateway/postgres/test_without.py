"""A run that can have no PostgreSQL says so at its end and how to get one; on a build machine it fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
BLIND = """
from gateway.demo import postgres_server
postgres_server.find_postgres = lambda **_: None
"""
ONE = "tests/gateway/postgres/test_schema.py::test_every_trigger_fires_always"


@pytest.mark.parametrize("on_a_build_machine", [False, True])
def test_a_run_without_postgresql_says_how_to_enable_it(tmp_path: Path, on_a_build_machine: bool) -> None:
    (tmp_path / "blind.py").write_text(BLIND)
    kept = {name: value for name, value in os.environ.items() if name != "CI" and "PYTEST" not in name}
    environ = kept | {"PYTHONPATH": str(tmp_path)} | ({"CI": "1"} if on_a_build_machine else {})
    words = ["-p", "blind", "-p", "no:cacheprovider", "-p", "no:randomly", "-q", ONE]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "pip install 'chengxin-gateway[test]'" in ran.stdout, ran.stdout + ran.stderr
    if on_a_build_machine:
        assert (ran.returncode, "1 error" in ran.stdout) == (1, True)
    else:
        assert (ran.returncode, "1 skipped" in ran.stdout) == (0, True)
        assert "skipped, and how to enable it" in ran.stdout
