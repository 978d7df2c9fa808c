"""What an administrator can print of a running gateway: its whole database, its settings, its environment.

Invariant: nothing is left out by name. Every table, index and TOAST table of the gateway's own schema is
taken, whatever a later migration adds.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
from click.testing import CliRunner
from psycopg import sql

from gateway.cli import main
from gateway.house import House
from tests import databases

_TABLES = """
SELECT c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind = 'r' ORDER BY c.relname
"""
_FILES = """
SELECT pg_read_binary_file(pg_relation_filepath(c.oid))
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname IN ('public', 'pg_toast') AND c.relkind IN ('r', 'i', 't') ORDER BY c.oid
"""


def database_dump(house: House) -> dict[str, bytes]:
    """The whole database by way of taking it.

    `dump:text` is what `.dump` prints on SQLite, and COPY, as pg_dump has it, on PostgreSQL. There is also
    `dump:binary`, COPY in binary form, in which bytes are themselves, and `dump:files`, the pages of tables
    and indexes with the rows that were replaced or deleted; on SQLite the database file is all of that.
    """
    file = house.settings.database_file
    if file is not None:
        with closing(sqlite3.connect(file)) as conn:
            return {"dump:text": "\n".join(conn.iterdump()).encode()}
    with databases.superuser(house.settings.database_url) as conn:
        conn.execute("CHECKPOINT")  # the pages to their files
        return {
            "dump:text": _copied(conn, "TEXT"),
            "dump:binary": _copied(conn, "BINARY"),
            "dump:files": b"\n".join(bytes(row[0]) for row in conn.execute(_FILES) if row[0] is not None),
        }


def _copied(conn: psycopg.Connection[tuple[object, ...]], form: str) -> bytes:
    """Every table in this form of COPY, each after its name."""
    parts: list[bytes] = []
    for (table,) in conn.execute(_TABLES).fetchall():
        parts.append(f"\n{table}\n".encode())
        copy = sql.SQL("COPY {} TO STDOUT (FORMAT {})").format(sql.Identifier(str(table)), sql.SQL(form))
        with conn.cursor() as cursor, cursor.copy(copy) as rows:
            parts += [bytes(block) for block in rows]
    return b"".join(parts)


def settings_dump(house: House) -> bytes:
    """The settings in force in every form in which they are printed, and this process's environment."""
    settings = house.settings
    said = [repr(settings), str(settings), settings.model_dump_json(), repr(house)]
    for form in ([], ["--json"]):
        shown = CliRunner().invoke(main, ["--home", str(settings.home), "config", "show", *form])
        assert shown.exit_code == 0, shown.output
        said.append(shown.output)
    said += [f"{name}={value}" for name, value in os.environ.items()]
    told = [Path(f"/proc/self/{name}").read_bytes() for name in ("environ", "cmdline")]
    return b"\n".join([*(text.encode("utf-8", "surrogateescape") for text in said), *told])
