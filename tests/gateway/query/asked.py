"""Queries that were answered, to be sent again, and the persons they are about."""

from __future__ import annotations

import uuid
from datetime import date, timedelta
from typing import Any

from gateway.client.bank import Answer, BankClient
from gateway.client.reply import Refused
from gateway.house import House
from gateway.query.lookup import Wanted, ask_of, find
from gateway.query.request import Ask, Query, Signer
from gateway.records.ingest import shown_until
from gateway.records.rows import Record, china_day
from gateway.records.store import reading_revisions
from keys.canonical import canonical, sha256_hex
from keys.instant import HOUR
from ledger.entries import Leaf
from ledger.exchange import alone
from tests.gateway import kit
from tests.gateway.world import SOURCE, World

JUDGMENT = {"court": "某法院", "case_number": "(2021)1号", "cause": "借款合同纠纷", "decided": "2021-01-02"}


def somebody(world: World, loans: int = 1) -> str:
    """A person nobody has used yet, with so many loans."""
    number = kit.person(len(kit.leaves(world.house)) % 1000)
    world.import_records([kit.loan(number, f"{number}-{n}") for n in range(loans)])
    return number


def judgment(number: str, decided: date) -> Record:
    reference = f"{number}-j/judgment"
    return Record(2, number, "测试人", "judgment", SOURCE, reference, decided, decided, None, True, JUDGMENT)


class Asked:
    """One query that was answered, to be sent again."""

    def __init__(self, world: World, number: str | None = None, **changes: Any) -> None:
        terms = {name: changes.pop(name) for name in ("max_uses", "not_after") if name in changes}
        self.world, self.changes = world, changes
        self.citizen = world.citizen(number or somebody(world))
        wanted = changes.get("categories", ("loan", "repayment"))
        self.consent = world.consent(self.citizen, categories=wanted, **terms)
        self.query_id = str(uuid.uuid4())
        first = self.send()
        assert isinstance(first, Answer), first
        self.first = first

    def send(self, bank: BankClient | None = None, **changes: Any) -> Answer | Refused:
        usual = {"query_id": self.query_id} | self.changes
        return self.world.query(self.consent, bank, **(usual | changes))

    def check_same(self, again: Answer | Refused) -> None:
        """The same answer under a leaf of its own, which takes no use."""
        assert isinstance(again, Answer), again
        assert canonical(again.answer) == canonical(self.first.answer)
        assert again.receipt.answer_sha256 == self.first.receipt.answer_sha256
        assert again.receipt.answer_sha256 == sha256_hex(canonical(self.first.answer))
        assert (again.receipt.decision, again.receipt.query_id) == ("redelivered", self.query_id)
        leaf = kit.leaves(self.world.house)[again.receipt.index]
        original = kit.leaves(self.world.house)[self.first.receipt.index]
        assert (leaf.type, leaf.body.of) == ("query.redelivered", self.first.receipt.index)
        assert leaf.subject is not None
        assert original.subject is not None
        assert leaf.subject.tag == original.subject.tag
        assert leaf.by == original.by
        assert leaf.sealed is None

    def check_refused(self, reason: str) -> None:
        kit.check_refused(self.world, self.send(), reason, self.query_id)

    def uses(self) -> int:
        return int(kit.row_of(self.world.house, "grants", "consent = ?", self.consent)["uses"])


class Since:
    """The leaves since now."""

    def __init__(self, world: World) -> None:
        self.world, self.size = world, kit.size(world.house)

    def of_type(self, kind: str) -> list[Leaf]:
        return [leaf for leaf in kit.leaves(self.world.house)[self.size :] if leaf.type == kind]


def answered_before_a_term_ends(world: World) -> Asked:
    """A query answered with a judgment, an hour before that may not be shown any more."""
    number, day = somebody(world), china_day(world.clock()) + timedelta(days=2)
    day += timedelta(days=(day.month, day.day) == (2, 29))
    adverse = judgment(number, day.replace(year=day.year - 5))
    world.import_records([adverse])
    until = shown_until(adverse, 5)
    assert until is not None
    world.clock.offset += until - HOUR - world.clock()
    return Asked(world, number, categories=("judgment", "loan"))


def look_up(house: House, query: Query, body: dict[str, Any], signer: Signer) -> Ask:
    """The ask of one query alone, nothing remembered."""
    [found] = find(house, [Wanted(query, signer)])
    with house.read() as conn:
        held = alone(conn, reading_revisions([found.subject]))
    return ask_of(house, query, body, signer, found, held[found.subject])
