"""PostgreSQL for the bench: a cluster of its own that waits for the disk, as in an installation.

Invariant: what is measured is durable. The tests' own cluster is not (`fsync` is off there); this one refuses
to be measured unless the server says of itself that it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gateway.demo.postgres_server import postgres_server
from tests import databases

DURABLE: Final = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}


class NotDurable(Exception):
    """The database would lose what it said it had written: nothing measured on it would count."""


@contextmanager
def durable_postgres() -> Iterator[databases.Postgres]:
    """A fresh server with PostgreSQL's own defaults. Raises `NoPostgres`, `NotDurable`."""
    with postgres_server(hba=databases.HBA, durable=True) as server:
        postgres = databases.Postgres(server)
        for role in (databases.GATEWAY, databases.OWNER):
            require_durable(postgres, role)
        yield postgres


def require_durable(postgres: databases.Postgres, role: str) -> None:
    """`NotDurable` unless a connection of this role waits for the disk."""
    with postgres.connect(databases.TEMPLATE, role) as conn:
        found = {name: conn.execute(f"SHOW {name}").fetchone()[0] for name in DURABLE}
    if found != DURABLE:
        raise NotDurable(f"{role}: {found}")


def postmaster(postgres: databases.Postgres) -> int:
    """The process id of the server's parent, whose tree is all of PostgreSQL's processes."""
    with postgres.connect() as conn:
        found = conn.execute("SHOW data_directory").fetchone()
    assert found is not None
    return int(Path(found[0], "postmaster.pid").read_text().split()[0])
