"""The consents that the sandbox's people give, each in the state that a scenario needs.

Invariant: every consent is asked for, signed and sent as any other, over HTTP; none is written by hand.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.client import Answer, BankClient, CitizenClient, Person, Pins, Terms, Wallet
from gateway.demo.stage import accepted
from gateway.sandbox.town import Town
from keys.instant import DAY

SOON_MS: Final = 6_000
"""How long the consent that expires is valid: long enough to be given on a busy machine."""

LOAN: Final = ("loan", "repayment")
ADVERSE: Final = ("enforcement", "judgment", "penalty", "repayment")
CLEAN_3Y: Final = "predicate:no-adverse-record-3y"


@dataclass(frozen=True, slots=True)
class Gateway:
    """The running sandbox as its clients see it."""

    url: str
    pins: Pins
    town: Town

    def bank(self, name: str) -> BankClient:
        """The client of one operator."""
        return BankClient(self.url, self.town.operators[name].key, self.pins.vkey, self.pins.receipt_key)

    def citizen(self, name: str) -> CitizenClient:
        """The client of one person."""
        return CitizenClient(self.url, self.town.people[name].key, self.pins.vkey, self.pins.receipt_key)


@dataclass(frozen=True, slots=True)
class Given:
    """One consent: whose it is and to which operator, by their names here, and what it allows."""

    consent_id: str
    person: str
    operator: str
    purpose: str
    categories: tuple[str, ...]
    answer: str


def enrol(gateway: Gateway) -> None:
    """Everybody but the unknown enrols their key."""
    for name, citizen in gateway.town.people.items():
        if name != "unknown":
            with gateway.citizen(name) as client:
                accepted(client.enrol(citizen.certificate, citizen.person.citizen_number))


def grant_all(gateway: Gateway, clock: Callable[[], int]) -> Mapping[str, Given]:
    """Consents by the name of their state. The one that expires is given first."""
    granted = {"expired": _grant(gateway, "bank", "clean", _loan(clock(), until=clock() + SOON_MS))}
    at = clock()
    granted |= {
        "live": _grant(gateway, "bank", "clean", _loan(at)),
        "live-nothing-held": _grant(gateway, "bank", "nothing", _loan(at)),
        "of-another-bank": _grant(gateway, "other-bank", "clean", _loan(at)),
        "used-up": _grant(gateway, "bank", "clean", _loan(at, uses=1)),
        "withdrawn": _grant(gateway, "bank", "clean", _loan(at)),
        "not-yet": _grant(gateway, "bank", "clean", _loan(at, begins=at + DAY)),
        "yes-or-no-clean": _grant(gateway, "bank", "clean", _yes_or_no(at)),
        "yes-or-no-overdue": _grant(gateway, "bank", "overdue", _yes_or_no(at)),
    }
    _use(gateway, granted["used-up"].consent_id)
    _withdraw(gateway, "clean", granted["withdrawn"].consent_id)
    return granted


def _loan(at: int, *, begins: int | None = None, until: int | None = None, uses: int = 10) -> Terms:
    return _terms("02", LOAN, at if begins is None else begins, until or at + 30 * DAY, uses, "report")


def _yes_or_no(at: int) -> Terms:
    return _terms("61", ADVERSE, at, at + 30 * DAY, 3, CLEAN_3Y)


def _terms(
    purpose: str, categories: tuple[str, ...], begins: int, until: int, uses: int, answer: str
) -> Terms:
    return Terms(purpose, categories, begins, until, uses, 30, answer=answer, language="en")


def _grant(gateway: Gateway, bank: str, person: str, terms: Terms) -> Given:
    citizen = gateway.town.people[person]
    with gateway.bank(bank) as client:
        number = Person(citizen.person.citizen_number)
        asked = accepted(client.request_consent(str(uuid.uuid4()), number, terms))
    signed = Wallet(gateway.pins.vkey.name).sign_consent(asked.template, citizen.key)
    with gateway.citizen(person) as client_of_citizen:
        accepted(client_of_citizen.grant(signed))
    return Given(asked.consent_id, person, bank, terms.purpose, terms.categories, terms.answer)


def _use(gateway: Gateway, consent: str) -> None:
    with gateway.bank("bank") as client:
        answer: Answer = accepted(client.query(str(uuid.uuid4()), consent, "02", LOAN))
    if answer.receipt.decision != "disclosed":
        raise AssertionError("a fresh query is a first delivery")


def _withdraw(gateway: Gateway, person: str, consent: str) -> None:
    key = gateway.town.people[person].key
    body = Wallet(gateway.pins.vkey.name).sign_withdrawal_of(consent, gateway.pins.vkey.name, key)
    with gateway.citizen(person) as client:
        accepted(client.withdraw(body))
