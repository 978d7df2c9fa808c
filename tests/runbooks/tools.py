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

from gateway.demo.postgres_server import HOW_TO_ENABLE, find_postgres, postgres_server
from tests.ports import free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
NEEDS = {
    "softhsm2-util": "softhsm2-util is not here: `make debian` installs SoftHSM",
    "nginx": "nginx is not here: `make debian` installs it",
    "openssl": "openssl is not here: `make debian` installs it",
    "curl": "curl is not here: `make debian` installs it",
}
"""Programs out of Debian packages that some pages call."""


@contextmanager
def surroundings(text: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a page: PATH, HOME, free ports; a PostgreSQL of its own where it speaks of one."""
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "CHENGXIN_PORT": str(free_port()),
        "CHENGXIN_METRICS_PORT": str(free_port()),
        "DEPLOY": str(DEPLOY),
        "HTTPS_PORT": str(free_port()),
        "HTTP_PORT": str(free_port()),
    }
    for program, why in NEEDS.items():
        if program in text and _find(program) is None:
            if os.environ.get("CI"):
                pytest.fail(why)
            pytest.skip(why)
    if "PGHOST" not in text:
        yield environment
        return
    with _fresh_postgres() as (sockets, programs):
        yield environment | {
            "PGHOST": str(sockets),
            "PGUSER": "postgres",
            "PATH": f"{programs}:{environment['PATH']}",
        }


@contextmanager
def _fresh_postgres() -> Iterator[tuple[Path, Path]]:
    """Sockets of a PostgreSQL that nobody made a role on yet, and where psql is. Passwords are asked for."""
    found = find_postgres()
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(HOW_TO_ENABLE)
        pytest.skip(HOW_TO_ENABLE)
    with postgres_server(hba=("local all postgres trust", "local all all scram-sha-256")) as server:
        yield server.sockets, found.bin


def _find(program: str) -> str | None:
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
