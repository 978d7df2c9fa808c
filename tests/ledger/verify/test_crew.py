"""How the processes that read are started changes nothing but how soon they are there."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ledger.tiles import WIDTH
from ledger.verify import crew
from ledger.verify.parts import RUN
from tests.bench.biglog import make_log

LEAVES = 2 * RUN * WIDTH + 700


def test_a_process_with_other_threads_is_not_copied() -> None:
    """One of them may hold a lock."""
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    try:
        assert crew._start() == "spawn"
    finally:
        done.set()
        other.join()


@pytest.mark.skipif(sys.platform != "linux", reason="copied on Linux alone")
def test_a_process_without_others_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    assert crew._start() == "fork"
    monkeypatch.setattr(crew, "_FORKS", False)
    assert crew._start() == "spawn"


@pytest.mark.parametrize("replayed", [True, False])
def test_copied_or_started_anew_they_find_the_same(tmp_path: Path, replayed: bool) -> None:
    """In a process of its own, for this one has threads."""
    vkey = make_log(tmp_path / "log", LEAVES)
    said = []
    for forks in (True, False):
        program = (
            "import sys; from ledger.verify import crew; from ledger.verify.__main__ import main\n"
            f"if __name__ == '__main__':\n    crew._FORKS = {forks}; sys.exit(main(sys.argv[1:]))\n"
        )
        (tmp_path / "command.py").write_text(program)
        command = [sys.executable, str(tmp_path / "command.py"), str(tmp_path / "log"), "--vkey", vkey]
        command += ["--jobs", "2", "--json", *([] if replayed else ["--no-replay"])]
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
        assert ran.stderr == ""
        said.append(json.loads(ran.stdout))
    assert said[0] == said[1]
    assert said[0]["size"] == LEAVES
