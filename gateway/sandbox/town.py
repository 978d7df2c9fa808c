"""The sandbox's institutions and people, all invented, and the keys that a client under trial is given.

Invariant: the gateway is handed public keys and certificates only, as any gateway; every private key lies in
a folder of its owner's, so that whoever runs the sandbox can act as each of them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final

from gateway.client.keyfile import write_jwk, write_private_key, write_public_key
from gateway.demo.line import Line
from gateway.demo.parties import (
    BANK,
    OFFICERS,
    REGISTRAR,
    REGULATOR,
    SOURCE,
    Citizen,
    Name,
    Registrar,
    make_citizen,
)
from gateway.demo.people import Born, Person, synthetic_people, synthetic_uscc
from gateway.house import House
from gateway.institutions.register import NewInstitution, add_institution, add_operator
from gateway.records.ingest import ingest
from gateway.records.rows import Record, china_day
from keys.sealing import generate_x25519
from keys.signing import PrivateKey, generate_key, parse_public_jwk

SEED: Final = 20_261_122
"""The same people in every sandbox; their keys never are."""

OTHER_BANK: Final = Name(synthetic_uscc(4), "Sandbox Second Bank", "沙盒第二银行")
COURT: Final = Name(synthetic_uscc(5), "Sandbox Court", "沙盒法院")

Fields = Mapping[str, str | int]

PEOPLE: Final[Mapping[str, Line]] = MappingProxyType(
    {
        "clean": Line("A loan, repaid as agreed.", "有贷款，按约还款。"),
        "overdue": Line("A loan, once 120 days overdue.", "有贷款，曾逾期120天。"),
        "nothing": Line("Enrolled, and nothing is held.", "已登记，没有任何信息。"),
        "unknown": Line("Nobody whom the gateway knows.", "网关不认识的人。"),
    }
)
"""What is special about each person, by the name of their folder."""


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator (查询用户): opaque id, institution, and the private key that signs."""

    operator: str
    institution: str
    key: PrivateKey
    file: Path


@dataclass(frozen=True, slots=True)
class Town:
    """Everybody: operators and people by name; the public key files that a verifier pins."""

    operators: Mapping[str, Operator]
    people: Mapping[str, Citizen]
    regulator: Path
    registrar: Path


def settle(house: House, keys: Path) -> Town:
    """Register the institutions and their operators, store the records, and make everybody's keys."""
    registrar = Registrar(_new_key(), (_new_key(), _new_key()))
    regulator, registrar_file = _authorities(house, keys, registrar)
    for party, sector, roles in (
        (BANK, "finance", ("query",)),
        (OTHER_BANK, "finance", ("query",)),
        (COURT, "agency", ("query",)),
        (SOURCE, "source", ("source",)),
    ):
        add_institution(house, NewInstitution(party.uscc, party.registered, sector, roles))
    operators = {
        name: _operator(house, keys, name, party, role)
        for name, party, role in (
            ("bank", BANK, "query"),
            ("other-bank", OTHER_BANK, "query"),
            ("court-clerk", COURT, "query"),
            ("court-judge", COURT, "approve"),
        )
    }
    at = house.clock()
    invented = _invented(china_day(at))
    people = {
        name: make_citizen(keys, number, person, registrar, house.origin, at)
        for number, (name, person) in enumerate(invented.items(), start=1)
    }
    records = _records(invented, china_day(at))
    ingest(house, SOURCE.uscc, records, lambda _line: None)
    return Town(operators, people, regulator, registrar_file)


def _authorities(house: House, keys: Path, registrar: Registrar) -> tuple[Path, Path]:
    folder = _folder(keys, "registrar")
    for name, own in zip(("registrar", *OFFICERS), (registrar.key, *registrar.officers), strict=True):
        write_private_key(folder / f"{name}.jwk", own)
        write_public_key(folder / f"{name}.jwk.pub", own)
    private, public = generate_x25519(os.urandom)
    regulator = _folder(keys, "regulator") / "regulator.jwk"
    write_jwk(regulator, private)
    write_jwk(regulator.with_name("regulator.jwk.pub"), public)
    key = parse_public_jwk(registrar.key.jwk)
    for new in (
        NewInstitution(REGULATOR.uscc, REGULATOR.registered, "regulator", ("audit",), regulator_key=public),
        NewInstitution(REGISTRAR.uscc, REGISTRAR.registered, "registrar", ("registrar",), registrar_key=key),
    ):
        add_institution(house, new)
    return regulator, folder / "registrar.jwk.pub"


def _operator(house: House, keys: Path, name: str, party: Name, role: str) -> Operator:
    key = _new_key()
    file = _folder(keys, name) / "operator.jwk"
    write_private_key(file, key)
    write_public_key(file.with_name("operator.jwk.pub"), key)
    operator, _ = add_operator(house, party.uscc, parse_public_jwk(key.jwk), [role])
    return Operator(operator, party.uscc, key, file)


def _invented(today: date) -> dict[str, Person]:
    """The people by name; the same in every sandbox of the same day."""
    births = [Born(age, today) for age in (35, 42, 28, 61)]
    return dict(zip(PEOPLE, synthetic_people(SEED, births), strict=True))


def _records(people: Mapping[str, Person], today: date) -> list[Record]:
    """What the source reports: loans and how they were repaid."""
    lent, late = today - timedelta(days=700), today - timedelta(days=400)
    loan: Fields = {"purpose": "education", "amount": 2096, "currency": "CNY", "duration_months": 24}
    clean, overdue = people["clean"], people["overdue"]
    return [
        _record(clean, "S-1", "loan", lent, loan),
        _record(clean, "S-1", "repayment", lent, {"history": "all_paid_here"}),
        _record(overdue, "S-2", "loan", lent, loan),
        _record(
            overdue, "S-2", "repayment", late, {"history": "delay_in_the_past", "overdue_days": 120}, late
        ),
    ]


def _record(
    person: Person,
    reference: str,
    category: str,
    occurred: date,
    fields: Fields,
    told: date | None = None,
) -> Record:
    return Record(
        line=2,
        person=person.citizen_number,
        name=person.name,
        category=category,
        source=SOURCE.uscc,
        reference=f"{reference}/{category}",
        occurred_on=occurred,
        notified_on=told,
        reported_on=None,
        adverse=told is not None,
        fields=fields,
    )


def _folder(keys: Path, name: str) -> Path:
    (keys / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    return keys / name


def _new_key() -> PrivateKey:
    return generate_key("Ed25519", os.urandom)
