"""Statements over sets, in the words of each engine: what a batch reads or writes in one round trip.

Invariant: on PostgreSQL values travel as arrays, so that a statement's text does not depend on how many there
are and the server plans it once: arrays that are looked for are hidden from the planner in a sub-select, else
it would make a new plan for each. SQLite has no arrays: there values are spelt out, and rows are written one
after another inside one call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from ledger.arrays import array_of
from ledger.fixed import POSTGRESQL, Both, Call

Among: TypeAlias = Callable[[Any, str], sa.ColumnElement[bool]]
"""`among(column, name)`: the value is one of the list `name`; of several columns, a tuple of its `pairs`."""
Rows: TypeAlias = Sequence[Mapping[str, Any]]
"""Rows to write: all have the same columns."""
Tuples: TypeAlias = Sequence[tuple[Any, ...]]
"""The same as tuples, of columns that are named beside them: what is written most has no names a row."""


def both(build: Callable[[Among], Any]) -> Both:
    """Build a statement that asks whether values are `among` others, once for each engine."""
    return Both(build(_spelt_out), build(_in_array))


def same(statement: Any) -> Both:
    """A statement that is the same on each engine."""
    return Both(statement, statement)


def pairs(conn: sa.Connection, name: str, wanted: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    """The parameters of `among((a, b, …), name)`: tuples of one length, at least one of them."""
    if conn.dialect.name != POSTGRESQL:
        return {name: wanted}
    columns = zip(*wanted, strict=True)
    return {f"{name}_{place}": column for place, column in enumerate(columns, 1)}


def to_insert(conn: sa.Connection, table: sa.Table, rows: Rows) -> list[Call]:
    """What INSERTs these rows; no call where there is none."""
    return _to_write(conn, _insert, table, rows)


def to_upsert(
    conn: sa.Connection, table: sa.Table, key: tuple[str, ...], columns: tuple[str, ...], rows: Rows
) -> list[Call]:
    """What INSERTs these rows, or sets these `columns` where the key stands. No key is in `rows` twice."""
    return _to_write(conn, _upsert, table, rows, key, columns)


def to_insert_tuples(
    conn: sa.Connection, table: sa.Table, names: tuple[str, ...], rows: Tuples
) -> list[Call]:
    """What INSERTs these rows of the columns `names`; no call where there is none."""
    return _to_write_tuples(conn, _insert(table, names), names, rows) if rows else []


def to_upsert_tuples(
    conn: sa.Connection,
    table: sa.Table,
    key: tuple[str, ...],
    columns: tuple[str, ...],
    names: tuple[str, ...],
    rows: Tuples,
) -> list[Call]:
    """What `to_upsert` makes, of rows of the columns `names`."""
    return _to_write_tuples(conn, _upsert(table, names, key, columns), names, rows) if rows else []


def to_add(conn: sa.Connection, table: sa.Table, key: tuple[str, ...], column: str, rows: Rows) -> list[Call]:
    """What INSERTs these rows, or adds to `column` where the key stands. No key is in `rows` twice."""
    return _to_write(conn, _insert_or_add, table, rows, key, column)


def to_update(conn: sa.Connection, table: sa.Table, key: str, rows: Rows) -> list[Call]:
    """What sets the other columns of the rows that have these keys. No key is in `rows` twice."""
    return _to_write(conn, _update, table, rows, key)


def _to_write(
    conn: sa.Connection, build: Callable[..., Both], table: sa.Table, rows: Rows, *how: Any
) -> list[Call]:
    if not rows:
        return []
    names = tuple(rows[0])
    statement = build(table, names, *how)
    if conn.dialect.name == POSTGRESQL:
        return [Call(statement, {_given(name): [row[name] for row in rows] for name in names})]
    order = _order(statement, names)
    return [Call(statement, rows=[tuple([row[name] for name in order]) for row in rows])]


def _to_write_tuples(
    conn: sa.Connection, statement: Both, names: tuple[str, ...], rows: Tuples
) -> list[Call]:
    if conn.dialect.name == POSTGRESQL:
        columns = zip(*rows, strict=True)
        return [Call(statement, dict(zip(map(_given, names), columns, strict=True)))]
    order = _order(statement, names)
    if order == names:
        return [Call(statement, rows=rows)]
    places = [names.index(name) for name in order]
    return [Call(statement, rows=[tuple([row[place] for place in places]) for row in rows])]


@cache
def _order(statement: Both, names: tuple[str, ...]) -> tuple[str, ...]:
    """The columns as SQLite's text of the statement asks for their values."""
    column_of = {_given(name): name for name in names}
    return tuple(column_of[name] for name in statement.on_sqlite.names)


