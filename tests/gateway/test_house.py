"""The house's transaction: an act fails alone, a commit is all or nothing, its outcome never guessed."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from gateway import db, provision
from gateway.errors import LedgerUnavailable, Rejected
from gateway.house import House
from gateway.institutions.register import NewInstitution, add_institution
from gateway.query.answer import Answer
from gateway.tables import institutions
from gateway.transaction import Transaction
from keys.canonical import canonical
from keys.sealing import generate_x25519
from ledger import exchange
from ledger.errors import LogBusy
from tests import databases
from tests.gateway import kit
from tests.gateway.world import World, synthetic_uscc

NEW = synthetic_uscc(88)
BODY = {"institution": NEW, "sector": "finance", "roles": ["query"]}


def registered(tx: Transaction) -> int:
    return tx.append("institution.registered", BODY, about=f"institutions:{NEW}").index


@contextmanager
def batched(house: House) -> Iterator[Callable[..., list[Any]]]:
    """Have everything that is submitted inside go into one batch: the lane is held until all of it waits."""
    arrived, go = threading.Event(), threading.Event()

    def hold(_tx: Transaction) -> None:
        arrived.set()
        assert go.wait(30)

    def run(*work: Callable[[], Any]) -> list[Any]:
        holder = threading.Thread(target=lambda: house.transact(hold, seals=False))
        holder.start()
        assert arrived.wait(10)
        results: list[Any] = [None] * len(work)

        def one(place: int, piece: Callable[[], Any]) -> None:
            try:
                results[place] = piece()
            except Exception as error:  # noqa: BLE001  the outcome under test
                results[place] = error

        threads = [threading.Thread(target=one, args=pair) for pair in enumerate(work)]
        for thread in threads:
            thread.start()
        while len(house.lane._waiting) < len(work):
            threading.Event().wait(0.001)
        go.set()
        for thread in (holder, *threads):
            thread.join(30)
            assert not thread.is_alive()
        return results

    yield run
    go.set()


def test_a_failing_act_undoes_itself_and_nothing_else_of_its_batch(world: World) -> None:
    before = kit.size(world.house)

    def fails(tx: Transaction) -> None:
        registered(tx)
        row = {
            "institution": NEW,
            "name": "x",
            "sector": "finance",
            "roles": "query",
            "state": "active",
            "until": None,
        }
        entry = tx.append("institution.registered", BODY, about=f"institutions:{NEW}")
        tx.conn.execute(institutions.insert(), tx.protect(institutions, row, entry))
        raise Rejected("not-found")

    def breaks(tx: Transaction) -> None:
        tx.append("institution.registered", BODY)
        tx.conn.execute(sa.text("INSERT INTO institutions SELECT * FROM institutions"))

    def bad_leaf(tx: Transaction) -> None:
        tx.append("institution.registered", {**BODY, "sector": "church"})

    with batched(world.house) as run:
        results = run(
            *(
                partial(world.house.transact, act, seals=False)
                for act in (registered, fails, breaks, bad_leaf, registered)
            )
        )
    assert sorted(one for one in results if isinstance(one, int)) == [before, before + 1]
    assert [type(one).__name__ for one in results[1:4]] == ["Rejected", "IntegrityError", "MalformedLeaf"]
    assert kit.size(world.house) == before + 2
    assert not kit.insider(world.house, "SELECT 1 FROM institutions WHERE institution = ?", [NEW])


def test_queries_that_wait_share_one_commit_with_other_acts(world: World) -> None:
    consent = world.consent(world.citizen(kit.NUMBER), max_uses=10)
    with batched(world.house) as run:
        results = run(
            *[partial(kit.ask_house, world, consent)] * 8,
            partial(world.house.transact, registered, seals=False),
        )
    assert all(isinstance(one, Answer) for one in results[:8])
    assert isinstance(results[8], int)
    uses = [leaf.body.use for leaf in kit.of_type(world.house, "query.disclosed")]
    assert uses == list(range(1, 9))
    ats = {leaf.at for leaf in kit.of_type(world.house, "query.disclosed")}
    assert len(ats) == 1  # one transaction, one time


def test_one_query_id_twice_in_one_batch_is_one_query(world: World) -> None:
    consent = world.consent(world.citizen(kit.NUMBER), max_uses=10)
    query = "11111111-1111-4111-8111-111111111111"
    with batched(world.house) as run:
        results = run(*[partial(kit.ask_house, world, consent, query_id=query)] * 4)
    [first] = kit.of_type(world.house, "query.disclosed")
    assert [leaf.body.of for leaf in kit.of_type(world.house, "query.redelivered")] == [first.index] * 3
    assert len({canonical(one.answer) for one in results}) == 1
    assert first.body.use == 1


def test_a_regulator_who_joins_in_a_batch_can_open_what_the_batch_seals(world: World) -> None:
    consent = world.consent(world.citizen(kit.NUMBER), max_uses=10)
    key = generate_x25519(lambda count: bytes(range(count)))[1]
    new = NewInstitution(NEW, "二号监管", "regulator", ("audit",), regulator_key=key)
    with batched(world.house) as run:
        results = run(
            *[partial(kit.ask_house, world, consent)] * 3, partial(add_institution, world.house, new)
        )
    assert not [one for one in results if isinstance(one, Exception)], results
    joined = next(leaf.index for leaf in kit.of_type(world.house, "key.published") if leaf.body.holder == NEW)
    keys = {leaf.body.id: leaf for leaf in kit.of_type(world.house, "key.sealing")}
    for leaf in kit.leaves(world.house)[joined:]:
        if leaf.sealed is not None:
            assert len(keys[leaf.sealed.key].body.sealed) == 2


# --- when the ledger cannot be written ---


def test_while_the_database_is_locked_nothing_is_answered_or_recorded(world: World) -> None:
    consent = world.consent(world.citizen(kit.NUMBER))
    databases.impatient(world.house)
    before = kit.size(world.house)
    with databases.locked(world.house):
        reply = kit.post_query(world, kit.query_body(consent))
        assert (reply.status_code, kit.name_of(reply)) == (503, "ledger-unavailable")
        assert reply.headers["Retry-After"].isdigit()
        assert reply.json().keys() == {"type", "status", "title", "title_zh", "hint", "hint_zh"}
    assert kit.size(world.house) == before
    assert kit.post_query(world, kit.query_body(consent)).status_code == 200


class Flaky:
    """What the next COMMIT of a write will do: report an error `before` it happened, or `after`."""

    fails: str = ""


class FlakySqlite(sqlite3.Connection):
    """A real connection whose next COMMIT of a write reports an error: before it happened, or after."""

    committed = 0

    def commit(self) -> None:
        wrote = self.total_changes > self.committed
        self.committed = self.total_changes
        if wrote and Flaky.fails:
            mode, Flaky.fails = Flaky.fails, ""
            if mode == "after":
                super().commit()
            raise sqlite3.OperationalError("disk I/O error")
        super().commit()


class FlakyPostgres(psycopg.Connection[Any]):
    """A real connection that the server ends just before the next COMMIT of a write, or just after it."""

    def commit(self) -> None:
        self.flakily(super().commit)

    def flakily(self, commit: Callable[[], Any]) -> Any:
        """Commit, in an exchange or by itself, with what is to go wrong."""
        if self.read_only or not Flaky.fails:
            return commit()
        mode, Flaky.fails = Flaky.fails, ""
        if mode == "after":
            commit()
        with databases.postgres().connect() as admin:
            admin.execute("SELECT pg_terminate_backend(%s, 10000)", [self.info.backend_pid])
        return commit() if mode == "before" else self.execute("SELECT 1")


@pytest.fixture
def flaky(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The house on connections that can be told to fail their next commit."""
    send = exchange.send

    def flaky_send(driver: Any, messages: Any, *, commits: bool = False) -> Any:
        if commits and isinstance(driver, FlakyPostgres):
            return driver.flakily(lambda: send(driver, messages, commits=True))
        return send(driver, messages, commits=commits)

    monkeypatch.setattr(exchange, "send", flaky_send)
    whole = world.house.engine
    engine = provision.engine_of(world.house.settings)

    @sa.event.listens_for(engine, "do_connect")
    def flaky_connection(_dialect: Any, _record: Any, args: Any, options: dict[str, Any]) -> Any:
        if engine.dialect.name == "postgresql":
            return FlakyPostgres.connect(*args, **options)
        options["factory"] = FlakySqlite
        return None

    world.publishing.stop()  # its swaps commit, too
    world.house.engine = engine
    Flaky.fails = ""
    yield world
    engine.dispose()
    world.house.engine = whole
    world.publishing = type(world.publishing)(world.house)


