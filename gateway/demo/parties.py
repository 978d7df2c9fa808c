"""Everybody who takes part in the story, with keys that the gateway never sees.

Invariant: each private key is made here, by its owner, and written once into a folder of the owner's own
(mode 0700, files 0600), so that a stranger can go on with `chengxin` commands where the story ends. The
gateway is handed public keys and certificates only.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from consent.counter import Order, SignedOrder, join_order, make_order, sign_order
from consent.enrolment import (
    OfficerCertificate,
    draft_enrolment,
    format_certificate,
    make_certificate,
    officer_sign,
    sign_officer,
)
from gateway.client.keyfile import write_jwk, write_private_key, write_public_key
from gateway.demo.people import Person, synthetic_uscc
from gateway.house import House
from gateway.institutions.register import NewInstitution, add_institution, add_operator
from keys.sealing import generate_x25519
from keys.signing import Jwk, PrivateKey, generate_key, parse_public_jwk

DAY_MS: Final = 86_400_000
OFFICERS: Final = ("officer-a", "officer-b")


@dataclass(frozen=True, slots=True)
class Name:
    """What an institution is called, in the languages of the story; registered under both."""

    uscc: str
    en: str
    zh: str

    @property
    def registered(self) -> str:
        """The name that the gateway holds and every notice shows."""
        return f"{self.zh} {self.en}"


REGULATOR: Final = Name(synthetic_uscc(0), "Demo Regulator", "示范监管局")
# The code that the demo's mapping names as the source of its file.
SOURCE: Final = Name(synthetic_uscc(1), "Demo Loan Register", "示范信贷登记中心")
REGISTRAR: Final = Name(synthetic_uscc(2), "Demo Identity Office", "示范身份核验中心")
BANK: Final = Name(synthetic_uscc(3), "Demo Bank", "示范银行")
COURT: Final = Name(synthetic_uscc(4), "Demo Court", "示范法院")
"""Takes part in the chapter of the statute only."""

PARTIES: Final = (REGULATOR, REGISTRAR, BANK, SOURCE)


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """Where the keys lie that commands and verifiers are given."""

    regulator: Path
    registrar_public: Path
    operator: Path
    vkey: Path


@dataclass(frozen=True, slots=True)
class Registrar:
    """The registrar's key and its two officers' keys."""

    key: PrivateKey
    officers: tuple[PrivateKey, PrivateKey]

    def certify(self, gateway: str, citizen_number: str, key: PrivateKey, at: int, wait: int = 0) -> bytes:
        """The certificate that `key` is this person's and may act `wait` ms after `at`: two officers, each
        certified by the registrar.
        """
        document = draft_enrolment(
            gateway=gateway,
            citizen_number=citizen_number,
            citizen_key=parse_public_jwk(key.jwk),
            assurance="in-person",
            registrar=REGISTRAR.uscc,
            officers=OFFICERS,
            at=at,
            salt=os.urandom(16),
            effective=at + wait,
        )
        first, second = self.officers
        signatures = (officer_sign(document, first), officer_sign(document, second))
        return format_certificate(make_certificate(document, signatures, self._certified(at)))

    def order(
        self, kind: type[Order], gateway: str, citizen_number: str, at: int, **members: str
    ) -> SignedOrder:
        """What two officers order at the counter for the person before them; `members` are of its kind."""
        order = make_order(
            kind,
            gateway=gateway,
            citizen_number=citizen_number,
            registrar=REGISTRAR.uscc,
            officers=OFFICERS,
            at=at,
            salt=os.urandom(16),
            **members,
        )
        first, second = self.officers
        return join_order(order, (sign_order(order, first), sign_order(order, second)), self._certified(at))

    def _certified(self, at: int) -> tuple[str, str]:
        first, second = self.officers
        return self._officer(OFFICERS[0], first, at), self._officer(OFFICERS[1], second, at)

    def _officer(self, name: str, key: PrivateKey, at: int) -> str:
        made = OfficerCertificate(
            registrar=REGISTRAR.uscc,
            officer=name,
            jwk=key.jwk,
            not_before=at - DAY_MS,
            not_after=at + 365 * DAY_MS,
        )
        return sign_officer(made, self.key)


@dataclass(frozen=True, slots=True)
class Cast:
    """The institutions' keys, and where each was written."""

    registrar: Registrar
    operator: PrivateKey
    files: KeyFiles


