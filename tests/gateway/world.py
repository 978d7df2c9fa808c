"""A small world for tests: one gateway, a regulator, a registrar, banks, and citizens with keys of their own.

Everything is real: SQLite in a directory, or a database on this run's PostgreSQL (`tests.databases`),
custody on disk, Ed25519 keys, an HTTP server on a free loopback port, the importable clients. Only the clock
can be set, forward or back, by a test that says so.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from consent.enrolment import (
    OfficerCertificate,
    draft_enrolment,
    format_certificate,
    make_certificate,
    officer_sign,
    sign_officer,
)
from consent.policy import PolicyBundle, default_policy
from gateway.client.bank import Answer, BankClient, Person, Terms
from gateway.client.citizen import CitizenClient
from gateway.client.reply import Refused
from gateway.client.wallet import Wallet
from gateway.config import load_settings
from gateway.demo.people import synthetic_uscc
from gateway.house import House
from gateway.http.app import create_app
from gateway.institutions.register import NewInstitution, add_institution, add_operator
from gateway.opening import initialise, open_house
from gateway.publishing import PublishingThread, vkey_of
from gateway.records.ingest import ingest
from gateway.records.rows import Record
from keys.custody.file import create_file_custody
from keys.custody.sealed_file import LEAST
from keys.notes import format_vkey
from keys.sealing import generate_x25519
from keys.signing import PrivateKey, ed25519_public_key, generate_key, parse_public_jwk
from tests import databases

DAY_MS = 86_400_000
REGULATOR, REGISTRAR, BANK, OTHER_BANK, SOURCE = (synthetic_uscc(n) for n in range(5))
PASSPHRASE = b"a passphrase for tests, not for anything else\n"


class SettableClock:
    """The wall clock, moved by `offset` milliseconds."""

    def __init__(self) -> None:
        self.offset = 0

    def __call__(self) -> int:
        return time.time_ns() // 1_000_000 + self.offset


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  the name is the base's
        """Say nothing."""


@dataclass
class Registrar:
    """A registrar's keys, none of which the gateway has."""

    key: PrivateKey
    officers: dict[str, PrivateKey]

    def certify(
        self,
        gateway: str,
        citizen_number: str,
        key: PrivateKey,
        at: int,
        *,
        registrar: str = REGISTRAR,
        effective: int | None = None,
    ) -> bytes:
        """An enrolment certificate by two officers, as bytes."""
        first, second = sorted(self.officers)
        document = draft_enrolment(
            gateway=gateway,
            citizen_number=citizen_number,
            citizen_key=parse_public_jwk(key.jwk),
            assurance="in-person",
            registrar=registrar,
            officers=(first, second),
            at=at,
            effective=effective,
            salt=os.urandom(16),
        )
        return format_certificate(
            make_certificate(
                document,
                (officer_sign(document, self.officers[first]), officer_sign(document, self.officers[second])),
                (self._officer(first, registrar, at), self._officer(second, registrar, at)),
            )
        )

    def _officer(self, name: str, registrar: str, at: int) -> str:
        jwk = self.officers[name].jwk
        certificate = OfficerCertificate(
            registrar=registrar, officer=name, jwk=jwk, not_before=at - DAY_MS, not_after=at + 365 * DAY_MS
        )
        return sign_officer(certificate, self.key)


def new_registrar() -> Registrar:
    """A registrar with two officers and fresh keys."""
    return Registrar(fresh_key(), {"officer-a": fresh_key(), "officer-b": fresh_key()})


def fresh_key(alg: str = "Ed25519") -> PrivateKey:
    """A key pair nobody has."""
    return generate_key(alg, os.urandom)


@dataclass
class Citizen:
    """A synthetic person with a key that only they hold."""

    number: str
    name: str
    key: PrivateKey
    client: CitizenClient
    certificate: bytes


