"""Row evidence: a stored row counts only while it is what the ledger last said of it.

Invariant: every mutable row that a decision reads carries HMAC-SHA-256 (custody key `rows-1`) over
all its other columns and the hash of the leaf that last changed it, and that leaf must still be the
latest about the same thing. An edited row fails by its MAC; an old row put back with its old MAC
fails because a later leaf stands.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import sqlalchemy as sa

from gateway.errors import EvidenceBroken
from keys.custody import Custody
from keys.fields import length_prefixed
from ledger.exchange import Reading, alone
from ledger.fixed import Both, Call
from ledger.sets import both
from ledger.tables import ledger_leaves

ROW_KEY = "rows-1"

NAMED_BY: dict[str, tuple[str, ...]] = {
    "institutions": ("institution",),
    "operators": ("operator",),
    "citizen_keys": ("about",),
    "consent_requests": ("request",),
    "grants": ("consent",),
    "published_keys": ("use", "kid"),
    "pending_queries": ("institution", "query"),
    "custody_copies": ("copy",),
}
"""The columns that name a row in `about`, joined by colons."""


def about(table: sa.Table, key: str) -> str:
    """The name under which leaves speak of one row; the table's name keeps callers' ids apart."""
    return f"{table.name}:{key}"


def latest(conn: sa.Connection, about: str, shard: int) -> int | None:
    """Index of the newest leaf about a row, as `conn` sees it, or None."""
    leaves = ledger_leaves.c
    found: int | None = conn.scalar(
        sa.select(sa.func.max(leaves.idx)).where(leaves.shard == shard, leaves.about == about)
    )
    return found


def protect(custody: Custody, table: sa.Table, row: Mapping[str, Any], leaf_hash: bytes) -> dict[str, Any]:
    """The row with its `mac`, ready to be written after the leaf with `leaf_hash`."""
    return {**row, "mac": custody.mac(ROW_KEY, _encode(table, row, leaf_hash))}


def read_evident(
    conn: sa.Connection, table: sa.Table, column: str, values: Iterable[Any], shard: int
) -> list[dict[str, Any]]:
    """The rows whose `column` is one of `values`, in one statement, in the order of their leaves.

    Each comes with `leaf_hash` of the leaf it names and `latest`, the index of the newest leaf about it.
    """
    return alone(conn, reading_evident(table, column, values, shard))


def reading_evident(
    table: sa.Table, column: str, values: Iterable[Any], shard: int
) -> Reading[list[dict[str, Any]]]:
    """The same as a reading, to be read with others."""
    found = yield Call(_select(table, column, shard), {"wanted": sorted(set(values))})
    return [row.as_dict() for row in found]


def read_named(
    conn: sa.Connection, table: sa.Table, names: Iterable[str], shard: int
) -> list[dict[str, Any]]:
    """As `read_evident`, the rows by their names in `about` (without the table's), a thousand at a time."""
    wanted, found = sorted(set(names)), list[dict[str, Any]]()
    column = NAMED_BY[table.name][0]
    for first in range(0, len(wanted), 1_000):
        some = set(wanted[first : first + 1_000])
        values = {name.partition(":")[0] for name in some}
        there = read_evident(conn, table, column, values, shard)
        found += [row for row in there if _name(table, row) in some]
    return found


def name_of(table: sa.Table, row: Mapping[str, Any]) -> str:
    """The name under which leaves speak of this row."""
    return about(table, _name(table, row))


def _name(table: sa.Table, row: Mapping[str, Any]) -> str:
    return ":".join(str(row[part]) for part in NAMED_BY[table.name])


@cache
def _select(table: sa.Table, column: str, shard: int) -> Both:
    """The statement of `read_evident`. Built once: building it costs more than running it."""
    leaf, newer = ledger_leaves.alias("leaf"), ledger_leaves.alias("newer")
    name: sa.ColumnElement[str] = sa.literal(f"{table.name}:")
    for position, part in enumerate(NAMED_BY[table.name]):
        name = (name.concat(":") if position else name).concat(table.c[part])
    latest = (
        sa.select(sa.func.max(newer.c.idx))
        .where(newer.c.shard == shard, newer.c.about == name)
        .scalar_subquery()
    )
    changed = table.c.changed_index
    leaf_hash = (
        sa.select(leaf.c.leaf_hash).where(leaf.c.shard == shard, leaf.c.idx == changed).scalar_subquery()
    )
    # A row of an earlier log, which was given up, stays with it: nothing here speaks of it.
    ours = table.c.shard >= shard if "shard" in table.c else sa.true()
    rows = (
        sa.select(table, leaf_hash.label("leaf_hash"), latest.label("latest")).where(ours).order_by(changed)
    )
    return both(lambda among: rows.where(among(table.c[column], "wanted")))


def is_evident(custody: Custody, table: sa.Table, row: Mapping[str, Any]) -> bool:
    """Whether a row that `read_evident` read is what the ledger last said of it."""
    leaf_hash, mac = row["leaf_hash"], row["mac"]
    if not isinstance(leaf_hash, bytes) or not isinstance(mac, bytes):
        return False
    if row["latest"] != row["changed_index"]:
        return False
    return hmac.compare_digest(custody.mac(ROW_KEY, _encode(table, row, leaf_hash)), mac)


def require_evident(custody: Custody, table: sa.Table, row: Mapping[str, Any]) -> None:
    """`EvidenceBroken` unless the row is what the ledger last said of it."""
    if not is_evident(custody, table, row):
        raise EvidenceBroken(f"a row of {table.name} is not what the ledger says of it")


def _encode(table: sa.Table, row: Mapping[str, Any], leaf_hash: bytes) -> bytes:
    """What is authenticated: every column in order; one that came later by its name, unless it is null.

    The later columns stand last, so that no two rows give the same parts.
    """
    name, first, later = _columns(table)
    parts = [name, leaf_hash, *[_bytes(row[column]) for column in first]]
    for column, called in later:
        value = row.get(column)
        if value is not None:
            parts += (called, _bytes(value))
    return length_prefixed(*parts)


@cache
def _columns(table: sa.Table) -> tuple[bytes, tuple[str, ...], tuple[tuple[str, bytes], ...]]:
    """The table's name; its columns but for the MAC; those that came later, with their names as bytes."""
    later = [column.name for column in table.columns if column.info.get("later")]
    first = tuple(name for name in _names(table) if name not in later)
    return table.name.encode(), first, tuple((name, name.encode()) for name in later)


def _bytes(value: object) -> bytes:
    """An injective encoding of the column types in use: the first byte tells them apart.

    What no column holds (SQLite keeps a fraction where an integer belongs) encodes as nothing we ever signed.
    """
    if isinstance(value, bytes):
        return b"b" + value
    if isinstance(value, str):
        return b"s" + value.encode()
    if isinstance(value, int):
        return b"i" + value.to_bytes(8, "big", signed=True)
    return b"n" if value is None else b"?"


def columns_of(table: sa.Table, row: Mapping[str, Any]) -> dict[str, Any]:
    """Only the table's own columns of a row that `read_evident` read, without its MAC."""
    return {name: row[name] for name in _names(table)}


@cache
def _names(table: sa.Table) -> tuple[str, ...]:
    """The table's columns but for the MAC."""
    return tuple(column.name for column in table.columns if column.name != "mac")
