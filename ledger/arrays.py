"""Values, and lists of them as arrays, in PostgreSQL's binary form: the driver would look at each anew.

Invariant: the bytes of an array are those of `array_recv` in the server's source
(src/backend/utils/adt/arrayfuncs.c), one dimension from 1, each element behind its length; null is the length
-1. The type is the column's, said by the cast in the statement, never guessed from a value.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.types import UserDefinedType

_HEAD: Final = struct.Struct(">iiIii").pack
_NOTHING: Final = struct.Struct(">iiI").pack
_LENGTH: Final = struct.Struct(">i").pack
_NULL: Final = _LENGTH(-1)


def _elements(values: Sequence[bytes]) -> bytes:
    """Each behind its length."""
    lengths = set(map(len, values))
    if len(lengths) == 1:  # numbers, hashes, tags: their length stands between them as a separator would
        length = _LENGTH(lengths.pop())
        return length + length.join(values)
    return b"".join(chain.from_iterable(zip(map(_LENGTH, map(len, values)), values, strict=True)))


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a column's value is written; its array's name and the OID of its elements (pg_type.dat)."""

    value: Callable[[Any], bytes]
    array: str
    oid: int


_KINDS: Final[tuple[tuple[type[Any], _Kind], ...]] = (
    (sa.LargeBinary, _Kind(bytes, "BYTEA[]", 17)),
    (sa.String, _Kind(str.encode, "TEXT[]", 25)),
    (sa.BigInteger, _Kind(struct.Struct(">q").pack, "BIGINT[]", 20)),
    (sa.Integer, _Kind(struct.Struct(">i").pack, "INTEGER[]", 23)),
)


class ArrayOf(UserDefinedType[Sequence[Any]]):
    """The type of a parameter that holds a list of a column's values."""

    cache_ok = True
    render_bind_cast = True

    def __init__(self, name: str, oid: int, value: Callable[[Any], bytes]) -> None:
        self.name, self.oid, self.value = name, oid, value

    def get_col_spec(self, **_: Any) -> str:
        """As SQL has it."""
        return self.name

    def pack(self, values: Sequence[Any]) -> bytes:
        """From a list to its bytes."""
        if not values:
            return _NOTHING(0, 0, self.oid)
        if None not in values:
            return _HEAD(1, 0, self.oid, len(values), 1) + _elements(list(map(self.value, values)))
        parts = [_NULL if value is None else _elements((self.value(value),)) for value in values]
        return _HEAD(1, 1, self.oid, len(values), 1) + b"".join(parts)


def array_of(column: sa.ColumnElement[Any]) -> ArrayOf:
    """The type for lists of this column's values."""
    kind = _kind(column.type)
    return ArrayOf(kind.array, kind.oid, kind.value)


def binary_of(type_: Any) -> Callable[[Any], bytes]:
    """How a value of a parameter of this type is written: a column's type, or `ArrayOf` one."""
    return type_.pack if isinstance(type_, ArrayOf) else _kind(type_).value


def _kind(type_: Any) -> _Kind:
    for of, kind in _KINDS:
        if isinstance(type_, of):
            return kind
    raise TypeError(f"no binary form for {type_!r}")
