"""Whom the bench asks about: an installation on PostgreSQL with banks, operators, people, records and
consents.

Everything is made by the product's own ways in (registers, import, requests over HTTP with real signatures),
so what is measured is what an installation holds. The people are invented; about each there are ten records,
and an answer is about 3 KB.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import msgspec

from consent.policy import PolicyBundle, default_policy
from gateway.client.bank import BankClient, Person, Terms
from gateway.client.channel import new_http
from gateway.client.citizen import CitizenClient
from gateway.client.reply import Refused
from gateway.client.wallet import Wallet
from gateway.demo.people import Born, synthetic_people, synthetic_uscc
from gateway.house import wall_clock
from gateway.http.signature import TAG_INSTITUTION, sign_request
from gateway.institutions.register import NewInstitution, add_institution, add_operator
from gateway.publishing import vkey_of
from gateway.records.ingest import ingest
from gateway.records.rows import Record
from keys.canonical import b64u, canonical
from keys.notes import format_vkey
from keys.sealing import generate_x25519
from keys.signing import PrivateKey, ed25519_public_key, parse_public_jwk
from tests import databases
from tests.bench.serving import serving
from tests.gateway.world import DAY_MS, REGISTRAR, REGULATOR, SOURCE, fresh_key, new_house, new_registrar

BANKS: Final = (synthetic_uscc(11), synthetic_uscc(12))
OPERATORS: Final = 4
"""Of each bank."""

PURPOSE: Final = "02"
CATEGORIES: Final = ("employment", "guarantee", "housing_fund", "loan", "repayment", "residence")
MOST_USES: Final = 1000
"""Of one consent, at most, by the schema of a policy: as many queries as there are people, a thousand
times."""

JSON: Final = "application/json"
_WRITERS: Final = 8


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator (查询用户) with the key that signs."""

    bank: str
    key: PrivateKey


@dataclass(frozen=True, slots=True)
class Consented:
    """A person who consented: whom, under which id."""

    number: str
    bank: str
    consent: str


