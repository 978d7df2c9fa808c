"""One town for each file of tests; what a test needs to change, it makes for itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.cli.town import PEOPLE, Shell, enrol, import_records, init, serving, settle, shell_in


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A shell with nothing installed."""
    with shell_in(tmp_path) as made:
        yield made


@pytest.fixture
def installed(shell: Shell) -> Shell:
    """A shell with a fresh installation and no server."""
    init(shell)
    return shell


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A running gateway with everybody in it; one citizen, PEOPLE[0], is enrolled as `citizen`."""
    with shell_in(tmp_path_factory.mktemp("town")) as shell:
        init(shell)
        settle(shell)
        import_records(shell)
        with serving(shell):
            enrol(shell, PEOPLE[0], "citizen")
            yield shell
