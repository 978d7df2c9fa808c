"""Exchanges with a server: what is lost is said to be, and what it has prepared is known on both sides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from gateway import db
from ledger import exchange
from ledger.exchange import alone
from tests import databases
from tests.gateway.test_exchange import nonce, spent, write
from tests.gateway.world import World


@pytest.fixture
def conn(shared: World) -> Iterator[sa.Connection]:
    """A writing transaction that nothing commits."""
    with db.writing(shared.house.engine) as connection:
        yield connection


def test_a_connection_that_was_lost_says_so_and_the_next_is_whole(shared: World) -> None:
    with db.writing(shared.house.engine) as conn:
        write(conn, [nonce("lost")])
        pid = conn.connection.driver_connection.info.backend_pid  # type: ignore[union-attr]
        with databases.superuser(shared.house.settings.database_url) as other:
            other.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
        with pytest.raises(sa.exc.OperationalError) as lost:
            alone(conn, spent(conn, "lost"))
        assert lost.value.connection_invalidated
        with pytest.raises(sa.exc.PendingRollbackError):
            alone(conn, spent(conn, "lost"))
    with shared.house.read() as conn:
        assert alone(conn, spent(conn, "lost")) == set()


def test_a_resting_connection_that_the_server_ended_is_not_handed_out(shared: World) -> None:
    with shared.house.read() as conn:
        pid = conn.connection.driver_connection.info.backend_pid  # type: ignore[union-attr]
    with databases.superuser(shared.house.settings.database_url) as other:
        other.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
    with shared.house.read() as conn:
        assert alone(conn, spent(conn, "any")) == set()


def test_plans_are_made_anew_now_and_then(conn: sa.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[list[bool]] = []
    send = exchange.send

    def noting(driver: Any, messages: Any, **how: bool) -> list[Any]:
        sent.append([values is None for _, values in messages])
        return send(driver, messages, **how)

    monkeypatch.setattr(exchange, "send", noting)
    monkeypatch.setattr(exchange, "_PLANS_SERVE", 3)
    conn.info.clear()
    conn.connection.driver_connection.execute("DEALLOCATE ALL")  # type: ignore[union-attr]
    for _ in range(8):
        alone(conn, spent(conn, "a"))
    assert [any(prepared) for prepared in sent] == [True, False, False, False, True, False, False, False]


@pytest.mark.parametrize(
    "behind_its_back",
    [
        pytest.param("DEALLOCATE ALL", id="the server forgot"),
        pytest.param("", id="the session forgot"),
    ],
)
def test_a_session_out_of_step_with_its_server_fails_once(shared: World, behind_its_back: str) -> None:
    """A pooler between the two, or somebody with rights: the connection is given up, the next is whole."""
    with db.writing(shared.house.engine) as conn:
        alone(conn, spent(conn, "a"))
        driver: Any = conn.connection.driver_connection
        if behind_its_back:
            driver.execute(behind_its_back)
        else:
            conn.info.clear()
        with pytest.raises(sa.exc.DBAPIError) as failed:
            alone(conn, spent(conn, "a"))
        assert failed.value.connection_invalidated
    with shared.house.read() as conn:
        assert alone(conn, spent(conn, "a")) == set()