@dataclass(frozen=True, slots=True)
class Town:
    """A gateway, served by its real server, and what may be asked of it."""

    port: int
    url: str
    server: int
    """Process id of the server's parent."""

    operators: tuple[Operator, ...]
    consented: tuple[Consented, ...]
    records: tuple[Record, ...]
    home: Path
    settings: dict[str, str]

    def requests(self, count: int) -> list[bytes]:
        """Signed requests, whole HTTP messages, each with its own nonce and query id; good for a minute."""
        by_bank = {bank: [one for one in self.operators if one.bank == bank] for bank in BANKS}
        made = []
        for n in range(count):
            about = self.consented[n % len(self.consented)]
            signers = by_bank[about.bank]
            made.append(self._request(about, signers[n // len(self.consented) % len(signers)].key))
        return made

    def _request(self, about: Consented, key: PrivateKey) -> bytes:
        body = query_body(about)
        target, nonce = "/v1/queries", b64u(os.urandom(16))
        signed = sign_request(
            "POST", self.url + target, body, JSON, key, wall_clock() // 1000, nonce, TAG_INSTITUTION
        )
        return http_message("POST", target, self.url.partition("//")[2], signed, body)


def query_body(about: Consented) -> bytes:
    """What is asked about a person, with a query id of its own; the same for gateway and opponents."""
    return canonical(
        {
            "query_id": str(uuid.uuid4()),
            "consent_id": about.consent,
            "purpose": PURPOSE,
            "categories": list(CATEGORIES),
            "answer": "report",
        }
    )


def http_message(method: str, target: str, host: str, headers: dict[str, str], body: bytes) -> bytes:
    """The bytes of an HTTP/1.1 request."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def bench_policy() -> PolicyBundle:
    """The default policy, with room for as many uses and asks as a bench makes."""
    policy = default_policy(demo=True)
    return msgspec.structs.replace(
        policy,
        quotas=tuple(msgspec.structs.replace(quota, limit=10**9) for quota in policy.quotas),
        purposes=tuple(
            msgspec.structs.replace(one, max_uses=MOST_USES) if one.code == PURPOSE else one
            for one in policy.purposes
        ),
    )


@contextmanager
def new_town(
    postgres: databases.Postgres, home: Path, people: int = 300, workers: int = 2, **settings: Any
) -> Iterator[Town]:
    """Found the installation in `home`, start its server, settle everybody; all is ended on leaving."""
    with postgres.database() as name:
        where = postgres.settings(name)
        chosen: dict[str, Any] = {"workers": workers, "log_level": "warning", "host": "127.0.0.1"}
        house = new_house(home, wall_clock, bench_policy(), **(where | chosen | settings))
        try:
            registrar, operators = _institutions(house)
            invented = synthetic_people(5, [Born(30 + n % 30, date(2026, 1, 1)) for n in range(people)])
            records = [
                record for person in invented for record in ten_records(person.citizen_number, person.name)
            ]
            ingest(house, SOURCE, records, lambda _line: None)
            pins: dict[str, Any] = {
                "vkey": format_vkey(vkey_of(house)),
                "receipt_key": ed25519_public_key(house.custody.public(house.receipts.signers[-1][1].name)),
            }
            origin, port, url = house.origin, house.settings.port, house.settings.public_url
        finally:
            house.engine.dispose()
            house.custody.close()
        numbers = [person.citizen_number for person in invented]
        with serving(home, port) as server:
            base = f"http://127.0.0.1:{port}" if url.startswith("http://127.") else url
            settler = _Settler(base, origin, pins, registrar, operators)
            with ThreadPoolExecutor(_WRITERS) as pool:
                consented = tuple(pool.map(settler.settle, range(people), numbers))
            yield Town(port, url, server.pid, operators, consented, tuple(records), home, where)


def _institutions(house: Any) -> tuple[Any, tuple[Operator, ...]]:
    _, public = generate_x25519(os.urandom)
    registrar = new_registrar()
    certifier = parse_public_jwk(registrar.key.jwk)
    for new in (
        NewInstitution(REGULATOR, "压测监管局", "regulator", ("audit",), regulator_key=public),
        NewInstitution(REGISTRAR, "压测核验中心", "registrar", ("registrar",), registrar_key=certifier),
        NewInstitution(SOURCE, "压测信源", "source", ("source",)),
        *(NewInstitution(bank, f"压测银行{n}", "finance", ("query",)) for n, bank in enumerate(BANKS, 1)),
    ):
        add_institution(house, new)
    operators = tuple(Operator(bank, fresh_key()) for bank in BANKS for _ in range(OPERATORS))
    for one in operators:
        add_operator(house, one.bank, parse_public_jwk(one.key.jwk), ["query"])
    return registrar, operators


@dataclass(frozen=True, slots=True)
class _Settler:
    """Enrols a person and has them consent to a bank, through the API."""

    url: str
    origin: str
    pins: dict[str, Any]
    registrar: Any
    operators: Sequence[Operator]

    def settle(self, n: int, number: str) -> Consented:
        operator, key, at = self.operators[n % len(self.operators)], fresh_key(), wall_clock()
        with new_http() as http:
            asked = BankClient(self.url, operator.key, http=http, **self.pins).request_consent(
                str(uuid.uuid4()), Person(number), _terms(at)
            )
            assert not isinstance(asked, Refused), asked
            certificate = self.registrar.certify(self.origin, number, key, at)
            body = Wallet(self.origin).sign_consent(asked.template, key, certificate=certificate)
            granted = CitizenClient(self.url, key, http=http, **self.pins).grant(body)
            assert not isinstance(granted, Refused), granted
        return Consented(number, operator.bank, asked.consent_id)


def _terms(at: int) -> Terms:
    return Terms(
        purpose=PURPOSE,
        categories=CATEGORIES,
        not_before=at - 1_000,
        not_after=at + 30 * DAY_MS,
        max_uses=MOST_USES,
        retention_days=30,
    )


def ten_records(number: str, name: str) -> list[Record]:
    """What is held about a person: three loans, how they are repaid, and one record of four other kinds."""
    loan = {
        "purpose": "housing", "amount": 1_200_000, "currency": "CNY", "duration_months": 360,
        "existing_credits": 2, "other_instalment_plans": "none", "granted": "2019-05-06",
    }  # fmt: skip
    repayment = {"history": "paid_till_now", "overdue_days": 0, "overdue_amount": 0, "currency": "CNY"}
    said: list[tuple[str, dict[str, Any]]] = [
        *(("loan", loan | {"existing_credits": n}) for n in range(3)),
        *(("repayment", repayment) for _ in range(3)),
        (
            "employment",
            {"since": "over_7_years", "job": "skilled", "employer": "示例精密机械制造股份有限公司"},
        ),
        ("guarantee", {"parties": "co_applicant", "amount": 300_000, "currency": "CNY"}),
        ("housing_fund", {"state": "contributing", "months_paid": 128, "opened": "2015-03-01"}),
        ("residence", {"since_years": 9}),
    ]
    return [
        Record(
            line, number, name, category, SOURCE, f"B-{number[6:]}-{line:04d}/{category}",
            date(2020, 1 + line % 12, 2), None, date(2020, 1 + line % 12, 20), False, fields,
        )
        for line, (category, fields) in enumerate(said, 2)
    ]  # fmt: skip
