"""`make bench-verify` prints what it measured, both ways, and leaves nothing behind."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from tests.bench import offline


def run(monkeypatch: pytest.MonkeyPatch, room: Path, leaves: str) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(room))
    monkeypatch.setattr(sys, "argv", ["offline", "--leaves", leaves])
    offline.main()


def test_both_ways_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    run(monkeypatch, tmp_path, "3000")
    tree, replayed = capsys.readouterr().out.splitlines()
    assert tree.startswith("chain and tree: 3,000 leaves in ")
    assert replayed.startswith("enforcement replayed too: 3,000 leaves in ")
    assert all(
        "us of CPU a leaf" in line and line.endswith("MiB (at most 1,024)") for line in (tree, replayed)
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("leaves", "free", "said"),
    [("999", 1 << 40, "at least 1,000"), ("5000", 1 << 20, "which {} has not: set TMPDIR")],
    ids=["too few", "no room"],
)
def test_what_cannot_be_measured_is_said_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, leaves, free, said
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=free))
    with pytest.raises(SystemExit) as refused:
        run(monkeypatch, tmp_path, leaves)
    assert refused.value.code == 2
    assert said.format(tmp_path) in capsys.readouterr().err
