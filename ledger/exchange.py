"""Exchanges with the database: fixed statements, sent together on the driver's own connection.

    found = alone(conn, reading)               # a reading yields the calls it needs, is sent their rows
    one, other = together(conn, this, that)    # several, in one round trip
    run(conn, calls)                           # what is only written
    run(conn, calls, commits=True)             # and ends the transaction with it

Invariant: an exchange runs inside the transaction that SQLAlchemy has open on the connection and ends none
unless it is told to: rollback, savepoints and locks stay where they are. Statements run in the order of their
calls. The first that fails raises what SQLAlchemy raises for it, and none after it has any effect, a commit
least of all. Listeners to `before_cursor_execute` hear each statement, whose parameters they cannot change.

On PostgreSQL an exchange is one round trip (libpq's pipeline mode): each connection prepares a statement
when it first runs it, values and rows are binary. On SQLite the calls run one after another.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, TypeAlias, TypeVar

import sqlalchemy as sa
from psycopg import IsolationLevel, OperationalError, abc, adapt
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, Format, PipelineStatus, TransactionStatus
from psycopg.waiting import Ready, Wait

from ledger.fixed import POSTGRESQL, Call, OnPostgresql, Row

T = TypeVar("T")
Reading: TypeAlias = Generator[Call, list[Row], T]
"""What is made of rows: yields a call whenever it needs some, is sent them, returns its result."""

Message: TypeAlias = tuple[OnPostgresql, Sequence[bytes | None] | None]
"""A statement with its values, or to be prepared where it has none."""

_PLANS_SERVE: Final = 1_000
"""Exchanges of a connection after which its plans are made anew."""
_DONE: Final = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)
_OUT_OF_STEP: Final = frozenset({"26000", "42P05", "0A000"})
"""What a server says that knows other prepared statements than this session, or other tables than it did."""


def alone(conn: sa.Connection, reading: Reading[T]) -> T:
    """The result of one reading."""
    try:
        call = next(reading)
        while True:
            [rows] = run(conn, [call])
            call = reading.send(rows)
    except StopIteration as end:
        result: T = end.value
        return result


def together(conn: sa.Connection, *readings: Reading[Any]) -> list[Any]:
    """The results of several readings: what each needs first in one exchange, what next in another."""
    results: list[Any] = [None] * len(readings)
    waiting: dict[int, Call] = {}

    def advance(place: int, rows: list[Row] | None) -> None:
        try:
            waiting[place] = next(readings[place]) if rows is None else readings[place].send(rows)
        except StopIteration as end:
            results[place] = end.value

    for place in range(len(readings)):
        advance(place, None)
    while waiting:
        asked, waiting = waiting, {}
        for place, rows in zip(asked, run(conn, list(asked.values())), strict=True):
            advance(place, rows)
    return results


def run(conn: sa.Connection, calls: Sequence[Call], *, commits: bool = False) -> list[list[Row]]:
    """Run these in one exchange; the rows of each, none of one that only writes.

    With `commits` the transaction ends with them. Where an error then says that the connection is lost, or
    comes from the commit itself, the caller does not know whether it took effect.
    """
    if not calls and not commits:
        return []
    if not conn.in_transaction():
        conn.begin()  # as SQLAlchemy would by itself
    if not calls:
        found = []
    elif conn.dialect.name == POSTGRESQL:
        found = _on_postgresql(conn, calls, commits=commits)
    else:
        found = _on_sqlite(conn, calls)
    if commits:
        conn.commit()  # on PostgreSQL it has happened with the calls, and the driver says nothing more
    return found


def _tell(conn: sa.Connection, text: str, values: Any, *, many: bool = False) -> None:
    """Let whoever listens to the engine hear of a statement."""
    if heard := conn.dispatch.before_cursor_execute:
        heard(conn, None, text, values, None, many)


def _fail(conn: sa.Connection, error: Any, text: str, *, broken_off: bool = False) -> NoReturn:
    """Raise what SQLAlchemy raises for a driver's error.

    A connection that is lost, or whose exchange was `broken_off`, is invalid from here on.
    """
    driver = conn.dialect.loaded_dbapi
    ours = isinstance(error, driver.Error)
    lost = broken_off or (ours and conn.dialect.is_disconnect(error, conn.connection.driver_connection, None))
    if lost:
        conn.invalidate(error)
    if not ours:
        raise error
    raise sa.exc.DBAPIError.instance(
        text, None, error, driver.Error, connection_invalidated=lost, dialect=conn.dialect
    ) from error


def _on_sqlite(conn: sa.Connection, calls: Sequence[Call]) -> list[list[Row]]:
    driver: Any = conn.connection.driver_connection
    found: list[list[Row]] = []
    cursor = driver.cursor()
    try:
        for call in calls:
            form, text = call.statement.on_sqlite, ""
            try:
                if call.rows:
                    text = form.compiled.string
                    _tell(conn, text, call.rows, many=True)
                    cursor.executemany(text, call.rows)
                    found.append([])
                else:
                    text, values = form.spell(call.given)
                    _tell(conn, text, values)
                    found.append(list(map(form.make_row, cursor.execute(text, values).fetchall())))
            except BaseException as error:  # noqa: BLE001  raised again, as SQLAlchemy's
                _fail(conn, error, text)
    finally:
        cursor.close()
    return found


@dataclass(frozen=True, slots=True)
class _Session:
    """What is known of one connection to a PostgreSQL server: what it has prepared, and how much it ran."""

    transformer: abc.Transformer
    prepared: set[bytes] = field(default_factory=set)
    exchanges: Iterator[int] = field(default_factory=itertools.count)


def _session(conn: sa.Connection, driver: Any) -> _Session:
    """The connection's, kept with it. Now and then everything is prepared anew: the tables have grown."""
    known: _Session | None = conn.info.get(__name__)
    if known is not None and next(known.exchanges) >= _PLANS_SERVE:
        driver.execute("DEALLOCATE ALL")
        known = None
    if known is None:
        known = conn.info[__name__] = _Session(adapt.Transformer(driver))
    return known


