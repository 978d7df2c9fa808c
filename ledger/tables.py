"""Tables of the ledger, on one metadata that the gateway's migrations read.

Invariant: rows of `ledger_leaves` are only ever inserted. Triggers refuse UPDATE and DELETE there, which
stops mistakes; what stops an insider is the hash chain under checkpoints that others keep. On PostgreSQL the
triggers stand in migration 0001 and refuse TRUNCATE too, and the gateway's role could not do any of it.

Every table carries the shard (the log), so that a distributed PostgreSQL can place a person's rows together.
Column types exist on SQLite and PostgreSQL alike. `at` is milliseconds since the Unix epoch, hashes and tags
are raw bytes.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

metadata: Final = MetaData()

ledger_head: Final = Table(
    "ledger_head",
    metadata,
    Column("shard", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("leaf_hash", LargeBinary(32), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("mac", LargeBinary(32)),
    comment="one row per log: its size, its last leaf's hash and time; locking this row is the write lock",
)

ledger_leaves: Final = Table(
    "ledger_leaves",
    metadata,
    Column("shard", Integer, primary_key=True, autoincrement=False),
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("leaf", LargeBinary, nullable=False),
    Column("leaf_hash", LargeBinary(32), nullable=False),
    Column("type", Text, nullable=False),
    Column("tag", LargeBinary(16), nullable=True),
    Column("n", BigInteger, nullable=True),
    Column("about", Text, nullable=True),
    UniqueConstraint("shard", "tag", "n"),
    Index("ledger_leaves_about", "shard", "about", "idx"),
    comment="canonical leaves; the other columns are copies for searching and are never believed",
)

ledger_subjects: Final = Table(
    "ledger_subjects",
    metadata,
    Column("shard", Integer, primary_key=True, autoincrement=False),
    Column("tag", LargeBinary(16), primary_key=True),
    Column("n", BigInteger, nullable=False),
    Column("leaf_hash", LargeBinary(32), nullable=False),
    comment="the head of each person's chain",
)

ledger_sealed: Final = Table(
    "ledger_sealed",
    metadata,
    Column("shard", Integer, primary_key=True, autoincrement=False),
    Column("sha256", LargeBinary(32), primary_key=True),
    Column("idx", BigInteger, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("blob", LargeBinary, nullable=False),
    Index("ledger_sealed_leaf", "shard", "idx"),
    comment="details sealed to the regulator, wrapped under an epoch key; sha256 is of the unwrapped blob",
)

ledger_published: Final = Table(
    "ledger_published",
    metadata,
    Column("shard", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("note", LargeBinary, nullable=False),
    comment="the latest signed checkpoint, replaced by compare-and-swap on its size",
)

auditor_shards: Final = Table(
    "auditor_shards",
    metadata,
    Column("login", Text, primary_key=True),
    Column("shard", Integer, primary_key=True, autoincrement=False),
    comment="which logs an auditor's login may read (PostgreSQL, row-level security)",
)

REFUSE_UPDATE: Final = """CREATE TRIGGER ledger_leaves_refuse_update BEFORE UPDATE ON ledger_leaves
BEGIN SELECT RAISE(ABORT, 'a leaf of the ledger never changes'); END"""
REFUSE_DELETE: Final = """CREATE TRIGGER ledger_leaves_refuse_delete BEFORE DELETE ON ledger_leaves
BEGIN SELECT RAISE(ABORT, 'a leaf of the ledger is never deleted'); END"""
REFUSE_REPLACE: Final = """CREATE TRIGGER ledger_leaves_refuse_replace BEFORE INSERT ON ledger_leaves
WHEN EXISTS (SELECT 1 FROM ledger_leaves
  WHERE shard = NEW.shard AND (idx = NEW.idx OR (tag = NEW.tag AND n = NEW.n)))
BEGIN SELECT RAISE(ABORT, 'a leaf of the ledger is never replaced'); END"""
SQLITE_TRIGGERS: Final = (REFUSE_UPDATE, REFUSE_DELETE, REFUSE_REPLACE)
"""DDL for SQLite, one each. The third is for `INSERT OR REPLACE`, which deletes without firing the second."""