def test_a_commit_that_failed_answers_503_and_leaves_nothing(flaky: World) -> None:
    consent = flaky.consent(flaky.citizen(kit.NUMBER), max_uses=1)
    before, body = kit.size(flaky.house), kit.query_body(consent)
    prepared = kit.prepare(flaky, flaky.bank_key, "POST", "/v1/queries", body)
    Flaky.fails = "before"
    reply = prepared.send()
    assert (reply.status_code, kit.name_of(reply)) == (503, "ledger-unavailable")
    assert kit.size(flaky.house) == before
    assert kit.row_of(flaky.house, "grants", "consent = ?", consent)["uses"] == 0
    assert prepared.send().status_code == 200  # not even its nonce was spent


def test_a_commit_that_happened_though_it_reported_an_error_is_read_back(flaky: World) -> None:
    consent = flaky.consent(flaky.citizen(kit.NUMBER), max_uses=1)
    before, body = kit.size(flaky.house), kit.query_body(consent)
    Flaky.fails = "after"
    reply = kit.post_query(flaky, body)
    assert reply.status_code == 200
    assert kit.size(flaky.house) == before + 1
    kit.check_refused(flaky, flaky.query(consent), "exhausted")


def test_a_failed_commit_fails_for_the_whole_batch(flaky: World) -> None:
    consent = flaky.consent(flaky.citizen(kit.NUMBER), max_uses=10)
    before = kit.size(flaky.house)

    def fail_next(tx: Transaction) -> int:
        index = registered(tx)
        Flaky.fails = "before"
        return index

    with batched(flaky.house) as run:
        results = run(
            *[partial(kit.ask_house, flaky, consent)] * 4,
            partial(flaky.house.transact, fail_next, seals=False),
        )
    assert all(isinstance(one, LedgerUnavailable) for one in results)
    assert kit.size(flaky.house) == before


