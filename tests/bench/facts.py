"""What the figures were measured on: machine, versions, and how long its disk takes to be sure."""

from __future__ import annotations

import os
import platform
import re
import statistics
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Final

from tests import databases

LIBRARIES: Final = (
    "gunicorn", "granian", "flask", "sqlalchemy", "psycopg", "cryptography", "pynacl", "msgspec", "orjson",
    "pyjwt", "tink", "sqlalchemy-utils",
)  # fmt: skip
_SYNCS: Final = 100


def facts(postgres: databases.Postgres) -> list[tuple[str, str]]:
    """Name and value of each, as they are shown."""
    with postgres.connect() as conn:
        server = conn.execute("SHOW server_version").fetchone()
        durable = ", ".join(
            f"`{name}` {conn.execute(f'SHOW {name}').fetchone()[0]}"  # type: ignore[index]
            for name in ("fsync", "synchronous_commit", "full_page_writes")
        )
    assert server is not None
    return [
        ("processor", f"{_processor()}, {len(os.sched_getaffinity(0))} cores"),
        ("memory", f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"),
        ("system", f"{platform.system()} {platform.release()}"),
        ("disk", f"{1e3 * _sync_seconds():.2f} ms to write 8 KiB durably (`fdatasync`, median)"),
        ("Python", f"{platform.python_implementation()} {platform.python_version()}"),
        ("PostgreSQL", f"{server[0]}; {durable}"),
        ("libraries", ", ".join(f"{name} {version(name)}" for name in LIBRARIES)),
    ]


def _processor() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def _sync_seconds() -> float:
    """The median time of a durable write where the bench's databases lie."""
    times = []
    with tempfile.TemporaryFile() as file:
        for _ in range(_SYNCS):
            file.write(bytes(8192))
            file.flush()
            begun = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - begun)
    return statistics.median(times)
