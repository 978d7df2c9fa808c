"""What a bank may ask that knows nothing: consents of nobody and of others, persons known and unknown.

Invariant: bodies of one kind are of one length, whomever they name.
"""

from __future__ import annotations

import uuid
from datetime import date
from itertools import count
from typing import Any

from gateway.demo.people import Born, synthetic_people
from gateway.records.rows import Record
from keys.instant import format_instant
from tests.attacks.seen import Case, Got, send
from tests.gateway.world import DAY_MS, SOURCE, World

_PEOPLE = [
    one
    for one in synthetic_people(29, [Born(40, date(2025, 6, 1))] * 1500)
    if len(one.name) == 3  # so that a body about one person is as long as about another
]
_NEXT = count()


def person() -> Any:
    """Somebody nobody has heard of."""
    return _PEOPLE[next(_NEXT)]


def record(one: Any) -> Record:
    fields: dict[str, str | int] = {
        "purpose": "education",
        "amount": 2096,
        "currency": "DEM",
        "duration_months": 12,
    }
    day, reference = date(2020, 1, 2), f"R-{one.citizen_number}"
    return Record(2, one.citizen_number, one.name, "loan", SOURCE, reference, day, None, None, False, fields)


# --- consents that a query may name


def absent(_: World) -> str:
    """A consent that was never given: a random id."""
    return str(uuid.uuid4())


def anothers(world: World) -> str:
    """A live consent, given to another bank by somebody with records."""
    one = person()
    world.import_records([record(one)])
    return world.consent(world.citizen(one.citizen_number), world.bank(world.other_key))


def anothers_withdrawn(world: World) -> str:
    """A consent that was given to another bank and taken back."""
    citizen = world.citizen(person().citizen_number)
    consent = world.consent(citizen, world.bank(world.other_key))
    world.withdraw(citizen, consent)
    return consent


def only_asked_for(world: World) -> str:
    """What this bank asked for and nobody has answered."""
    citizen = world.citizen(person().citizen_number)
    return str(world.ask(citizen).consent_id)


def nobody_is_named(_: World) -> dict[str, object]:
    return {}


def unknown_person_is_named(_: World) -> dict[str, object]:
    return {"person_check": {"citizen_number": person().citizen_number}}


def unknown_person_is_named_in_full(_: World) -> dict[str, object]:
    one = person()
    return {"person_check": {"citizen_number": one.citizen_number, "name": one.name}}


def known_person_is_named(world: World) -> dict[str, object]:
    one = person()
    world.import_records([record(one)])
    return {"person_check": {"citizen_number": one.citizen_number}}


def known_person_is_named_in_full(world: World) -> dict[str, object]:
    one = person()
    world.import_records([record(one)])
    world.citizen(one.citizen_number)
    return {"person_check": {"citizen_number": one.citizen_number, "name": one.name}}


def query(world: World, consent: str, check: dict[str, object]) -> Case:
    def ask() -> Got:
        body = {
            "query_id": str(uuid.uuid4()),
            "consent_id": consent,
            "purpose": "02",
            "categories": ["loan", "repayment"],
            "answer": "report",
        } | check
        return send(world, "POST", "/v1/queries", body)

    return ask


# --- persons that a request may name


def unknown(_: World) -> Any:
    return person()


def imported(world: World) -> Any:
    one = person()
    world.import_records([record(one)])
    return one


def enrolled_without_records(world: World) -> Any:
    """Somebody of whom the gateway has a number and a key, and no name."""
    one = person()
    world.citizen(one.citizen_number)
    return one


def enrolled(world: World) -> Any:
    one = imported(world)
    world.citizen(one.citizen_number)
    return one


def enrolled_with_consents(world: World) -> Any:
    """Somebody who gave this very bank what it asks for again."""
    one = imported(world)
    world.consent(world.citizen(one.citizen_number))
    return one


def request(world: World, one: Any, at: int, categories: list[str], named: bool) -> Case:
    def ask() -> Got:
        body = {
            "request_id": str(uuid.uuid4()),
            "person": {"citizen_number": one.citizen_number} | ({"name": one.name} if named else {}),
            "purpose": "02",
            "categories": categories,
            "answer": "report",
            "not_before": format_instant(at),
            "not_after": format_instant(at + 30 * DAY_MS),
            "max_uses": 1,
            "retention_days": 30,
            "language": "zh-CN",
        }
        return send(world, "POST", "/v1/consent-requests", body)

    return ask


def look(world: World, path: str) -> Case:
    return lambda: send(world, "GET", path)
