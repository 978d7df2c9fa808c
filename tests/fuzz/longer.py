"""`make fuzz`: one target by the clock; `.fuzz/` keeps its corpus, from which the next run goes on."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.fuzz import targets

ROOT = Path(__file__).parents[2]


def main() -> None:
    """Write the seeds beside what earlier runs found, and become the harness."""
    target, seconds = sys.argv[1:]
    if target not in targets.TARGETS or not seconds.isdecimal():
        raise SystemExit(f"say one of {', '.join(targets.TARGETS)}, and whole seconds")
    folder = ROOT / ".fuzz" / target
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    targets.write_corpus(target, corpus)
    sys.stdout.write(f"fuzz {target}: {seconds} s; what breaks is left in .fuzz/{target}/\n")
    sys.stdout.flush()
    limits = (f"-max_total_time={seconds}", "-timeout=10", "-verbosity=0", f"-artifact_prefix={folder}/")
    command = (sys.executable, "-m", "tests.fuzz.harness", target, str(corpus), *limits)
    os.execv(sys.executable, command)  # noqa: S606


if __name__ == "__main__":
    main()
