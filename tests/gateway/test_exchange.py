"""Exchanges with a real database: what SQLAlchemy promises of its transactions holds for them too.

Here and not under tests/ledger, because a world on either engine is here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from gateway import db
from gateway.tables import request_nonces
from gateway.transaction import SPENT
from ledger.exchange import Reading, alone, run, together
from ledger.fixed import Call, Row
from ledger.sets import pairs, to_insert, to_update, to_upsert
from tests.gateway.world import World, new_world

KEY = ("key", "nonce")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, engine: str) -> Iterator[World]:
    """One gateway for all of these tests."""
    with new_world(tmp_path_factory.mktemp(engine)) as world:
        yield world


@pytest.fixture
def conn(shared: World) -> Iterator[sa.Connection]:
    """A writing transaction that nothing commits."""
    with db.writing(shared.house.engine) as connection:
        yield connection


def write(conn: sa.Connection, rows: list[dict[str, Any]]) -> None:
    run(conn, to_insert(conn, request_nonces, rows))


def nonce(name: str, expires: int = 1) -> dict[str, Any]:
    return {"key": "k", "nonce": name, "expires": expires}


def spent(conn: sa.Connection, *names: str) -> Reading[set[str]]:
    rows = yield Call(SPENT, pairs(conn, "spent", [("k", name) for name in names]))
    return {row.nonce for row in rows}


def expiries(conn: sa.Connection) -> dict[str, int]:
    found = conn.execute(sa.select(request_nonces).where(request_nonces.c.key == "k"))
    return {row.nonce: row.expires for row in found}


def test_what_was_written_is_read_in_the_same_transaction(conn: sa.Connection) -> None:
    write(conn, [nonce("a"), nonce("b", -(2**62))])
    assert alone(conn, spent(conn, "a", "b", "c")) == {"a", "b"}
    assert expiries(conn) == {"a": 1, "b": -(2**62)}


def test_several_readings_go_together_and_each_gets_its_own(conn: sa.Connection) -> None:
    def twice() -> Reading[tuple[set[str], set[str]]]:
        first = yield from spent(conn, "a")
        second = yield from spent(conn, "b")
        return first, second

    def never() -> Reading[str]:
        return "nothing to ask"
        yield

    write(conn, [nonce("a"), nonce("b")])
    assert together(conn, twice(), never(), spent(conn, "b")) == [({"a"}, {"b"}), "nothing to ask", {"b"}]


def test_rows_are_upserted_and_updated(conn: sa.Connection) -> None:
    write(conn, [nonce("a")])
    run(conn, to_upsert(conn, request_nonces, KEY, ("expires",), [nonce("a", 5), nonce("b", 6)]))
    assert expiries(conn) == {"a": 5, "b": 6}
    run(conn, to_update(conn, request_nonces, "nonce", [{"nonce": "b", "expires": 7}]))
    assert expiries(conn) == {"a": 5, "b": 7}


def test_what_is_not_committed_is_not_there(shared: World) -> None:
    with db.writing(shared.house.engine) as conn:
        write(conn, [nonce("gone")])
    with shared.house.read() as conn:
        assert alone(conn, spent(conn, "gone")) == set()


def test_a_savepoint_undoes_its_exchanges_alone(conn: sa.Connection) -> None:
    write(conn, [nonce("before")])
    savepoint = conn.begin_nested()
    write(conn, [nonce("inside")])
    savepoint.rollback()
    assert alone(conn, spent(conn, "before", "inside")) == {"before"}


def test_nothing_after_a_failed_statement_has_an_effect(conn: sa.Connection) -> None:
    write(conn, [nonce("a")])
    savepoint = conn.begin_nested()
    calls = [*to_insert(conn, request_nonces, [nonce("a")]), *to_insert(conn, request_nonces, [nonce("b")])]
    with pytest.raises(sa.exc.IntegrityError) as failed:
        run(conn, calls)
    assert not failed.value.connection_invalidated
    assert "INSERT INTO request_nonces" in str(failed.value)
    savepoint.rollback()
    assert alone(conn, spent(conn, "a", "b")) == {"a"}


def test_a_value_that_cannot_be_sent_fails_by_itself(conn: sa.Connection) -> None:
    write(conn, [nonce("a")])
    savepoint = conn.begin_nested()
    with pytest.raises(UnicodeEncodeError):
        alone(conn, spent(conn, "\ud800"))
    savepoint.rollback()
    assert alone(conn, spent(conn, "a")) == {"a"}


def test_listeners_hear_each_statement(shared: World, conn: sa.Connection) -> None:
    heard: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        heard.append(statement.split(maxsplit=1)[0])

    sa.event.listen(shared.house.engine, "before_cursor_execute", note)
    try:
        run(conn, to_insert(conn, request_nonces, [nonce("a"), nonce("b")]))
        together(conn, spent(conn, "a"), spent(conn, "b"))
    finally:
        sa.event.remove(shared.house.engine, "before_cursor_execute", note)
    assert heard == ["INSERT", "SELECT", "SELECT"]


def test_rows_come_back_as_they_were_stored(conn: sa.Connection) -> None:
    write(conn, [{"key": "密", "nonce": "随机", "expires": 0}])
    [[row]] = run(conn, [Call(SPENT, pairs(conn, "spent", [("密", "随机")]))])
    assert isinstance(row, Row)
    assert row == ("密", "随机")
