"""Tools of these tests: people with records and consents, and what a gateway knows of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from gateway.client.bank import Answer
from gateway.house import House
from gateway.people.subjects import find_by_number
from gateway.tables import data_keys
from tests.gateway import kit
from tests.gateway.world import Citizen, World


@dataclass
class Person:
    """A synthetic person with one loan on record and one consent of the bank's."""

    citizen: Citizen
    consent: str
    subject: bytes
    tag: bytes


def people(world: World, count: int, uses: int = 3) -> list[Person]:
    """So many people, their records imported, their consents granted."""
    numbers = [kit.person(serial) for serial in range(1, count + 1)]
    found = [kit.loan(number, f"R-{serial}") for serial, number in enumerate(numbers)]
    assert world.import_records(found).accepted == count
    return [_person(world, number, uses) for number in numbers]


def _person(world: World, number: str, uses: int) -> Person:
    citizen = world.citizen(number)
    consent = world.consent(citizen, max_uses=uses)
    with world.house.read() as conn:
        subject = find_by_number(world.house, conn, number)
    return Person(citizen, consent, subject.subject, subject.tag)


def told(world: World, person: Person) -> dict[str, Any]:
    """A person's own report, without what changes from one reading to the next."""
    found = person.citizen.client.report()
    assert isinstance(found, dict), found
    return {name: found[name] for name in ("person", "records", "consents")}


def loans(world: World, person: Person) -> Any:
    """What the bank is answered under the person's consent."""
    answer = world.query(person.consent)
    assert isinstance(answer, Answer), answer
    return answer.answer["records"]["loan"]


def epochs_of(house: House) -> set[int]:
    """The epochs under which data keys stand."""
    with house.read() as conn:
        return set(conn.scalars(sa.select(data_keys.c.epoch)))


def nothing(_done: int, _total: int) -> None:
    """A progress that nobody watches."""