@dataclass
class World:
    """A running gateway and everybody around it."""

    house: House
    publishing: PublishingThread
    server: BaseWSGIServer
    clock: SettableClock
    registrar: Registrar
    regulator_private: dict[str, str]
    bank_key: PrivateKey
    other_key: PrivateKey
    wallet: Wallet = field(init=False)
    operators: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.wallet = Wallet(self.house.origin)

    @property
    def url(self) -> str:
        return self.house.settings.public_url

    def pins(self) -> dict[str, Any]:
        """What every client is given out of band: vkey and receipt key."""
        signer = self.house.receipts.signers[-1][1].name
        return {
            "vkey": format_vkey(vkey_of(self.house)),
            "receipt_key": ed25519_public_key(self.house.custody.public(signer)),
            "clock": self.clock,
        }

    def bank(self, key: PrivateKey | None = None) -> BankClient:
        """A client of one operator; the bank's own by default."""
        return BankClient(self.url, key or self.bank_key, **self.pins())

    def citizen(
        self, number: str, name: str = "测试", alg: str = "Ed25519", *, enrol: bool = True
    ) -> Citizen:
        """A person with a fresh key and certificate; enrolled unless told otherwise."""
        key = fresh_key(alg)
        certificate = self.registrar.certify(self.house.origin, number, key, self.clock())
        client = CitizenClient(self.url, key, **self.pins())
        if enrol:
            assert isinstance(client.enrol(certificate, number), int)
        return Citizen(number, name, key, client, certificate)

    def terms(self, **changes: Any) -> Terms:
        """Ordinary terms of purpose 02; any may be changed."""
        at = self.clock()
        usual: dict[str, Any] = {
            "purpose": "02",
            "categories": ("loan", "repayment"),
            "not_before": at - 1_000,
            "not_after": at + 30 * DAY_MS,
            "max_uses": 3,
            "retention_days": 30,
        }
        return Terms(**(usual | changes))

    def ask(self, citizen: Citizen, bank: BankClient | None = None, **changes: Any) -> Any:
        """A recorded request for this citizen's consent."""
        asked = (bank or self.bank()).request_consent(
            str(uuid.uuid4()), Person(citizen.number), self.terms(**changes)
        )
        assert not isinstance(asked, Refused), asked
        return asked

    def consent(self, citizen: Citizen, bank: BankClient | None = None, **changes: Any) -> str:
        """A granted consent; its id."""
        asked = self.ask(citizen, bank, **changes)
        granted = citizen.client.grant(self.wallet.sign_consent(asked.template, citizen.key))
        assert not isinstance(granted, Refused), granted
        return str(asked.consent_id)

    def query(self, consent: str, bank: BankClient | None = None, **changes: Any) -> Answer | Refused:
        """One query with a fresh id."""
        usual: dict[str, Any] = {
            "query_id": str(uuid.uuid4()),
            "consent_id": consent,
            "purpose": "02",
            "categories": ("loan", "repayment"),
        }
        return (bank or self.bank()).query(**(usual | changes))

    def withdraw(self, citizen: Citizen, consent: str) -> Any:
        """Withdraw one consent."""
        body = self.wallet.sign_withdrawal_of(consent, self.house.origin, citizen.key)
        return citizen.client.withdraw(body)

    def confirm(self, citizen: Citizen, consent: str) -> Any:
        """The citizen resumes a suspended consent."""
        seen = citizen.client.consent(consent)
        assert not isinstance(seen, Refused), seen
        body = self.wallet.sign_resumption(consent, seen["suspension"], self.house.origin, citizen.key)
        return citizen.client.resume(body)

    def import_records(self, records: list[Record]) -> Any:
        """Store records from the source."""
        return ingest(self.house, SOURCE, records, lambda _line: None)

    def reopen(self) -> House:
        """The same installation opened anew, as a second process would."""
        return open_house(self.house.settings, self.clock)


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def new_home(home: Path, **settings: Any) -> Any:
    """Settings of a fresh home with a passphrase; `settings` go into its config.toml."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "passphrase").write_bytes(PASSPHRASE)
    (home / "passphrase").chmod(0o600)
    lines = [f"{name} = {value!r}".replace("'", '"') for name, value in settings.items()]
    (home / "config.toml").write_text("\n".join(lines) + "\n")
    return load_settings(home)


def new_house(
    home: Path, clock: Callable[[], int] | None = None, policy: PolicyBundle | None = None, **settings: Any
) -> House:
    """A fresh installation, its passphrase stretched at the least cost that custody accepts."""
    # Tests forge by the hundred from one address; what limits that has tests of its own.
    usual = {"port": free_port(), "metrics_port": free_port(), "bad_signatures_per_minute": 100_000}
    chosen = new_home(home, **(usual | settings))
    quick = partial(create_file_custody, cost=LEAST)
    with (
        patch("gateway.custody.create_file_custody", quick),
        patch("gateway.provision.migrate", databases.migrated_once),
    ):
        return initialise(chosen, policy or roomy_policy(), clock or SettableClock())


def roomy_policy() -> PolicyBundle:
    """The demo's policy, its quotas far above what the tests of a module ask in a minute."""
    policy = default_policy(demo=True)
    roomy = tuple(msgspec.structs.replace(quota, limit=1_000_000) for quota in policy.quotas)
    return msgspec.structs.replace(policy, quotas=roomy)


@contextmanager
def new_world(
    home: Path,
    wrap: Callable[[Any], Any] | None = None,
    policy: PolicyBundle | None = None,
    **settings: Any,
) -> Iterator[World]:
    """A gateway on a free port with its parties registered; everything is ended on leaving."""
    clock = SettableClock()
    with databases.fresh() as where:
        house = new_house(home, clock, policy, **(where | settings))
        with serving(house, wrap) as (publishing, server):
            yield _people(house, publishing, server, clock)


@contextmanager
def serving(
    house: House, wrap: Callable[[Any], Any] | None = None
) -> Iterator[tuple[PublishingThread, BaseWSGIServer]]:
    """Publisher and HTTP server of a house; they and the house are ended on leaving."""
    publishing = PublishingThread(house)
    app = create_app(house, publishing)
    server = make_server(
        "127.0.0.1", house.settings.port, wrap(app) if wrap else app, threaded=True, request_handler=_Quiet
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    publishing.start()
    thread.start()
    try:
        yield publishing, server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        publishing.stop()
        house.engine.dispose()
        house.custody.close()


def _people(
    house: House, publishing: PublishingThread, server: BaseWSGIServer, clock: SettableClock
) -> World:
    private, public = generate_x25519(os.urandom)
    registrar = new_registrar()
    registrar_public = parse_public_jwk(registrar.key.jwk)
    for new in (
        NewInstitution(REGULATOR, "测试监管局", "regulator", ("audit",), regulator_key=public),
        NewInstitution(
            REGISTRAR, "测试核验中心", "registrar", ("registrar",), registrar_key=registrar_public
        ),
        NewInstitution(BANK, "测试银行", "finance", ("query",)),
        NewInstitution(OTHER_BANK, "另一银行", "finance", ("query",)),
        NewInstitution(SOURCE, "测试信源", "source", ("source",)),
    ):
        add_institution(house, new)
    world = World(house, publishing, server, clock, registrar, private, fresh_key(), fresh_key())
    for institution, key in ((BANK, world.bank_key), (OTHER_BANK, world.other_key)):
        operator, _ = add_operator(house, institution, parse_public_jwk(key.jwk), ["query"])
        world.operators[institution] = operator
    return world
