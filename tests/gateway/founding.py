"""An installation for a test, founded anew or copied from one that was founded before.

A world takes four tables of parties and a founding to set up, more than most tests take themselves. So a
world that asks for no settings and no policy of its own is a copy: its home, custody, log and database are
its own, its keys are those of every other copy of this run. Whoever asks for anything else is founded anew,
and `initialise` has its own tests.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import msgspec

from consent.enrolment import (
    OfficerCertificate,
    draft_enrolment,
    format_certificate,
    make_certificate,
    officer_sign,
    sign_officer,
)
from consent.policy import PolicyBundle, default_policy
from gateway.config import load_settings
from gateway.demo.people import synthetic_uscc
from gateway.house import House
from gateway.institutions.register import NewInstitution, add_institution, add_operator
from gateway.opening import initialise, open_house
from gateway.publishing import publish
from keys.custody.file import create_file_custody
from keys.custody.sealed_file import LEAST
from keys.sealing import generate_x25519
from keys.signing import PrivateKey, generate_key, parse_public_jwk
from tests import databases
from tests.gateway.remembered import remembering
from tests.ports import free_port

DAY_MS = 86_400_000
REGULATOR, REGISTRAR, BANK, OTHER_BANK, SOURCE = (synthetic_uscc(n) for n in range(5))
PASSPHRASE = b"a passphrase for tests, not for anything else\n"

_USUAL = {"bad_signatures_per_minute": 100_000}
"""Tests forge by the hundred from one address; what limits that has tests of its own."""


class SettableClock:
    """The wall clock, moved by `offset` milliseconds."""

    def __init__(self) -> None:
        self.offset = 0

    def __call__(self) -> int:
        return time.time_ns() // 1_000_000 + self.offset


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


def _ports() -> dict[str, int]:
    return {"port": free_port(), "metrics_port": free_port()}


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
    chosen = new_home(home, **(_ports() | _USUAL | settings))
    quick = partial(create_file_custody, cost=LEAST)
    with (
        patch("gateway.custody.create_file_custody", quick),
        patch("gateway.provision.migrate", databases.migrated_once),
        remembering(),
    ):
        return initialise(chosen, policy or roomy_policy(), clock or SettableClock())


def roomy_policy() -> PolicyBundle:
    """The demo's policy, its quotas far above what the tests of a module ask in a minute."""
    policy = default_policy(demo=True)
    roomy = tuple(msgspec.structs.replace(quota, limit=1_000_000) for quota in policy.quotas)
    return msgspec.structs.replace(policy, quotas=roomy)


@dataclass(frozen=True)
class Parties:
    """Who is registered in a world, with the keys that the gateway never sees; `operators` by institution."""

    registrar: Registrar
    regulator_private: dict[str, str]
    bank_key: PrivateKey
    other_key: PrivateKey
    operators: dict[str, str]


def register(house: House) -> Parties:
    """Register a regulator, a registrar, two banks with an operator each, and a source."""
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
    keys = {BANK: fresh_key(), OTHER_BANK: fresh_key()}
    operators = {
        bank: add_operator(house, bank, parse_public_jwk(key.jwk), ["query"])[0] for bank, key in keys.items()
    }
    return Parties(registrar, private, keys[BANK], keys[OTHER_BANK], operators)


@dataclass(frozen=True)
class _Founded:
    """An installation that nobody runs, to be copied: its home, its database, and its parties."""

    home: Path
    database: str
    parties: Parties


_FOUNDED: dict[str, _Founded] = {}
"""By engine; gone with the run's PostgreSQL at the end of this process."""
_COPIED = ("custody", "log", "outside")


def _founded() -> _Founded:
    """The installation to copy on the engine in use."""
    engine = databases.RUN.engine
    if engine not in _FOUNDED:
        closing = databases.RUN.closing
        home = Path(closing.enter_context(TemporaryDirectory(prefix="founded-"))) / "home"
        house = new_house(home, **closing.enter_context(databases.fresh()))
        parties = register(house)
        publish(house)
        _leave(house)
        _FOUNDED[engine] = _Founded(home, databases.name_of(house.settings.database_url), parties)
    return _FOUNDED[engine]


@contextmanager
def copied(home: Path, clock: Callable[[], int]) -> Iterator[tuple[House, Parties]]:
    """An installation of its own in `home`, opened on this clock, and its parties; the caller ends it."""
    founded = _founded()
    with databases.fresh(founded.database) as where:
        settings = new_home(home, **(_ports() | _USUAL | where))
        for part in _COPIED:
            shutil.copytree(founded.home / part, home / part)
        if settings.database_file is not None:
            shutil.copy(founded.home / settings.database_file.name, settings.database_file)
        with remembering():
            house = open_house(settings, clock)
        yield house, founded.parties


def _leave(house: House) -> None:
    house.engine.dispose()
    house.custody.close()