def test_a_statement_that_is_interrupted_leaves_nothing(world: World) -> None:
    """The database itself gives up in the middle of the transaction, as at a full disk."""
    before = kit.size(world.house)

    def interrupted(tx: Transaction) -> None:
        registered(tx)
        if tx.conn.dialect.name == "postgresql":
            tx.conn.execute(sa.text("SET LOCAL statement_timeout = 1"))
            tx.conn.execute(sa.text("SELECT pg_sleep(30)"))
        connection = tx.conn.connection.dbapi_connection
        assert connection is not None
        connection.set_progress_handler(lambda: 1, 1)
        try:
            tx.conn.execute(sa.text("SELECT count(*) FROM ledger_leaves a, ledger_leaves b"))
        finally:
            connection.set_progress_handler(None, 1)

    with pytest.raises(sa.exc.OperationalError):
        world.house.transact(interrupted, seals=False)
    assert kit.size(world.house) == before
    assert world.house.transact(registered, seals=False) == before


def test_a_failed_statement_that_is_passed_over_fails_its_act_alone(world: World) -> None:
    """PostgreSQL answers the COMMIT of a failed transaction with a ROLLBACK, and reports no error."""
    before, on_postgresql = kit.size(world.house), world.house.engine.dialect.name == "postgresql"

    def passes_over(tx: Transaction) -> None:
        registered(tx)
        with suppress(sa.exc.DBAPIError):
            tx.conn.execute(sa.text("SELECT 1 FROM nowhere"))

    with batched(world.house) as run:
        results = run(
            partial(world.house.transact, registered, seals=False),
            partial(world.house.transact, passes_over, seals=False),
            partial(world.house.transact, registered, seals=False),
        )
    failed = [one for one in results if isinstance(one, LedgerUnavailable)]
    assert len(failed) == (1 if on_postgresql else 0)
    assert kit.size(world.house) == before + 3 - len(failed)


def test_what_has_failed_is_never_committed(world: World) -> None:
    with db.writing(world.house.engine) as conn:
        with pytest.raises(sa.exc.DBAPIError):
            conn.execute(sa.text("SELECT 1 FROM nowhere"))
        if conn.dialect.name == "postgresql":
            with pytest.raises(LedgerUnavailable):
                conn.commit()
        else:
            conn.commit()  # SQLite undid that statement alone


def test_time_never_goes_back_in_the_log(world: World) -> None:
    first = world.house.transact(lambda tx: tx.at, seals=False)
    world.house.transact(registered, seals=False)
    world.clock.offset -= 3_600_000
    assert world.house.transact(lambda tx: tx.at, seals=False) >= first
    ats = [leaf.at for leaf in kit.leaves(world.house)]
    assert ats == sorted(ats)


def test_a_clock_behind_the_log_is_not_ready(world: World) -> None:
    import httpx

    assert httpx.get(world.url + "/readyz").json() == {"status": "ready"}
    world.clock.offset -= 3_600_000
    reply = httpx.get(world.url + "/readyz")
    assert (reply.status_code, reply.json()["why"]) == (503, "clock")


def test_a_clock_off_the_databases_is_not_ready(world: World) -> None:
    """SQLite has no clock of its own."""
    import httpx

    world.clock.offset += 60_000
    ready = {"status": "ready"} if world.house.engine.dialect.name == "sqlite" else None
    reply = httpx.get(world.url + "/readyz").json()
    assert reply == ready or (ready is None and reply["why"] == "clock")


def test_what_was_flushed_cannot_be_taken_back(world: World) -> None:
    def act(tx: Transaction) -> None:
        mark = tx.appender.mark()
        registered(tx)
        tx.appender.flush()
        tx.appender.rewind(mark)

    with pytest.raises(LogBusy):
        world.house.transact(act, seals=False)