def _on_postgresql(conn: sa.Connection, calls: Sequence[Call], *, commits: bool = False) -> list[list[Row]]:
    driver: Any = conn.connection.driver_connection
    bound = [(call.statement.on_postgresql, call.given) for call in calls]
    messages: list[Message] = []
    try:
        session = _session(conn, driver)
        new = {form.name: form for form, _ in bound if form.name not in session.prepared}
        messages += [(form, None) for form in new.values()]
        for form, given in bound:
            values = form.values(given)
            _tell(conn, form.text, values)
            messages.append((form, values))
        results = send(driver, messages, commits=commits)
    except BaseException as error:  # noqa: BLE001  raised again, as SQLAlchemy's
        broken_off = (
            isinstance(error, OperationalError) or driver.pgconn.pipeline_status != PipelineStatus.OFF
        )
        _fail(conn, error, bound[0][0].text, broken_off=broken_off)
    found: list[list[Row]] = []
    for (form, sent), result in zip(messages, results, strict=False):
        if result.status not in _DONE:
            refused = error_from_result(result, encoding="utf-8")
            _fail(conn, refused, form.text, broken_off=refused.sqlstate in _OUT_OF_STEP)
        if sent is None:
            session.prepared.add(form.name)
        else:
            session.transformer.set_pgresult(result)
            found.append(session.transformer.load_rows(0, result.ntuples, form.make_row))
    if commits and results[-1].status not in _DONE:  # a ROLLBACK it is not: all before it were done
        _fail(conn, error_from_result(results[-1], encoding="utf-8"), "COMMIT")
    return found


def send(driver: Any, messages: Sequence[Message], *, commits: bool = False) -> list[Any]:
    """Send all of these and wait for the result of each (libpq's), failed ones too; `commits` adds COMMIT's.

    Opens the driver's transaction as the driver would. A driver's error here means that the exchange did not
    come to its end: the connection is good for nothing more.
    """
    pgconn = driver.pgconn
    opens = pgconn.transaction_status == TransactionStatus.IDLE and not driver.autocommit
    pgconn.enter_pipeline_mode()
    if opens:
        pgconn.send_query_params(_begin(driver), None)
    for form, values in messages:
        if values is None:
            pgconn.send_prepare(form.name, form.text.encode())
        else:
            pgconn.send_query_prepared(form.name, values, form.formats, result_format=Format.BINARY)
    if commits:
        pgconn.send_query_params(b"COMMIT", None)
    pgconn.pipeline_sync()
    results: list[Any] = driver.wait(_results(pgconn))
    pgconn.exit_pipeline_mode()
    if opens and results.pop(0).status not in _DONE:
        raise OperationalError("no transaction could be opened")
    if len(results) != len(messages) + commits:
        raise OperationalError("an exchange came back with other results than were asked for")
    return results


def _begin(driver: Any) -> bytes:
    """BEGIN, as the driver says it: `isolation_level` and `read_only` are what SQLAlchemy has set."""
    said = b"BEGIN"
    if driver.isolation_level is not None:
        said += b" ISOLATION LEVEL " + IsolationLevel(driver.isolation_level).name.replace("_", " ").encode()
    if driver.read_only is not None:
        said += b" READ ONLY" if driver.read_only else b" READ WRITE"
    return said


def _results(pgconn: Any) -> Generator[Wait, Ready, list[Any]]:
    """Sends what is still to be sent and collects the results, up to the end of the exchange."""
    results: list[Any] = []
    while pgconn.flush():
        if (yield Wait.RW) & Ready.R:
            pgconn.consume_input()  # the server may be waiting for us to read, too
    while True:
        while pgconn.is_busy():
            if (yield Wait.R):
                pgconn.consume_input()
        result = pgconn.get_result()
        if result is None:  # the end of one message's
            if pgconn.status != ConnStatus.OK:
                raise OperationalError("the connection was lost in the middle of an exchange")
        elif result.status == ExecStatus.PIPELINE_SYNC:
            return results
        else:
            results.append(result)
