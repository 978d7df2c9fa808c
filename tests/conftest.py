"""What every test shares: how hard Hypothesis looks, the end of this run's PostgreSQL, what was skipped.

`HYPOTHESIS_PROFILE=thorough` looks longer. On a build machine (`CI` set) the examples are the same every
time, so that a change is never blamed for what another one did; and nothing may be skipped there for want of
a PostgreSQL or a SoftHSM.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings

from tests import databases, softhsm

_CI = bool(os.environ.get("CI"))

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


def pytest_unconfigure() -> None:
    """Stop the PostgreSQL that this process started, if it did, and remove its token."""
    databases.RUN.closing.close()
    softhsm.RUN.closing.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """End by saying what was skipped, why, and so how to enable it."""
    if os.environ.get("TEST_ENGINES") != "all":
        terminalreporter.section("left out, and how to run it")
        terminalreporter.line(
            "      rotation, erasure, events, notices, recovery, demo on PostgreSQL: make test ENGINES=all"
        )
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
    """Begin with the files that hold slow tests: at the end one process would run them and the other wait."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
