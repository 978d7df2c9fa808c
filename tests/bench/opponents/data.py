"""The opponents' database: the same people, the same ten records each, in tables of their own.

`plain_*` are encrypted and audited by what a team would write first; the others are in clear. Everything has
the primary keys and indexes that its queries want, so that no opponent is slow for want of one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import jwt
import orjson
import psycopg
import sqlalchemy as sa
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.records.rows import Record, record_body
from tests import databases
from tests.bench.town import CATEGORIES, MOST_USES, OPERATORS, PURPOSE, Consented

TABLES: Final = """
CREATE TABLE people (id integer PRIMARY KEY, number text NOT NULL UNIQUE, name text NOT NULL);
CREATE TABLE consents (id uuid PRIMARY KEY, person integer NOT NULL REFERENCES people);
CREATE TABLE records (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, person integer NOT NULL REFERENCES people,
    category text NOT NULL, source text NOT NULL, reference text NOT NULL, occurred_on text NOT NULL,
    reported_on text NOT NULL, adverse boolean NOT NULL, fields jsonb NOT NULL);
CREATE INDEX ON records (person, category);
CREATE TABLE bodies (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, person integer NOT NULL REFERENCES people,
    category text NOT NULL, body bytea NOT NULL);
CREATE INDEX ON bodies (person, category);
CREATE TABLE plain_operators (id text PRIMARY KEY, institution text NOT NULL, public_key text NOT NULL);
CREATE TABLE plain_consents (
    id uuid PRIMARY KEY, person integer NOT NULL REFERENCES people, recipient text NOT NULL,
    public_key text NOT NULL, token text NOT NULL, uses integer NOT NULL, withdrawn boolean NOT NULL);
CREATE TABLE plain_records (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, person integer NOT NULL REFERENCES people,
    category text NOT NULL, body bytea NOT NULL);
CREATE INDEX ON plain_records (person, category);
CREATE TABLE plain_nonces (jti text PRIMARY KEY, expires bigint NOT NULL);
CREATE TABLE plain_head (id integer PRIMARY KEY, size bigint NOT NULL, hash bytea NOT NULL);
INSERT INTO plain_head VALUES (1, 0, '\\x');
CREATE TABLE plain_audit (idx bigint PRIMARY KEY, hash bytea NOT NULL, entry text NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Config:
    """What an opponent's process is told: where its tables are, what stands for a receipt, plain's keys."""

    host: str
    dbname: str
    user: str
    receipt: str
    fernet: str
    operators: dict[str, str]
    """Private keys (PEM) of plain's operators, for who sends requests; the server does not read them."""

    recipients: dict[str, str]
    """The institution of each operator."""

    @classmethod
    def read(cls, file: Path) -> Config:
        return cls(**json.loads(file.read_text()))

    def write(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self)))


def open_engine(config: Config, **options: Any) -> sa.Engine:
    """A pool large enough that no thread waits for a connection."""
    url = f"postgresql+psycopg://{config.user}@/{config.dbname}?host={config.host}"
    return sa.create_engine(url, pool_size=32, **options)


def read_request(body: bytes) -> tuple[str, str, str, list[str]]:
    """Query id, consent id, purpose and categories of a request's body."""
    asked: dict[str, Any] = orjson.loads(body)
    return asked["query_id"], asked["consent_id"], asked["purpose"], asked["categories"]


def answer(
    query: str,
    purpose: str,
    as_of: str,
    categories: Sequence[str],
    rows: Iterable[tuple[str, Any]],
    receipt: str,
) -> dict[str, Any]:
    """The same members as the gateway's reply; `rows` are (category, body) in the order they are shown."""
    found: dict[str, list[Any]] = {category: [] for category in categories}
    for category, body in rows:
        found[category].append(body)
    said = {
        "type": "chengxin/answer/v1",
        "query_id": query,
        "purpose": purpose,
        "as_of": as_of,
        "records": found,
    }
    return {"answer": said, "receipt": receipt}


