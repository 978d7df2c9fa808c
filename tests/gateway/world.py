"""A small world for tests: one gateway, a regulator, a registrar, banks, and citizens with keys of their own.

Everything is real: SQLite in a directory, or a database on this run's PostgreSQL (`tests.databases`),
custody on disk, Ed25519 keys, an HTTP server on a free loopback port, the importable clients. Only the clock
can be set, forward or back, by a test that says so.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from consent.policy import PolicyBundle
from gateway.client.bank import Answer, BankClient, Person, Terms
from gateway.client.citizen import CitizenClient
from gateway.client.reply import Refused
from gateway.client.wallet import Wallet
from gateway.demo.people import synthetic_uscc
from gateway.house import House
from gateway.http.app import create_app
from gateway.opening import open_house
from gateway.publishing import PublishingThread, vkey_of
from gateway.records.ingest import ingest
from gateway.records.rows import Record
from keys.notes import format_vkey
from keys.signing import PrivateKey, ed25519_public_key
from tests import databases
from tests.gateway.founding import (
    BANK,
    DAY_MS,
    OTHER_BANK,
    PASSPHRASE,
    REGISTRAR,
    REGULATOR,
    SOURCE,
    Parties,
    Registrar,
    SettableClock,
    copied,
    fresh_key,
    new_home,
    new_house,
    new_registrar,
    register,
    roomy_policy,
)
from tests.gateway.remembered import remembering, routes_remembered

__all__ = [
    "BANK",
    "DAY_MS",
    "OTHER_BANK",
    "PASSPHRASE",
    "REGISTRAR",
    "REGULATOR",
    "SOURCE",
    "Citizen",
    "Registrar",
    "SettableClock",
    "World",
    "fresh_key",
    "new_home",
    "new_house",
    "new_registrar",
    "new_world",
    "roomy_policy",
    "serving",
    "synthetic_uscc",
]


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  the name is the base's
        """Say nothing."""


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
        with remembering():
            return open_house(self.house.settings, self.clock)


@contextmanager
def new_world(
    home: Path,
    wrap: Callable[[Any], Any] | None = None,
    policy: PolicyBundle | None = None,
    **settings: Any,
) -> Iterator[World]:
    """A gateway on a free port with its parties registered; everything is ended on leaving."""
    clock = SettableClock()
    if policy is None and not settings:
        with copied(home, clock) as (house, parties), serving(house, wrap) as (publishing, server):
            yield _world(parties, house, publishing, server, clock)
        return
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
    with routes_remembered():
        app = create_app(house, publishing)
    server = make_server(
        "127.0.0.1", house.settings.port, wrap(app) if wrap else app, threaded=True, request_handler=_Quiet
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True)
    publishing.start()
    thread.start()
    try:
        yield publishing, server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        for handler in threading.enumerate():  # a request that nobody waits for may hold a connection yet
            if handler.name.endswith("(process_request_thread)"):
                handler.join(5)
        publishing.stop()
        house.engine.dispose()
        house.custody.close()


def _people(
    house: House, publishing: PublishingThread, server: BaseWSGIServer, clock: SettableClock
) -> World:
    return _world(register(house), house, publishing, server, clock)


def _world(
    parties: Parties,
    house: House,
    publishing: PublishingThread,
    server: BaseWSGIServer,
    clock: SettableClock,
) -> World:
    registrar = Registrar(parties.registrar.key, dict(parties.registrar.officers))
    return World(
        house,
        publishing,
        server,
        clock,
        registrar,
        dict(parties.regulator_private),
        parties.bank_key,
        parties.other_key,
        dict(parties.operators),
    )
