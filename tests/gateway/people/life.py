"""A citizen's keys over years, and a counter: what the tests of this room share."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

from consent.counter import (
    CounterListing,
    CounterRevocation,
    CounterWithdrawal,
    Order,
    SignedOrder,
    join_order,
    make_order,
    sign_order,
)
from consent.enrolment import OfficerCertificate, sign_officer
from gateway.client.channel import new_http
from gateway.client.citizen import CitizenClient
from gateway.client.counter import CounterClient
from gateway.client.reply import Refused
from gateway.client.wallet import Wallet
from keys.instant import HOUR
from keys.signing import PrivateKey
from tests.gateway.world import DAY_MS, REGISTRAR, Citizen, Registrar, World, fresh_key

SECOND_MS = 72 * HOUR


def name_of(outcome: Any) -> str:
    """The name of the problem that an outcome is; fails when it is none."""
    assert isinstance(outcome, Refused), outcome
    return outcome.problem.name


def further_key(world: World, citizen: Citizen, *, alg: str = "Ed25519") -> Citizen:
    """The same person with another key, certified for as late as the policy asks; not yet enrolled."""
    key, at = fresh_key(alg), world.clock()
    certificate = world.registrar.certify(
        world.house.origin, citizen.number, key, at, effective=at + SECOND_MS
    )
    client = CitizenClient(world.url, key, **world.pins())
    return replace(citizen, key=key, client=client, certificate=certificate)


def enrolled(citizen: Citizen) -> Citizen:
    """That citizen, their key enrolled."""
    assert isinstance(citizen.client.enrol(citizen.certificate, citizen.number), int)
    return citizen


def second_key(world: World, citizen: Citizen) -> Citizen:
    """The same person with a second key that is in effect: the clock goes on by the wait."""
    made = enrolled(further_key(world, citizen))
    world.clock.offset += SECOND_MS + 1_000
    return made


def revoke(world: World, signer: Citizen, revoked: Citizen, cause: Any) -> Any:
    """What becomes of a revocation by one key of another, or of itself."""
    wallet = Wallet(world.house.origin)
    return signer.client.revoke(
        wallet.sign_revocation(revoked.key.kid, cause, world.house.origin, signer.key)
    )


def resume(world: World, citizen: Citizen, consent: str) -> Any:
    """What becomes of a resumption of the suspension that the citizen sees."""
    seen = citizen.client.consent(consent)
    assert isinstance(seen, dict), seen
    wallet = Wallet(world.house.origin)
    body = wallet.sign_resumption(consent, seen["suspension"], world.house.origin, citizen.key)
    return citizen.client.resume(body)


@dataclass
class Counter:
    """Two officers of a registrar, and what goes wrong with them when a test says so."""

    world: World
    registrar: Registrar
    name: str = REGISTRAR
    not_after: int = 365 * DAY_MS

    @property
    def client(self) -> CounterClient:
        return CounterClient(self.world.url, self.world.bank().pins, new_http())

    def officer(self, name: str, key: PrivateKey, at: int) -> str:
        """The registrar's word for one officer."""
        made = OfficerCertificate(
            registrar=self.name,
            officer=name,
            jwk=key.jwk,
            not_before=at - 400 * DAY_MS,
            not_after=at + self.not_after,
        )
        return sign_officer(made, self.registrar.key)

    def order(self, kind: type[Order], number: str, **members: Any) -> SignedOrder:
        """An order by both officers, `at` now unless told otherwise."""
        first, second = sorted(self.registrar.officers)
        at = members.pop("at", self.world.clock())
        order = make_order(
            kind,
            gateway=members.pop("gateway", self.world.house.origin),
            citizen_number=number,
            registrar=self.name,
            officers=(first, second),
            at=at,
            salt=os.urandom(16),
            **members,
        )
        keys = self.registrar.officers
        return join_order(
            order,
            (sign_order(order, keys[first]), sign_order(order, keys[second])),
            (self.officer(first, keys[first], at), self.officer(second, keys[second], at)),
        )

    def withdraw(self, number: str, consent: str, **members: Any) -> Any:
        order = self.order(CounterWithdrawal, number, consent_id=consent, **members)
        return self.client.withdraw(order, number)

    def revoke(self, number: str, cause: str, key: str | None = None, **members: Any) -> Any:
        order = self.order(CounterRevocation, number, cause=cause, key=key, **members)
        return self.client.revoke(order, number)

    def consents(self, number: str, **members: Any) -> Any:
        return self.client.consents(self.order(CounterListing, number, **members), number)


def counter(world: World) -> Counter:
    """The counter of the registrar whom the gateway knows."""
    return Counter(world, world.registrar)
