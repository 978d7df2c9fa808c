"""What the bench calls durable is durable, and what it counts as appended is in the log."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.house import wall_clock
from ledger.log import read_head
from tests import databases
from tests.bench.appends import write
from tests.bench.cluster import NotDurable, require_durable
from tests.gateway.world import new_house


def test_a_server_that_does_not_wait_for_the_disk_is_not_measured() -> None:
    with pytest.raises(NotDurable, match="'fsync': 'off'"):
        require_durable(databases.postgres(), databases.GATEWAY)


def test_a_role_that_does_not_wait_for_its_commit_is_not_measured() -> None:
    server = databases.postgres()
    may = f"CONNECT ON DATABASE {databases.TEMPLATE}"
    server.admin(
        "CREATE ROLE hasty LOGIN", f"GRANT {may} TO hasty", "ALTER ROLE hasty SET synchronous_commit = off"
    )
    with pytest.raises(NotDurable, match="'synchronous_commit': 'off'"):
        require_durable(server, "hasty")
    server.admin(f"REVOKE {may} FROM hasty", "DROP ROLE hasty")


@pytest.mark.parametrize("crowded", [False, True])
def test_every_append_that_is_counted_stands_in_the_log(tmp_path: Path, crowded: bool) -> None:
    house = new_house(tmp_path / "home", wall_clock)
    with house.read() as conn:
        before = read_head(conn, house.shard).size
    counted, _ = write(house, 4, 0.05, crowded=crowded)
    with house.read() as conn:
        grown = read_head(conn, house.shard).size - before
    house.engine.dispose()
    house.custody.close()
    assert counted == grown > 0
