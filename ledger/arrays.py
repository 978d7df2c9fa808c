"""Lists of values as PostgreSQL's binary arrays, made in one go: the driver would look at each value anew.

Invariant: the bytes are those of `array_recv` in the server's source (src/backend/utils/adt/arrayfuncs.c),
one dimension from 1, each element behind its length; null is the length -1. The element's type is the
column's, said by the cast in the statement, never guessed from a value.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any, Final

import sqlalchemy as sa
from psycopg.adapt import Dumper
from psycopg.pq import Format
from sqlalchemy.types import UserDefinedType

_HEAD: Final = struct.Struct(">iiIii").pack
_NOTHING: Final = struct.Struct(">iiI").pack
_LENGTH: Final = struct.Struct(">i").pack
_INT4: Final = struct.Struct(">ii").pack
_INT8: Final = struct.Struct(">iq").pack
_NULL: Final = _LENGTH(-1)


class Packed(bytes):
    """A binary array, ready to be sent."""


class PackedDumper(Dumper):
    """Hands a `Packed` on as it is; its type is that of the cast around the parameter."""

    format = Format.BINARY

    def dump(self, obj: Packed) -> bytes:
        """The bytes themselves."""
        return obj


def _bytes(value: bytes) -> bytes:
    return _LENGTH(len(value)) + value


def _text(value: str) -> bytes:
    return _bytes(value.encode())


def _int4(value: int) -> bytes:
    return _INT4(4, value)


def _int8(value: int) -> bytes:
    return _INT8(8, value)


_KINDS: Final[tuple[tuple[type[Any], str, int, Callable[[Any], bytes]], ...]] = (
    (sa.LargeBinary, "BYTEA[]", 17, _bytes),
    (sa.Text, "TEXT[]", 25, _text),
    (sa.BigInteger, "BIGINT[]", 20, _int8),
    (sa.Integer, "INTEGER[]", 23, _int4),
)
"""Of a column, the array's name, its elements' OID (pg_type.dat) and how one is written."""


class ArrayOf(UserDefinedType[Sequence[Any]]):
    """The type of a parameter that holds a list of a column's values."""

    cache_ok = True
    render_bind_cast = True

    def __init__(self, name: str, oid: int, element: Callable[[Any], bytes]) -> None:
        self.name, self.oid, self.element = name, oid, element

    def get_col_spec(self, **_: Any) -> str:
        """As SQL has it."""
        return self.name

    def bind_processor(self, _dialect: sa.Dialect) -> Any:
        """From a list to its bytes."""
        oid, element = self.oid, self.element

        def pack(values: Sequence[Any]) -> Packed:
            if not values:
                return Packed(_NOTHING(0, 0, oid))
            nulls = None in values
            parts = [_NULL if value is None else element(value) for value in values]
            return Packed(_HEAD(1, nulls, oid, len(values), 1) + b"".join(parts))

        return pack


def array_of(column: sa.ColumnElement[Any]) -> ArrayOf:
    """The type for lists of this column's values."""
    for kind, name, oid, element in _KINDS:
        if isinstance(column.type, kind):
            return ArrayOf(name, oid, element)
    raise TypeError(f"no array of {column.type!r}")
