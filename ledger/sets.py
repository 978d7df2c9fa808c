"""Statements over sets, in the words of each engine: what a batch reads or writes in one round trip.

Invariant: on PostgreSQL values travel as arrays, so that a statement's text does not depend on how many there
are and the server plans it once. SQLite has no arrays: there values are spelt out, and rows are written one
after another inside one call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from ledger.arrays import array_of

POSTGRESQL: Final = "postgresql"

Among: TypeAlias = Callable[[Any, str], sa.ColumnElement[bool]]
"""`among(column, name)`: the value is one of the list `name`; with a pair of columns, one of its `pairs`."""
Rows: TypeAlias = Sequence[Mapping[str, Any]]
"""Rows to write: all have the same columns."""


@dataclass(frozen=True, slots=True)
class Both:
    """One statement, as each engine has it. Built once: building one costs more than running it."""

    sqlite: Any
    postgresql: Any

    def on(self, conn: sa.Connection) -> Any:
        """The statement for this connection."""
        return self.postgresql if conn.dialect.name == POSTGRESQL else self.sqlite


def both(build: Callable[[Among], Any]) -> Both:
    """Build a statement that asks whether values are `among` others, once for each engine."""
    return Both(build(_spelt_out), build(_in_array))


def pairs(conn: sa.Connection, name: str, wanted: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    """The parameters of `among((a, b), name)`: tuples of one length, at least one."""
    if conn.dialect.name != POSTGRESQL:
        return {name: list(wanted)}
    columns = zip(*wanted, strict=True)
    return {f"{name}_{place}": list(column) for place, column in enumerate(columns, 1)}


def insert_rows(conn: sa.Connection, table: sa.Table, rows: Rows) -> None:
    """INSERT these rows."""
    _write(conn, _insert, table, rows)


def upsert_rows(
    conn: sa.Connection, table: sa.Table, key: tuple[str, ...], columns: tuple[str, ...], rows: Rows
) -> None:
    """INSERT these rows; where one with this key stands, set its `columns`. No key stands in `rows` twice."""
    _write(conn, _insert, table, rows, key, columns)


def update_rows(conn: sa.Connection, table: sa.Table, key: str, rows: Rows) -> None:
    """Set the other columns of the rows that have these keys. No key stands in `rows` twice."""
    _write(conn, _update, table, rows, key)


def _write(conn: sa.Connection, build: Callable[..., Any], table: sa.Table, rows: Rows, *how: Any) -> None:
    if not rows:
        return
    names = tuple(rows[0])
    statement = build(conn.dialect.name, table, names, *how)
    if conn.dialect.name == POSTGRESQL:
        conn.execute(statement, {_given(name): [row[name] for row in rows] for name in names})
    else:
        conn.execute(statement, [{_given(name): row[name] for name in names} for row in rows])


@cache
def _insert(
    dialect: str,
    table: sa.Table,
    names: tuple[str, ...],
    key: tuple[str, ...] = (),
    columns: tuple[str, ...] = (),
) -> Any:
    if dialect == POSTGRESQL:
        statement: Any = postgresql.insert(table).from_select(names, sa.select(*_unnested(table, names).c))
    else:
        statement = sqlite.insert(table).values({name: sa.bindparam(_given(name)) for name in names})
    if not columns:
        return statement
    assigned = {name: statement.excluded[name] for name in columns}
    return statement.on_conflict_do_update(index_elements=key, set_=assigned)


@cache
def _update(dialect: str, table: sa.Table, names: tuple[str, ...], key: str) -> Any:
    given: Any = {name: sa.bindparam(_given(name)) for name in names}
    if dialect == POSTGRESQL:
        given = _unnested(table, names).c
    values = {name: given[name] for name in names if name != key}
    return sa.update(table).where(table.c[key] == given[key]).values(values)


def _unnested(table: sa.Table, names: tuple[str, ...]) -> Any:
    """The rows that arrays, one a column, unnest to."""
    arrays = [_array(table.c[name], _given(name)) for name in names]
    return sa.func.unnest(*arrays).table_valued(*names).render_derived()


def _given(name: str) -> str:
    """The parameter of a column: SQLAlchemy keeps the column's own name for itself."""
    return f"given_{name}"


def _array(column: Any, name: str) -> sa.BindParameter[Any]:
    return sa.bindparam(name, type_=array_of(column))


def _spelt_out(column: Any, name: str) -> sa.ColumnElement[bool]:
    """SQLite's: IN with as many values as there are."""
    left = sa.tuple_(*column) if isinstance(column, tuple) else column
    found: sa.ColumnElement[bool] = left.in_(sa.bindparam(name, expanding=True))
    return found


def _in_array(column: Any, name: str) -> sa.ColumnElement[bool]:
    """PostgreSQL's: = ANY of an array, or a pair among those that arrays unnest to."""
    if not isinstance(column, tuple):
        held: sa.ColumnElement[bool] = column == sa.any_(_array(column, name))
        return held
    places = [f"{name}_{place}" for place in range(1, len(column) + 1)]
    arrays = [_array(part, place) for place, part in zip(places, column, strict=True)]
    wanted = sa.func.unnest(*arrays).table_valued(*places).render_derived()
    found: sa.ColumnElement[bool] = sa.tuple_(*column).in_(sa.select(*wanted.c))
    return found
