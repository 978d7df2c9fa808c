"""Coverage-guided fuzzing of the parsers, by number of runs and from one seed, so that it ends and repeats.

`make fuzz` goes on for longer, by the clock; what it finds it leaves as a file to put beside the seeds.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import targets

RUNS = 20_000
LONG = os.environ.get("FUZZ") == "long"
NAMES = sorted(targets.TARGETS.keys() - {"all"}) if LONG else ["all"]
"""One process for all of them where time counts: starting one costs more than its runs."""

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="no coverage-guided fuzzing: atheris is published for Linux on x86-64 only",
)


def fuzz(target: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a target from its own seeds; what it finds is left in `folder`."""
    corpus = folder / "corpus"
    corpus.mkdir()
    assert targets.write_corpus("note" if options else target, corpus) > 0
    return subprocess.run(
        [
            *(sys.executable, "-m", "tests.fuzz.harness", target, str(corpus), *options),
            *(f"-runs={RUNS}", "-seed=1", "-verbosity=0", f"-artifact_prefix={folder}/"),
        ],
        env=os.environ | {"PYTHONHASHSEED": "0"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=540,
        check=False,
    )


@pytest.mark.parametrize("target", NAMES)
def test_no_input_breaks_a_parser_or_passes_in_a_second_spelling(target: str, tmp_path: Path) -> None:
    done = fuzz(target, tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_a_fault_in_a_parser_is_found_from_the_same_seeds(tmp_path: Path) -> None:
    done = fuzz("note", tmp_path, "--plant")
    assert done.returncode != 0
    assert "accepts what its formatter would not emit" in done.stdout + done.stderr
    assert list(tmp_path.glob("crash-*"))


def test_every_kind_of_parser_that_strangers_reach_is_a_target() -> None:
    assert {"document", "certificate", "proof", "note", "tile", "signature"} < targets.TARGETS.keys()
    assert all(parser.seeds() for parser in targets.TARGETS["note"])


def test_the_seeds_pass_and_so_do_the_vectors(tmp_path: Path) -> None:
    """The same inputs without atheris, on every machine."""
    assert targets.write_corpus("all", tmp_path) > 150
    for path in sorted(tmp_path.iterdir()):
        targets.run_one("all", path.read_bytes())
