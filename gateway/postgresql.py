"""What is PostgreSQL's own about the engine: how it connects, what a server must be, how a commit is told.

Invariant: every connection runs as this module says, whatever the server's, the database's or the role's
defaults are. A password comes from its file when a connection is made, never from an argument, the
environment or the URL. A transaction in which a statement failed is never taken for committed: the server
answers its COMMIT with a ROLLBACK and no error (https://www.postgresql.org/docs/current/sql-commit.html).
"""

from __future__ import annotations

import select
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

import psycopg
import sqlalchemy as sa
import structlog
from psycopg.pq import Format, TransactionStatus
from sqlalchemy import event

from gateway.errors import LedgerUnavailable, NotReady
from keys.custody.storage import read_file

LEAST_VERSION: Final = 150_000
_MAX_PASSWORD_BYTES: Final = 1_024
_ASK_AFTER_S: Final = 5.0
_USED: Final = "chengxin_used"
_SESSION: Final = {
    # Longer than any wait for the head's lock may be, shorter than a client's patience.
    "lock_timeout": "30s",
    "statement_timeout": "60s",
    # A worker that hangs inside a transaction may hold the head's lock: the server then ends it.
    "idle_in_transaction_session_timeout": "30s",
    "search_path": "public,pg_temp",  # pg_temp last: a temporary table never stands in for one of ours
    "timezone": "UTC",
    "synchronous_commit": "on",
    # A plan that was made while the tables were small serves on when they are large: row by row, by an index,
    # wherever there is one. No statement of ours runs long enough for the compiler.
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}
_OWNERS: Final = {"statement_timeout": "0", "lock_timeout": "60s"} | dict.fromkeys(
    ("enable_seqscan", "enable_hashjoin", "enable_mergejoin"), "on"
)  # a migration may take its time

log = structlog.get_logger(__name__)


class BinaryCursor(psycopg.Cursor[Any]):
    """A cursor that asks for values in binary: most of ours are bytes, which as text are twice as long."""

    def __init__(self, connection: psycopg.Connection[Any], **options: Any) -> None:
        super().__init__(connection, **options)
        self.format = Format.BINARY


def connect_arguments(*, owner: bool = False) -> dict[str, Any]:
    """What psycopg is handed for each connection; `owner` for migrations and grants."""
    session = _SESSION | (_OWNERS if owner else {})
    return {
        # What describes the schema to a migration reads as text; the gateway's own reads are bytes.
        **({} if owner else {"cursor_factory": BinaryCursor}),
        "application_name": "chengxin",
        "client_encoding": "utf8",
        "connect_timeout": 10,
        "keepalives_idle": 30,
        "tcp_user_timeout": 30_000,  # a server that fell silent is given up after this, in ms
        "options": " ".join(f"-c {name}={value}" for name, value in session.items()),
    }


def prepare(engine: sa.Engine, password_file: Path | None) -> None:
    """Have the engine read its password when it connects, and refuse to commit what has failed."""
    if password_file is not None:

        @event.listens_for(engine, "do_connect")
        def _give_password(_dialect: Any, _record: Any, _args: Any, parameters: dict[str, Any]) -> None:
            parameters["password"] = read_password(password_file)

    event.listen(engine, "connect", _leave_preparing)
    event.listen(engine, "checkin", _note_use)
    event.listen(engine, "checkout", partial(_require_alive, engine.dialect))
    event.listen(engine, "commit", require_sound)


def _leave_preparing(connection: Any, _record: object) -> None:
    """What is prepared is ours (`ledger.exchange`): the driver would drop it with its own at a rollback."""
    connection.prepare_threshold = None


def _note_use(_connection: Any, record: Any) -> None:
    record.info[_USED] = time.monotonic()


def _require_alive(dialect: Any, connection: Any, record: Any, _proxy: object) -> None:
    """Have the pool connect anew when the server is gone.

    A server that ends a connection says so, and says nothing else on one that rests. One that fell silent is
    asked, when the connection has rested for a while.
    """
    used = record.info.get(_USED)
    if used is None:  # just connected
        return
    try:
        said = select.poll()
        said.register(connection.fileno(), select.POLLIN)
        if time.monotonic() - used < _ASK_AFTER_S and not said.poll(0):
            return
        dialect.do_ping(connection)
    except psycopg.Error as error:
        raise sa.exc.InvalidatePoolError from error


def read_password(path: Path) -> str:
    """The password in `path`: one line, its final newline left off.

    Raises CustodyPermissions unless the file is ours with mode 0600 or less, NotReady for other content.
    """
    data = read_file(path, _MAX_PASSWORD_BYTES)
    line = data.removesuffix(b"\n").removesuffix(b"\r")
    if not line or any(byte in line for byte in b"\r\n\0"):
        raise NotReady(f"{path}: a password file holds one line, the password")
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise NotReady(f"{path}: a password file is UTF-8 text") from None


def require_sound(connection: sa.Connection) -> None:
    """`LedgerUnavailable` when a statement of the open transaction, or savepoint, has failed."""
    driver: Any = connection.connection.driver_connection
    if driver is not None and driver.info.transaction_status == TransactionStatus.INERROR:
        raise LedgerUnavailable("a statement of this transaction failed: nothing of it can be committed")


def require_fit(connection: sa.Connection) -> None:
    """Refuse a server that cannot keep what it is told (`NotReady`); say what only the machine can lose."""

    def show(name: str) -> str:
        return str(connection.exec_driver_sql(f"SHOW {name}").scalar_one())

    if int(show("server_version_num")) < LEAST_VERSION:
        raise NotReady(f"PostgreSQL 15 or newer is needed, this server is {show('server_version')}")
    if (encoding := show("server_encoding")) != "UTF8":
        raise NotReady(f"the database's encoding is {encoding}: make one with ENCODING 'UTF8'")
    if show("synchronous_commit") not in ("on", "remote_apply"):
        raise NotReady("synchronous_commit is off here: an answer could leave before its entry is durable")
    unsafe = [name for name in ("fsync", "full_page_writes") if show(name) != "on"]
    if unsafe:
        log.warning("database.not_durable", off=unsafe)