@cache
def _insert(table: sa.Table, names: tuple[str, ...]) -> Both:
    return Both(*_inserts(table, names))


@cache
def _upsert(table: sa.Table, names: tuple[str, ...], key: tuple[str, ...], columns: tuple[str, ...]) -> Both:
    def upsert(statement: Any) -> Any:
        assigned = {name: statement.excluded[name] for name in columns}
        return statement.on_conflict_do_update(index_elements=key, set_=assigned)

    return Both(*map(upsert, _inserts(table, names)))


@cache
def _insert_or_add(table: sa.Table, names: tuple[str, ...], key: tuple[str, ...], column: str) -> Both:
    def add(statement: Any) -> Any:
        total = {column: table.c[column] + statement.excluded[column]}
        return statement.on_conflict_do_update(index_elements=key, set_=total)

    return Both(*map(add, _inserts(table, names)))


def _inserts(table: sa.Table, names: tuple[str, ...]) -> tuple[Any, Any]:
    """SQLite's and PostgreSQL's."""
    spelt = sqlite.insert(table).values({name: sa.bindparam(_given(name)) for name in names})
    return spelt, postgresql.insert(table).from_select(names, sa.select(*_unnested(table, names).c))


@cache
def _update(table: sa.Table, names: tuple[str, ...], key: str) -> Both:
    def update(given: Any) -> Any:
        values = {name: given[name] for name in names if name != key}
        return sa.update(table).where(table.c[key] == given[key]).values(values)

    return Both(
        update({name: sa.bindparam(_given(name)) for name in names}), update(_unnested(table, names).c)
    )


def _unnested(table: sa.Table, names: tuple[str, ...]) -> Any:
    """The rows that arrays, one a column, unnest to."""
    arrays = [_array(table.c[name], _given(name)) for name in names]
    return sa.func.unnest(*arrays).table_valued(*names).render_derived()


def _given(name: str) -> str:
    """The parameter of a column: SQLAlchemy keeps the column's own name for itself."""
    return f"given_{name}"


def _array(column: Any, name: str) -> sa.BindParameter[Any]:
    return sa.bindparam(name, type_=array_of(column))


def _hidden(column: Any, name: str) -> Any:
    """An array whose values, and so whose length, the planner does not see."""
    array = _array(column, name)
    return sa.cast(sa.select(array).scalar_subquery(), array.type)


def _spelt_out(column: Any, name: str) -> sa.ColumnElement[bool]:
    """SQLite's: IN with as many values as there are."""
    left = sa.tuple_(*column) if isinstance(column, tuple) else column
    found: sa.ColumnElement[bool] = left.in_(sa.bindparam(name, expanding=True))
    return found


def _in_array(column: Any, name: str) -> sa.ColumnElement[bool]:
    """PostgreSQL's: = ANY of an array, or a pair among those that arrays unnest to."""
    if not isinstance(column, tuple):
        held: sa.ColumnElement[bool] = column == sa.any_(_hidden(column, name))
        return held
    places = [f"{name}_{place}" for place in range(1, len(column) + 1)]
    arrays = [_hidden(part, place) for place, part in zip(places, column, strict=True)]
    wanted = sa.func.unnest(*arrays).table_valued(*places).render_derived()
    found: sa.ColumnElement[bool] = sa.tuple_(*column).in_(sa.select(*wanted.c))
    return found
