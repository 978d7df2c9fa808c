"""plain: what a competent team writes first to do the gateway's job, with the libraries everybody takes.

SQLAlchemy's ORM; Fernet for the encrypted column; PyJWT for the operator's request token (bound to the body
by its hash, with a `jti` that serves once) and for the citizen's consent token; a hash-chained audit log with
a commit for each entry under a row lock on its head, written before the answer leaves. Keys are parsed once
and kept. It does less than the gateway: no tree, no checkpoint, no receipt, no MAC over its rows, no quota,
no policy.
"""

from __future__ import annotations

import hashlib
import os
import time
from functools import lru_cache
from typing import Any

import jwt
import orjson
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from flask import Flask, Response, jsonify, request
from sqlalchemy import Engine, LargeBinary, select
from sqlalchemy.dialects.postgresql import UUID
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.types import TypeDecorator

from gateway.house import wall_clock
from keys.instant import format_instant
from tests.bench.opponents.data import Config, answer, read_request
from tests.bench.town import Consented, http_message, query_body

WINDOW_S = 60


class Base(DeclarativeBase):
    """The tables `plain_*` of `data.TABLES`."""


class Encrypted(TypeDecorator[bytes]):
    """A column under Fernet."""

    impl = LargeBinary
    cache_ok = True
    fernet: Fernet

    def process_bind_param(self, value: bytes | None, dialect: Any) -> bytes | None:
        return None if value is None else self.fernet.encrypt(value)

    def process_result_value(self, value: bytes | None, dialect: Any) -> bytes | None:
        return None if value is None else self.fernet.decrypt(value)


class Operator(Base):
    __tablename__ = "plain_operators"
    id: Mapped[str] = mapped_column(primary_key=True)
    institution: Mapped[str]
    public_key: Mapped[str]


class Consent(Base):
    __tablename__ = "plain_consents"
    id: Mapped[str] = mapped_column(UUID(as_uuid=False), primary_key=True)
    person: Mapped[int]
    recipient: Mapped[str]
    public_key: Mapped[str]
    token: Mapped[str]
    uses: Mapped[int]
    withdrawn: Mapped[bool]


class Record(Base):
    __tablename__ = "plain_records"
    id: Mapped[int] = mapped_column(primary_key=True)
    person: Mapped[int]
    category: Mapped[str]
    body: Mapped[bytes] = mapped_column(Encrypted)


class Nonce(Base):
    __tablename__ = "plain_nonces"
    jti: Mapped[str] = mapped_column(primary_key=True)
    expires: Mapped[int]


class Head(Base):
    __tablename__ = "plain_head"
    id: Mapped[int] = mapped_column(primary_key=True)
    size: Mapped[int]
    hash: Mapped[bytes]


class Audit(Base):
    __tablename__ = "plain_audit"
    idx: Mapped[int] = mapped_column(primary_key=True)
    hash: Mapped[bytes]
    entry: Mapped[str]


class Denied(Exception):
    """The request is not answered."""


_public = lru_cache(maxsize=100_000)(lambda pem: load_pem_public_key(pem.encode()))


def create_app(config: Config, engine: Engine) -> Flask:
    """The application; one session a request."""
    Encrypted.fernet = Fernet(config.fernet)
    app = Flask("plain")
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.json.compact = True  # type: ignore[attr-defined]

    @app.get("/readyz")
    def ready() -> str:
        return "ok"

    @app.errorhandler(Denied)
    def denied(error: Denied) -> tuple[Response, int]:
        return jsonify({"error": str(error)}), 403

    @app.post("/v1/queries")
    def query() -> Response:
        body = request.get_data()
        named, consent, purpose, categories = read_request(body)
        with Session(engine) as session:
            operator, claims = _authenticated(session, request.headers.get("Authorization", ""), body)
            granted = session.get(Consent, consent)
            if granted is None:
                raise Denied("no-consent")
            allowed = _allowed(granted, operator, purpose, categories)
            found = session.scalars(
                select(Record)
                .where(Record.person == granted.person, Record.category.in_(categories))
                .order_by(Record.id)
            )
            rows = [(record.category, orjson.loads(record.body)) for record in found]
            _record(session, granted, allowed, claims, operator, named)
        at = format_instant(wall_clock())
        return jsonify(answer(named, purpose, at, categories, rows, config.receipt))

    return app


