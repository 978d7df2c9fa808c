"""What every test shares: where it writes, how hard Hypothesis looks, the end of this run's PostgreSQL, what
was skipped.

`HYPOTHESIS_PROFILE=thorough` looks longer. On a build machine (`CI` set) the examples are the same every
time, so that a change is never blamed for what another one did; and nothing may be skipped there for want of
a PostgreSQL or a SoftHSM.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

from tests import databases, softhsm
from tests.loggers import as_found

_CI = bool(os.environ.get("CI"))
_MEMORY: Final = Path("/dev/shm")
_ROOM: Final = 4 << 30
_HOUSES: Final = {"engine", "world"}
_LEFT_OUT: Final = (
    "on PostgreSQL: rotation, erasure, events, notices, recovery",
    "the demo's chapters, and the demo on PostgreSQL",
    "ten thousand races of query and withdrawal; kills of each step on both engines; the soak, cut short",
)

settings.register_profile(
    "usual",
    deadline=None,  # two busy cores say nothing about the code
    max_examples=60,
    derandomize=_CI,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", settings.get_profile("usual"), max_examples=2000, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "usual"))


def pytest_configure() -> None:
    """Write to memory where it has room (TMPDIR says otherwise): homes and clusters here are thrown away."""
    if "TMPDIR" not in os.environ and _is_roomy(_MEMORY):
        os.environ["TMPDIR"] = str(_MEMORY)  # for this process's children too
        tempfile.tempdir = None


def _is_roomy(place: Path) -> bool:
    """Whether files can be written there, run from there, and enough of them."""
    if not os.access(place, os.W_OK | os.X_OK) or os.statvfs(place).f_flag & os.ST_NOEXEC:
        return False
    return shutil.disk_usage(place).free >= _ROOM


def pytest_unconfigure() -> None:
    """Stop the PostgreSQL that this process started, if it did, and remove its token."""
    databases.RUN.closing.close()
    softhsm.RUN.closing.close()


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    """No test hears, or says, by the log configuration of one that ran before it in this process."""
    with as_found():
        yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """End by saying what was skipped, why, and so how to enable it."""
    if os.environ.get("TEST_ENGINES") != "all":
        terminalreporter.section("left out, and how to run it: make test ENGINES=all")
        for part in _LEFT_OUT:
            terminalreporter.line(f"      {part}")
    reasons: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reasons[reason.removeprefix("Skipped: ")] += 1
    if reasons:
        terminalreporter.section("skipped, and how to enable it")
        for reason, count in sorted(reasons.items()):
            terminalreporter.line(f"{count:4d}  {reason}")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take long: at the end one process would run them and the others wait.

    They are those that hold slow tests, then those with the most tests that have a gateway.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    houses = Counter(item.path for item in items if _HOUSES & set(getattr(item, "fixturenames", ())))
    items.sort(key=lambda item: (item.path not in slow, -houses[item.path]))