@dataclass(frozen=True, slots=True)
class Citizen:
    """An invented person with a key of their own, its certificate, and the folder that holds both."""

    person: Person
    key: PrivateKey
    certificate: bytes
    folder: Path


def make_cast(house: House, keys: Path, vkey: str) -> Cast:
    """Make everybody's keys, register regulator, registrar, bank, its operator, and the source."""
    folder = {name: _folder(keys, name) for name in ("regulator", "registrar", "bank", "gateway")}
    registrar = Registrar(_new_key(), (_new_key(), _new_key()))
    _keep(folder["registrar"], "registrar", registrar.key)
    for name, key in zip(OFFICERS, registrar.officers, strict=True):
        _keep(folder["registrar"], name, key)
    operator = _new_key()
    operator_file = _keep(folder["bank"], "operator", operator)
    sealing_private, sealing_public = generate_x25519(os.urandom)
    regulator_file = folder["regulator"] / "regulator.jwk"
    write_jwk(regulator_file, sealing_private)
    write_jwk(_public(regulator_file), sealing_public)
    vkey_file = folder["gateway"] / "vkey.txt"
    vkey_file.write_text(f"{vkey}\n", "utf-8")
    _register(house, registrar.key, sealing_public, operator)
    files = KeyFiles(regulator_file, _public(folder["registrar"] / "registrar.jwk"), operator_file, vkey_file)
    return Cast(registrar, operator, files)


def _register(house: House, registrar: PrivateKey, regulator: Jwk, operator: PrivateKey) -> None:
    key = parse_public_jwk(registrar.jwk)
    for new in (
        NewInstitution(
            REGULATOR.uscc, REGULATOR.registered, "regulator", ("audit",), regulator_key=regulator
        ),
        NewInstitution(REGISTRAR.uscc, REGISTRAR.registered, "registrar", ("registrar",), registrar_key=key),
        NewInstitution(BANK.uscc, BANK.registered, "finance", ("query",)),
        NewInstitution(SOURCE.uscc, SOURCE.registered, "source", ("source",)),
    ):
        add_institution(house, new)
    add_operator(house, BANK.uscc, parse_public_jwk(operator.jwk), ["query"])


def make_citizen(
    keys: Path, number: int, person: Person, registrar: Registrar, gateway: str, at: int
) -> Citizen:
    """A citizen makes a key; the registrar certifies it at `at` (ms). All of it goes into one folder."""
    folder = _folder(keys / "citizens", f"{number:02d}")
    key = _new_key()
    _keep(folder, "citizen", key)
    certificate = registrar.certify(gateway, person.citizen_number, key, at)
    write_private_file(folder / "certificate.json", certificate + b"\n")
    write_private_file(folder / "person.txt", f"{person.citizen_number}\n{person.name}\n".encode())
    return Citizen(person, key, certificate, folder)


def write_private_file(path: Path, data: bytes) -> None:
    """A new file that only its owner reads (mode 0600)."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def _folder(keys: Path, name: str) -> Path:
    for path in (keys, keys / name):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return keys / name


def _new_key() -> PrivateKey:
    return generate_key("Ed25519", os.urandom)


def _keep(folder: Path, name: str, key: PrivateKey) -> Path:
    path = folder / f"{name}.jwk"
    write_private_key(path, key)
    write_public_key(_public(path), key)
    return path


def _public(private: Path) -> Path:
    return private.with_name(f"{private.name}.pub")
