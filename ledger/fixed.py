"""Fixed statements: each is compiled once for each engine, to its text and to what makes its values.

Invariant: a statement's text never depends on the values it is run with; on SQLite it depends on how many
there are in a list, rounded up to a power of two up to 256, so that few texts serve; a longer one is spelt
out each time. What a column holds is handed on as the driver gives it: on SQLite that may be of any type, for
whoever can write to the file.
"""

from __future__ import annotations

import itertools
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from psycopg.pq import Format
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from ledger.arrays import binary_of

POSTGRESQL: Final = "postgresql"

Given: TypeAlias = Mapping[str, Any]
"""The values of a statement's parameters, by name."""

_SPELT_OUT: Final = 256
"""Longer lists than this are spelt out as they are: rare, and the engine bounds their length."""
_NUMBERED: Final = PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
_QMARK: Final = SQLiteDialect_pysqlite(paramstyle="qmark")
_serial = itertools.count(1)


class Row(tuple[Any, ...]):
    """One row that was read: a tuple whose columns are attributes too."""

    __slots__ = ()
    _fields: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The columns by name."""
        return dict(zip(self._fields, self, strict=True))

    if TYPE_CHECKING:

        def __getattr__(self, column: str) -> Any: ...


MakeRow: TypeAlias = Callable[[Sequence[Any]], Row]


@cache
def _row_maker(columns: tuple[str, ...]) -> MakeRow:
    """Makes rows of these columns out of tuples, without a call of Python code."""
    made = type("Row", (Row, namedtuple("Columns", columns)), {"__slots__": (), "_fields": columns})
    return partial(tuple.__new__, made)


@dataclass(frozen=True, slots=True)
class OnPostgresql:
    """A statement as a server prepares it: a name of its own, `$1` and so on for its values."""

    name: bytes
    text: str
    make_row: MakeRow
    formats: tuple[Format, ...]
    constants: tuple[bytes | None, ...]
    encoders: tuple[tuple[int, str, Callable[[Any], bytes]], ...]

    def values(self, given: Given) -> list[bytes | None]:
        """The values in order, in the server's binary form."""
        found = list(self.constants)
        for place, name, encode in self.encoders:
            value = given[name]
            found[place] = None if value is None else encode(value)
        return found


@dataclass(frozen=True, slots=True)
class OnSqlite:
    """A statement with `?` for its values; `lists` names those that are lists, spelt out each time."""

    compiled: Any
    make_row: MakeRow
    names: tuple[str, ...]
    lists: frozenset[str]
    constants: Given
    texts: dict[tuple[int, ...], str]

    def spell(self, given: Given) -> tuple[str, list[Any]]:
        """The text for lists as long as these, and the values in order."""
        padded = {name: _padded(given[name]) for name in self.lists}
        sizes = tuple(len(padded[name]) for name in self.names if name in self.lists)
        text = self.texts.get(sizes)
        if text is None:
            text = self.compiled.construct_expanded_state({**given, **padded}).statement
            if max(sizes, default=0) <= _SPELT_OUT:
                self.texts[sizes] = text
        values: list[Any] = []
        for name in self.names:
            if name not in self.lists:
                values.append(given[name] if name in given else self.constants[name])
            elif padded[name] and isinstance(padded[name][0], tuple):
                values += itertools.chain.from_iterable(padded[name])
            else:
                values += padded[name]
        return text, values


def _padded(values: Sequence[Any]) -> Sequence[Any]:
    """The values, the last of them repeated up to the next power of two: who is asked for twice is one."""
    size = len(values)
    if not 0 < size <= _SPELT_OUT:
        return values
    return [*values, *[values[-1]] * ((1 << (size - 1).bit_length()) - size)]


@dataclass(frozen=True, eq=False)
class Both:
    """One statement, as each engine has it."""

    sqlite: Any
    postgresql: Any

    @cached_property
    def on_postgresql(self) -> OnPostgresql:
        """Compiled for a PostgreSQL server."""
        compiled = self.postgresql.compile(dialect=_NUMBERED)
        if compiled.post_compile_params:
            raise TypeError("a list in a fixed statement is asked for by `among`, never spelt out")
        constants, encoders = [], []
        for place, name in enumerate(compiled.positiontup):
            bound = compiled.binds[name]
            encode = binary_of(bound.type)
            constants.append(None if bound.value is None else encode(bound.value))
            if bound.required:
                encoders.append((place, name, encode))
        return OnPostgresql(
            b"chengxin_%d" % next(_serial),
            compiled.string,
            _row_maker(_columns(self.postgresql)),
            (Format.BINARY,) * len(constants),
            tuple(constants),
            tuple(encoders),
        )

    @cached_property
    def on_sqlite(self) -> OnSqlite:
        """Compiled for SQLite."""
        compiled = self.sqlite.compile(dialect=_QMARK)
        constants = {name: bound.value for name, bound in compiled.binds.items() if not bound.required}
        lists = frozenset(bound.key for bound in compiled.post_compile_params)
        make_row, names = _row_maker(_columns(self.sqlite)), tuple(compiled.positiontup)
        return OnSqlite(compiled, make_row, names, lists, constants, {})


def _columns(statement: Any) -> tuple[str, ...]:
    """The names of what a statement gives back, none where it gives back nothing."""
    return tuple(statement.exported_columns.keys())


@dataclass(frozen=True, slots=True)
class Call:
    """A statement with the values it is to be run with: `given`, or each of `rows` (SQLite's way of many).

    A row has its values in the order of `OnSqlite.names`.
    """

    statement: Both
    given: Given = field(default_factory=dict)
    rows: Sequence[tuple[Any, ...]] = ()
