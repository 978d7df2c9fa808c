"""Metrics of several processes come out of one port, added up; the order of imports is checked."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from gateway import scraping

ROOT = Path(__file__).parents[2]
COUNTING = """
import os, sys
from pathlib import Path
from gateway import scraping
scraping.collect_in(Path(sys.argv[1]))
from gateway import metrics
scraping.require_collecting()
listener = scraping.listen(0)
children = []
for amount, head in ((2, 10), (3, 7)):
    child = os.fork()
    if child == 0:
        metrics.UNDELIVERED.inc(amount)
        metrics.HEAD.set(head)
        os._exit(0)
    children.append(child)
for child in children:
    os.waitpid(child, 0)
    scraping.forget(child)
scraping.answer_on(listener)
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
"""


def run(code: str, *arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_counters_of_processes_add_up_and_of_a_gauge_the_greatest_counts(tmp_path: Path) -> None:
    """Processes that have ended included: what a worker counted is not forgotten when it is replaced."""
    with run(COUNTING, tmp_path / "metrics") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        port = process.stdout.readline().decode().strip()
        assert port, process.stderr.read().decode()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as reply:
            lines = reply.read().decode().splitlines()
        process.communicate(b"", timeout=30)
    assert "chengxin_undelivered_total 5.0" in lines
    assert "chengxin_ledger_head_size 10.0" in lines


def test_importing_the_library_too_early_is_found_out(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; import gateway.metrics; from gateway import scraping\n"
        "scraping.collect_in(Path(sys.argv[1])); scraping.require_collecting()"
    )
    with run(code, tmp_path / "metrics") as process:
        assert b"imported before" in process.communicate(timeout=60)[1]
        assert process.returncode == 1


def test_what_an_earlier_server_counted_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(scraping.VARIABLE, "restored afterwards")
    folder = tmp_path / "metrics"
    folder.mkdir()
    (folder / "counter_1.db").write_bytes(b"old")
    scraping.collect_in(folder)
    assert not list(folder.iterdir())
    assert folder.stat().st_mode & 0o777 == 0o700
    assert os.environ[scraping.VARIABLE] == str(folder)
