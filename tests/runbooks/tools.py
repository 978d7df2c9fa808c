"""What a page finds on the machine it is followed on: the command, and a server or library where it names
one.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.demo.postgres_server import find_postgres
from tests import databases
from tests.gateway.world import free_port

NEEDS = {
    "softhsm2-util": "softhsm2-util is not here: `make debian` installs SoftHSM",
    "nginx": "nginx is not here: `make debian` installs it",
}
"""Programs out of Debian packages that some pages call."""


@contextmanager
def surroundings(text: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a page: PATH, HOME, free ports; a PostgreSQL of its own where the page speaks of it.
    """
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "CHENGXIN_PORT": str(free_port()),
        "CHENGXIN_METRICS_PORT": str(free_port()),
    }
    for program, why in NEEDS.items():
        if program in text and _find(program) is None:
            if os.environ.get("CI"):
                pytest.fail(why)
            pytest.skip(why)
    if "PGHOST" not in text:
        yield environment
        return
    server = databases.postgres().server
    with databases.using("postgresql"):
        yield environment | {
            "PGHOST": str(server.sockets),
            "PGUSER": "postgres",
            "PATH": f"{_programs()}:{environment['PATH']}",
        }


def _programs() -> Path:
    """Where psql is: with the server that the run found."""
    found = find_postgres()
    assert found is not None  # the run's server was started from it
    return found.bin


def _find(program: str) -> str | None:
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
