"""No statement of a query reads a whole table: each finds its rows by an index, however many there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg.pq import ExecStatus, Format

from gateway.client.bank import Answer
from tests import databases
from tests.gateway import kit
from tests.gateway.world import World

SMALL = {"installation", "policies", "ledger_head", "ledger_published", "published_keys"}
"""Tables of a few rows, whatever the size of the province."""


@contextmanager
def statements(world: World) -> Iterator[list[tuple[str, Any]]]:
    """What the house's engine is asked meanwhile."""
    found: list[tuple[str, Any]] = []

    def listen(_c: Any, _cursor: Any, statement: str, parameters: Any, _x: Any, many: bool) -> None:
        if re.match(r"SELECT|UPDATE|DELETE", statement):
            found.append((statement, parameters[0] if many else parameters))

    sa.event.listen(world.house.engine, "before_cursor_execute", listen)
    try:
        yield found
    finally:
        sa.event.remove(world.house.engine, "before_cursor_execute", listen)


def scanned(world: World, statement: str, parameters: Any) -> set[str]:
    """The tables that a statement can only read as a whole, even where a scan is the dearest plan."""
    with databases.superuser(world.house.settings.database_url) as conn:
        conn.execute("SET enable_seqscan = off")
        plan = "\n".join(_explained(conn, f"EXPLAIN {statement}", parameters))
    return set(re.findall(r"Seq Scan on (\w+)", plan))


def _explained(conn: psycopg.Connection[Any], statement: str, parameters: Any) -> list[str]:
    """The lines of a plan; a fixed statement's values are a list, in the server's own form."""
    if not isinstance(parameters, list):
        return [row[0] for row in conn.execute(statement, parameters)]
    formats = [Format.BINARY] * len(parameters)
    found = conn.pgconn.exec_params(statement.encode(), parameters, param_formats=formats)
    assert found.status == ExecStatus.TUPLES_OK, found.error_message
    return [(found.get_value(row, 0) or b"").decode() for row in range(found.ntuples)]


def test_what_a_query_asks_of_the_database_is_served_by_indexes(shared: World) -> None:
    shared.publishing.stop()
    citizen = shared.citizen(kit.person(31))
    shared.import_records([kit.loan(citizen.number, "P-1")])
    consent = shared.consent(citizen)
    assert isinstance(shared.query(consent), Answer)
    with statements(shared) as found:
        assert isinstance(shared.query(consent), Answer)
    assert len(found) > 5
    seen = {statement for statement, _ in found}
    assert any("ledger_leaves" in statement for statement in seen)
    for statement, parameters in found:
        assert scanned(shared, statement, parameters) <= SMALL, statement


def test_the_check_would_find_a_scan(shared: World) -> None:
    assert scanned(shared, "SELECT 1 FROM ledger_leaves WHERE type = 'x'", None) == {"ledger_leaves"}


def test_a_query_takes_few_statements(shared: World) -> None:
    """Round trips under the lock are what bounds a log's rate."""
    citizen = shared.citizen(kit.person(32))
    consent = shared.consent(citizen)
    assert isinstance(shared.query(consent), Answer)
    with statements(shared) as found:
        kit.ask_house(shared, consent)
    assert len(found) <= 24, [statement[:80] for statement, _ in found]
