"""crud: what the usual system does today. Flask, an ORM, rows in clear, and no protection at all.

Nobody is authenticated, no consent is checked, nothing is written down.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, jsonify, request
from sqlalchemy import Engine, ForeignKey, select
from sqlalchemy.dialects.postgresql import JSONB, UUID
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from gateway.house import wall_clock
from keys.instant import format_instant
from tests.bench.opponents.data import Config, answer, read_request


class Base(DeclarativeBase):
    """The tables of `data.TABLES`."""


class Person(Base):
    __tablename__ = "people"
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str]
    name: Mapped[str]


class Consent(Base):
    __tablename__ = "consents"
    id: Mapped[str] = mapped_column(UUID(as_uuid=False), primary_key=True)
    person_id: Mapped[int] = mapped_column("person", ForeignKey("people.id"))
    person: Mapped[Person] = relationship(lazy="joined")


class Record(Base):
    __tablename__ = "records"
    id: Mapped[int] = mapped_column(primary_key=True)
    person: Mapped[int]
    category: Mapped[str]
    source: Mapped[str]
    reference: Mapped[str]
    occurred_on: Mapped[str]
    reported_on: Mapped[str]
    adverse: Mapped[bool]
    fields: Mapped[dict[str, Any]] = mapped_column(JSONB)

    def members(self) -> dict[str, Any]:
        return {
            "category": self.category,
            "source": self.source,
            "reference": self.reference,
            "occurred_on": self.occurred_on,
            "reported_on": self.reported_on,
            "adverse": self.adverse,
            "fields": self.fields,
        }


def create_app(config: Config, engine: Engine) -> Flask:
    """The application; one session a request."""
    app = Flask("crud")
    app.json.ensure_ascii = False  # type: ignore[attr-defined]  # the same bytes as everybody's
    app.json.compact = True  # type: ignore[attr-defined]

    @app.get("/readyz")
    def ready() -> str:
        return "ok"

    @app.post("/v1/queries")
    def query() -> Response:
        named, consent, purpose, categories = read_request(request.get_data())
        with Session(engine) as session:
            person = session.get_one(Consent, consent).person
            found = session.scalars(
                select(Record)
                .where(Record.person == person.id, Record.category.in_(categories))
                .order_by(Record.occurred_on, Record.reference)
            )
            rows = [(record.category, record.members()) for record in found]
        at = format_instant(wall_clock())
        return jsonify(answer(named, purpose, at, categories, rows, config.receipt))

    return app