def _authenticated(session: Session, header: str, body: bytes) -> tuple[Operator, dict[str, Any]]:
    """Who asks: the token's signature, its age, and that it is for this body."""
    token = header.removeprefix("Bearer ")
    try:
        operator = session.get(Operator, jwt.get_unverified_header(token)["kid"])
        if operator is None:
            raise Denied("unknown-key")
        claims = jwt.decode(
            token, _public(operator.public_key), ["EdDSA"], options={"require": ["exp", "jti"]}
        )
    except jwt.InvalidTokenError as error:
        raise Denied("bad-token") from error
    if claims.get("body") != hashlib.sha256(body).hexdigest():
        raise Denied("bad-token")
    return operator, claims


def _allowed(granted: Consent, operator: Operator, purpose: str, categories: list[str]) -> dict[str, Any]:
    """What the citizen signed, if it allows this."""
    try:
        said: dict[str, Any] = jwt.decode(
            granted.token, _public(granted.public_key), ["EdDSA"], audience=operator.institution
        )
    except jwt.InvalidTokenError as error:
        raise Denied("no-consent") from error
    if (
        said["jti"] != granted.id
        or said["purpose"] != purpose
        or not set(categories) <= set(said["categories"])
    ):
        raise Denied("no-consent")
    return said


def _record(
    session: Session,
    granted: Consent,
    allowed: dict[str, Any],
    claims: dict[str, Any],
    operator: Operator,
    query: str,
) -> None:
    """One entry, one commit, under the head's row lock: nonce, use count, withdrawal, chain."""
    head = session.get_one(Head, 1, with_for_update=True)
    session.refresh(granted, with_for_update=True)
    if granted.withdrawn or granted.uses >= allowed["max_uses"]:
        raise Denied("no-consent")
    granted.uses += 1
    entry = orjson.dumps(
        {
            "index": head.size, "previous": head.hash.hex(), "at": wall_clock(), "query": query,
            "consent": granted.id, "operator": operator.id, "institution": operator.institution,
        },
        option=orjson.OPT_SORT_KEYS,
    )  # fmt: skip
    hashed = hashlib.sha256(entry).digest()
    session.add(Audit(idx=head.size, hash=hashed, entry=entry.decode()))
    session.add(Nonce(jti=claims["jti"], expires=claims["exp"]))
    head.size, head.hash = head.size + 1, hashed
    try:
        session.commit()
    except IntegrityError as error:
        raise Denied("replayed") from error


def requests(config: Config, consented: tuple[Consented, ...], count: int) -> list[bytes]:
    """Requests as this gateway wants them, each with its own token; good for a minute."""
    keys = {name: load_pem_private_key(pem.encode(), None) for name, pem in config.operators.items()}
    of_bank: dict[str, list[str]] = {}
    for name, bank in config.recipients.items():
        of_bank.setdefault(bank, []).append(name)
    made = []
    for n in range(count):
        about = consented[n % len(consented)]
        signers = of_bank[about.bank]
        operator = signers[n // len(consented) % len(signers)]
        body = query_body(about)
        claims = {
            "exp": int(time.time()) + WINDOW_S,
            "jti": os.urandom(16).hex(),
            "body": hashlib.sha256(body).hexdigest(),
        }
        token = jwt.encode(claims, keys[operator], "EdDSA", headers={"kid": operator})  # type: ignore[arg-type]
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        made.append(http_message("POST", "/v1/queries", "localhost", headers, body))
    return made
