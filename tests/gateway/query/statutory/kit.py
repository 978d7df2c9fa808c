"""A court and a police office, each with who asks and who approves, and the orders they ask under."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec

from consent.policy import PolicyBundle
from gateway.client.bank import Answer, Person
from gateway.client.reply import Refused
from gateway.client.statutory import Order, Settled, StatutoryClient, Waiting, statutory_request
from gateway.demo.people import synthetic_uscc
from gateway.institutions.register import NewInstitution, add_institution, add_operator
from gateway.policies import apply_policy
from keys.signing import PrivateKey, parse_public_jwk
from ledger.entries import Leaf
from tests.gateway import kit
from tests.gateway.world import World, fresh_key

AGENCY, OTHER_AGENCY = synthetic_uscc(11), synthetic_uscc(12)
COURT = Order("civil-procedure-253", "（2026）琼01执123号")
POLICE = Order("criminal-procedure-144", "琼公（刑）调证字〔2026〕12号")
COVERT = Order(POLICE.code, POLICE.document, defer=True)
PURPOSES = {COURT.code: "91", POLICE.code: "92", "tax-collection-57": "93"}
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@dataclass
class Office:
    """One institution: `asker` queries, `approver` approves, `both` may do either."""

    world: World
    institution: str = AGENCY
    keys: dict[str, PrivateKey] = field(default_factory=dict)
    operators: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        new = NewInstitution(self.institution, "测试机关", "agency", ("query",))
        add_institution(self.world.house, new)
        for name, roles in {
            "asker": ["query"],
            "approver": ["approve"],
            "both": ["approve", "query"],
        }.items():
            self.keys[name] = fresh_key()
            public = parse_public_jwk(self.keys[name].jwk)
            self.operators[name], _ = add_operator(self.world.house, self.institution, public, roles)

    def client(self, name: str) -> StatutoryClient:
        return StatutoryClient(self.world.url, self.keys[name], **self.world.pins())

    def request(self, order: Order = COURT, number: str = kit.NUMBER, **changes: Any) -> dict[str, Any]:
        """The body of an ordinary statutory query, with a fresh id."""
        name = changes.pop("name", None)
        made = statutory_request(
            str(uuid.uuid4()), order, PURPOSES.get(order.code, "91"), ("loan",), Person(number, name)
        )
        return made | changes

    def submit(self, request: dict[str, Any], by: str = "asker") -> Waiting | Refused:
        with self.client(by) as client:
            return client.submit(request)

    def approve(self, request: dict[str, Any], by: str = "approver") -> Settled | Refused:
        with self.client(by) as client:
            return client.settle(request, "approve")

    def deny(self, request: dict[str, Any], by: str = "approver") -> Settled | Refused:
        with self.client(by) as client:
            return client.settle(request, "deny")

    def collect(self, request: dict[str, Any], by: str = "asker") -> Answer | Waiting | Refused:
        with self.client(by) as client:
            return client.collect(request["query_id"])

    def answered(self, order: Order = COURT, number: str = kit.NUMBER, **changes: Any) -> dict[str, Any]:
        """A query that was submitted and approved."""
        request = self.request(order, number, **changes)
        waiting = self.submit(request)
        assert isinstance(waiting, Waiting), waiting
        settled = self.approve(request)
        assert isinstance(settled, Settled), settled
        return request


def tag_of(leaf: Leaf) -> str:
    """The tag that a leaf about a person stands under."""
    assert leaf.subject is not None
    return leaf.subject.tag


def leaves_since(world: World, size: int) -> list[Leaf]:
    """What was appended since the log had `size` leaves, but for what announces keys."""
    return [leaf for leaf in kit.leaves(world.house)[size:] if leaf.type != "key.sealing"]


other_office = partial(Office, institution=OTHER_AGENCY)


def enact(world: World, **changes: Any) -> None:
    """Put the policy in force that is today's but for `changes`."""
    policy = world.house.policy
    apply_policy(world.house, msgspec.structs.replace(policy, **changes))


def without(policy: PolicyBundle, code: str) -> tuple[Any, ...]:
    return tuple(one for one in policy.statutes if one.code != code)
