"""Round trips: a batch costs the same number of statements however many asks share it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

import ledger.exchange
from consent.policy import default_policy
from gateway.query.request import Ask, Query
from gateway.query.ruled import Disclosed, Ruled, Throttled
from gateway.query.turnstile import rule_batch
from keys.canonical import canonical, parse_canonical
from ledger.fixed import Call, Row
from tests.gateway import kit
from tests.gateway.query.asked import look_up, somebody
from tests.gateway.world import World, new_world

MOST = 20
"""Head, nonces (2), used ids, quotas, grants, data keys, keys, encryption keys, institutions, operators,
ingested, persons' heads; then quotas, uses, ids, leaves, details, persons' heads, head."""


class Batches:
    """Batches of one house, and what each of them said to the database."""

    def __init__(self, world: World) -> None:
        self.world, self.said = world, []
        sa.event.listen(world.house.engine, "before_cursor_execute", self._note)
        self.thread = threading.get_ident()

    def _note(self, _conn: object, _cursor: object, statement: str, *_: object) -> None:
        if threading.get_ident() == self.thread and not statement.startswith(
            ("BEGIN", "SAVEPOINT", "RELEASE")
        ):
            self.said.append(statement)

    def rule(self, bodies: list[dict[str, Any]]) -> tuple[list[Ruled], int]:
        """Rule on these as one batch of queries; how many statements that took."""
        return self.rule_on(self.ask(bodies))

    def ask(self, bodies: list[dict[str, Any]]) -> list[Ask]:
        """What is ready for the lock."""
        asks = []
        for body in bodies:
            members = parse_canonical(canonical(body))
            query = Query(**{**members, "categories": tuple(members["categories"])})
            asks.append(look_up(self.world.house, query, members, kit.signer_of(self.world)))
        return asks

    def rule_on(self, asks: list[Ask]) -> tuple[list[Ruled], int]:
        """Rule on these; how many statements that took."""
        self.said.clear()
        slots = self.world.house.lane.submit_all(rule_batch, asks, [None] * len(asks))
        return [slot.taken() for slot in slots], len(self.said)


@contextmanager
def batches(world: World) -> Iterator[Batches]:
    counted = Batches(world)
    try:
        yield counted
    finally:
        sa.event.remove(world.house.engine, "before_cursor_execute", counted._note)


@pytest.fixture(scope="module")
def consents(shared: World) -> list[str]:
    shared.clock.offset += 1
    return [shared.consent(shared.citizen(somebody(shared, loans=2)), max_uses=10) for _ in range(4)]


def test_sixteen_asks_take_as_many_statements_as_one(shared: World, consents: list[str]) -> None:
    with batches(shared) as counted:
        one, alone = counted.rule([kit.query_body(consents[0])])
        many, together = counted.rule([kit.query_body(consents[n % 4]) for n in range(16)])
    assert all(isinstance(ruled, Disclosed) for ruled in (*one, *many))
    assert alone == together <= MOST


def test_a_batch_takes_three_exchanges(
    shared: World, consents: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock, and whether it may be asked; what the decisions rest on; what follows from them."""
    counted: list[int] = []
    name = f"_on_{shared.house.engine.dialect.name}"
    exchange: Any = getattr(ledger.exchange, name)

    def counting(conn: sa.Connection, calls: Sequence[Call], **how: bool) -> list[list[Row]]:
        if threading.get_ident() == batch.thread:
            counted.append(len(calls))
        found: list[list[Row]] = exchange(conn, calls, **how)
        return found

    with batches(shared) as batch:
        monkeypatch.setattr(ledger.exchange, name, counting)
        ruled, statements = batch.rule([kit.query_body(consents[n % 4]) for n in range(16)])
    assert all(isinstance(one, Disclosed) for one in ruled)
    assert counted[-3:] == [4, 8, 8]  # those before are the look-ups
    assert sum(counted[-3:]) == statements


def test_an_answer_given_again_takes_one_statement_more_to_read_its_leaf(
    shared: World, consents: list[str]
) -> None:
    bodies = [kit.query_body(one) for one in consents]
    with batches(shared) as counted:
        first, once = counted.rule(bodies)
        again, twice = counted.rule(bodies)
    assert [one.decision for one in first if isinstance(one, Disclosed)] == ["disclosed"] * 4
    assert [one.decision for one in again if isinstance(one, Disclosed)] == ["redelivered"] * 4
    # The leaf is read; no use is counted, no id used up, no details sealed.
    assert twice == once + 1 - 3


def test_records_that_came_after_they_were_read_are_read_once_more(shared: World) -> None:
    numbers = [somebody(shared) for _ in range(3)]
    bodies = [kit.query_body(shared.consent(shared.citizen(number), max_uses=10)) for number in numbers]
    with batches(shared) as counted:
        _, usual = counted.rule(bodies)
        again = counted.ask([one | {"query_id": str(uuid.uuid4())} for one in bodies])
        shared.import_records([kit.loan(number, f"{number}-late") for number in numbers[:2]])
        ruled, statements = counted.rule_on(again)
    shown = [len(one.revisions) for one in ruled if isinstance(one, Disclosed)]
    assert (shown, statements) == ([2, 2, 1], usual + 1)


def test_refusals_take_no_more_than_answers(shared: World, consents: list[str]) -> None:
    bodies = [kit.query_body(one, purpose="03") for one in consents]
    with batches(shared) as counted:
        _, statements = counted.rule(bodies)
    assert statements <= MOST


def test_what_is_turned_away_reads_nothing_of_anybody(tmp_path: Path, engine: str) -> None:
    policy = default_policy(demo=True)
    [per_minute] = [one for one in policy.quotas if one.scope == "operator"]
    narrow = msgspec.structs.replace(per_minute, per="day", limit=2)
    policy = msgspec.structs.replace(policy, quotas=(narrow,))
    with new_world(tmp_path / engine, policy=policy) as world:
        consent = world.consent(world.citizen(kit.NUMBER), max_uses=10)
        world.query(consent)
        with batches(world) as counted:
            ruled, _ = counted.rule([kit.query_body(consent) for _ in range(50)])
            said = " ".join(counted.said)
    assert all(isinstance(one, Throttled) for one in ruled)
    for table in ("records", "grants", "citizen_keys", "institutions", "ledger_sealed"):
        assert f"FROM {table}" not in said
    assert len(counted.said) <= 6