@contextmanager
def database(postgres: databases.Postgres) -> Iterator[str]:
    """The name of an empty database beside the gateway's; dropped on leaving."""
    postgres.admin("CREATE DATABASE opponents TEMPLATE template0 ENCODING 'UTF8'")
    try:
        yield "opponents"
    finally:
        postgres.admin("DROP DATABASE opponents WITH (FORCE)")


def fill(
    postgres: databases.Postgres,
    name: str,
    consented: Sequence[Consented],
    records: Sequence[Record],
    receipt: str,
) -> Config:
    """Make and fill the tables in the database `name`; the answers carry `receipt`."""
    fernet = Fernet.generate_key()
    operators = {
        f"{bank}-{n}": bank for bank in sorted({one.bank for one in consented}) for n in range(OPERATORS)
    }
    keys = {operator: Ed25519PrivateKey.generate() for operator in operators}
    config = Config(
        host=str(postgres.server.sockets),
        dbname=name,
        user="postgres",
        receipt=receipt,
        fernet=fernet.decode(),
        operators={operator: _pem(key) for operator, key in keys.items()},
        recipients=operators,
    )
    with postgres.connect(name) as conn:
        conn.execute(TABLES)
        with conn.transaction(), conn.cursor() as cursor:
            _clear(cursor, consented, records)
            _plain(cursor, consented, records, Fernet(fernet))
            cursor.executemany(
                "INSERT INTO plain_operators VALUES (%s, %s, %s)",
                [(operator, operators[operator], _public(key)) for operator, key in keys.items()],
            )
        conn.execute("ANALYZE")
    return config


def _clear(cursor: psycopg.Cursor[Any], consented: Sequence[Consented], records: Sequence[Record]) -> None:
    ids = {one.number: n for n, one in enumerate(consented, 1)}
    names = {record.person: record.name for record in records}
    cursor.executemany(
        "INSERT INTO people VALUES (%s, %s, %s)", [(ids[number], number, names[number]) for number in ids]
    )
    cursor.executemany(
        "INSERT INTO consents VALUES (%s, %s)", [(one.consent, ids[one.number]) for one in consented]
    )
    for record in records:
        body = record_body(record)
        cursor.execute(
            "INSERT INTO records (person, category, source, reference, occurred_on, reported_on, adverse,"
            " fields) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            (
                ids[record.person], record.category, record.source, record.reference, body["occurred_on"],
                body["reported_on"], record.adverse, json.dumps(body["fields"]),
            ),
        )  # fmt: skip
        cursor.execute(
            "INSERT INTO bodies (person, category, body) VALUES (%s, %s, %s)",
            (ids[record.person], record.category, orjson.dumps(body, option=orjson.OPT_SORT_KEYS)),
        )


def _plain(
    cursor: psycopg.Cursor[Any], consented: Sequence[Consented], records: Sequence[Record], fernet: Fernet
) -> None:
    ids = {one.number: n for n, one in enumerate(consented, 1)}
    for one in consented:
        key = Ed25519PrivateKey.generate()
        said = {
            "sub": str(ids[one.number]), "aud": one.bank, "jti": one.consent, "exp": 4_000_000_000,
            "purpose": PURPOSE, "categories": list(CATEGORIES), "max_uses": MOST_USES,
        }  # fmt: skip
        cursor.execute(
            "INSERT INTO plain_consents VALUES (%s, %s, %s, %s, %s, 0, false)",
            (one.consent, ids[one.number], one.bank, _public(key), jwt.encode(said, key, "EdDSA")),
        )
    for record in records:
        body = orjson.dumps(record_body(record), option=orjson.OPT_SORT_KEYS)
        cursor.execute(
            "INSERT INTO plain_records (person, category, body) VALUES (%s, %s, %s)",
            (ids[record.person], record.category, fernet.encrypt(body)),
        )


def _pem(key: Ed25519PrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _public(key: Ed25519PrivateKey) -> str:
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
