"""A real log on a real SQLite file, with real keys: what the ledger's tests share."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from nacl.signing import SigningKey

from keys.notes import Vkey, make_vkey
from ledger.log import Appender, Draft, Entry, Head, lock_head, open_shard, read_head
from ledger.logkeys import LogKeys
from ledger.publish import Publisher
from ledger.rows import read_leaves
from ledger.tables import SQLITE_TRIGGERS, metadata
from ledger.tiles import TileDirectory

ORIGIN = "credit.example.cn/log0"
SHARD = 0
NOON = 1_795_248_000_000
POLICY = "5a" * 32
UUID = "3f0c1f3e-9a35-4a3b-8a53-0e6ef3d4a111"
BANK = {"institution": "91110000600037341L", "operator": "op-0123456789abcdef"}
SIGNING = SigningKey(b"a seed for tests, 32 bytes long.")
PUBLIC = bytes(SIGNING.verify_key)
VKEY: Vkey = make_vkey(ORIGIN, PUBLIC)
KEYS = LogKeys.only(VKEY)


def sign(message: bytes) -> bytes:
    return bytes(SIGNING.sign(message).signature)


class Counter:
    """Bytes that are never the same twice, and the same in every run."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, size: int) -> bytes:
        self.count += 1
        return hashlib.sha256(b"%d" % self.count).digest()[:size]


def seal(details: bytes, salt: bytes) -> tuple[str, bytes]:
    """Not secret at all, but bound to the salt as the real one is."""
    return UUID, salt + details[::-1]


def wrap(blob: bytes, sha256: str) -> bytes:
    return b"wrapped:" + bytes.fromhex(sha256) + blob


def engine(path: Path) -> sa.Engine:
    """SQLite as the house opens it: write-ahead log, full durability, transactions that lock at once."""
    made = sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool)

    @sa.event.listens_for(made, "connect")
    def _connected(raw: sqlite3.Connection, _: object) -> None:
        raw.isolation_level = None
        raw.execute("PRAGMA journal_mode=WAL")

    @sa.event.listens_for(made, "begin")
    def _begun(conn: sa.Connection) -> None:
        conn.exec_driver_sql("BEGIN IMMEDIATE")

    with made.begin() as conn:
        if not sa.inspect(conn).get_table_names():
            metadata.create_all(conn)
            for trigger in SQLITE_TRIGGERS:
                conn.exec_driver_sql(trigger)
            open_shard(conn, SHARD)
    return made


OPENED = Draft("log.opened", {"origin": ORIGIN})


def refused(tag: bytes, **members: Any) -> Draft:
    """The simplest leaf about a person."""
    body = {"query": UUID, "reason": "no-consent", "purpose": "02"}
    return Draft("query.refused", body, tag=tag, by=BANK, **members)


@dataclass
class Log:
    """One log in a directory, with its writer and publisher."""

    path: Path
    engine: sa.Engine
    random: Counter
    now: int = NOON

    @property
    def begin(self) -> Any:
        return self.engine.begin

    @property
    def publisher(self) -> Publisher:
        return Publisher(
            SHARD,
            ORIGIN,
            self.engine.begin,
            self.engine.begin,
            TileDirectory(self.path / "public"),
            lambda _vkey, message: sign(message),
            lambda _conn: KEYS,
            self.path / "outside" / "checkpoint",
            self.path / "public" / "checkpoint",
        )

    @contextmanager
    def appending(self) -> Iterator[Appender]:
        """One transaction around an appender, flushed and committed at its end."""
        with self.engine.begin() as conn:
            head = lock_head(conn, SHARD)
            self.now = max(self.now + 1, head.at)
            log = Appender(conn, SHARD, ORIGIN, head, self.now, POLICY, self.random, seal, wrap)
            yield log
            log.flush()

    def append(self, *drafts: Draft) -> list[Entry]:
        with self.appending() as log:
            return [log.append(draft) for draft in drafts]

    def grow(self, count: int) -> None:
        """Refusals about a few people, after the opening leaf."""
        with self.appending() as log:
            for number in range(count):
                log.append(OPENED if log.head.size == 0 else refused(b"%016d" % (number % 5)))

    def head(self) -> Head:
        with self.engine.begin() as conn:
            return lock_head(conn, SHARD)

    def leaves(self) -> list[bytes]:
        with self.engine.begin() as conn:
            return list(read_leaves(conn, SHARD, 0, read_head(conn, SHARD).size))


def new_log(path: Path) -> Log:
    path.mkdir(parents=True, exist_ok=True)
    return Log(path, engine(path / "ledger.db"), Counter())
