"""Attack: ask while the citizen withdraws, and get an answer that the ledger puts after the withdrawal.

Every interleaving of `schedule` is one query against its consent's withdrawal, each held before the lane and
in it as its seed says. Played in one process, and in two on one PostgreSQL, whose batches wait for each
other's transaction. RACES=10000 says how many, RACES_SEED=7 which; where every engine is tried
(TEST_ENGINES=all) they are ten thousand.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import sqlalchemy as sa

from consent import decision
from consent.asks import Grant, Reason
from gateway.house import House
from gateway.query.answer import Answer, Refusal
from gateway.query.request import Query, Signer
from gateway.tables import grants
from gateway.transaction import Transaction
from keys.canonical import canonical, sha256_hex
from ledger.log import Entry
from tests import databases
from tests.attacks.schedule import Findings, Troupe, races, until_waiting
from tests.attacks.stage import Asks, Side, Stage, another_process
from tests.gateway.world import DAY_MS, new_world

SEED = int(os.environ.get("RACES_SEED", "20261122"))
RACES = int(os.environ.get("RACES", "10000" if os.environ.get("TEST_ENGINES") == "all" else "288"))
ACROSS = RACES if RACES >= 10_000 else RACES // 2
"""How many across two processes."""
FEW = 96
ON_POSTGRESQL = pytest.mark.parametrize("troupe", ["postgresql"], indirect=True)
ON_SQLITE = pytest.mark.parametrize("troupe", ["sqlite"], indirect=True)


@pytest.fixture(scope="module", params=databases.ENGINES)
def troupe(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Troupe]:
    """People in a gateway whose batches are small, so that those of a tick fill several."""
    home = tmp_path_factory.mktemp("races") / "home"
    with (
        databases.using(request.param),
        new_world(home, batch_limit=6, checkpoint_interval_ms=3_600_000) as world,
    ):
        world.clock.offset += DAY_MS - world.clock() % DAY_MS + DAY_MS // 2  # no day ends meanwhile
        yield Troupe(world)


@pytest.fixture(scope="module")
def there(troupe: Troupe) -> Iterator[Side]:
    """A second process on the same database."""
    with another_process(troupe.world.house, troupe.asker) as side:
        yield side


def on_one(troupe: Troupe, seed: int, interleavings: int, **asks: Asks) -> Findings:
    """Races in this process alone."""
    with closing(Stage(troupe.world.house, troupe.asker, **asks)) as stage:
        return races(troupe, seed, [stage], interleavings)


def check(found: Findings, seed: int, interleavings: int) -> None:
    """Nothing was given after a withdrawal; and the race was one: it ended either way, in every way."""
    print(f"RACES_SEED={seed}: {dict(found.ended)}")  # noqa: T201  shown where the test fails
    assert found.wrong == []
    assert found.interleavings >= interleavings
    for ended in ("before", "after", "overtaken", "met, answered", "met, refused"):
        assert found.ended[ended] > interleavings // 50, f"hardly any race ended: {ended}"


def test_no_interleaving_in_one_process_gives_anything_after_the_withdrawal(troupe: Troupe) -> None:
    # PostgreSQL's ten thousand are those of two processes.
    interleavings = RACES if troupe.world.house.settings.database_file else FEW
    check(on_one(troupe, SEED, interleavings), SEED, interleavings)


@ON_POSTGRESQL
def test_no_interleaving_of_two_processes_gives_anything_after_the_withdrawal(
    troupe: Troupe, there: Side
) -> None:
    with closing(Stage(troupe.world.house, troupe.asker)) as here:
        found = races(troupe, SEED + 1, [here, there], ACROSS)
    check(found, SEED + 1, ACROSS)
    # Withdrawn by one process while a query that had seen the consent alive waited in the other.
    assert found.ended["overtaken across"] > ACROSS // 50


@ON_POSTGRESQL
@pytest.mark.parametrize("withdrawn_first", [True, False], ids=["withdrawal first", "query first"])
def test_a_withdrawal_that_commits_while_another_process_waits_for_the_lock(
    troupe: Troupe, there: Side, *, withdrawn_first: bool
) -> None:
    """PostgreSQL has the withdrawal of one process and the query of another wait for one lock, in this order
    or in the other; both had looked up the consent alive.
    """
    house = troupe.world.house
    [scene] = troupe.scenes(random.Random(SEED), sides=2, number=1)
    withdrawal, query = scene.withdrawal.actor, scene.queries[0].actor
    with closing(Stage(house, troupe.asker)) as here:
        here.begin([withdrawal])
        there.begin([query])
        order: list[tuple[Side, int]] = [(here, withdrawal.number), (there, query.number)]
        with databases.locked(house):
            for waiting, (side, number) in enumerate(order if withdrawn_first else order[::-1], 1):
                side.rush([number])
                until_waiting(house, waiting)
        got = here.gather() | there.gather()
    outcome, end = got[query.number], got[withdrawal.number].index
    assert outcome.said == ("withdrawn" if withdrawn_first else "answered")
    assert (outcome.index > end) is withdrawn_first


@ON_SQLITE
def test_a_schedule_is_its_seeds_alone(troupe: Troupe) -> None:
    first, again = (on_one(troupe, 3, FEW) for _ in range(2))
    assert first.ended == again.ended
    assert on_one(troupe, 4, FEW).ended != first.ended


# --- the judge can find: gateways that are broken on purpose, on the same schedules


def hasty(house: House, query: Query, body: dict[str, Any], signer: Signer) -> Answer | Refusal:
    """A gateway that reads the grant before the lock, decides there, and records that under the lock."""
    with house.read() as conn:
        row = conn.execute(sa.select(grants).where(grants.c.consent == query.consent_id)).one()

    def record(tx: Transaction) -> Entry:
        known: dict[str, Any] = {"query": query.query_id, "purpose": query.purpose}
        details = {"request": body}
        if row.state != "granted":
            known["reason"] = Reason.WITHDRAWN.value
            return tx.append("query.refused", known, tag=row.tag, by=signer.by, details=details)
        hashed = {"commitment": sha256_hex(b""), "request": sha256_hex(canonical(body))}
        known |= {"categories": list(query.categories), "grant": row.grant_index, "use": 1, **hashed}
        return tx.append("query.disclosed", known, tag=row.tag, by=signer.by, details=details)

    entry = house.transact(record, nonce=signer.nonce)
    if row.state != "granted":
        receipt = house.receipts.of_query(entry, query.query_id, "refused", reason=Reason.WITHDRAWN.value)
        return Refusal(Reason.WITHDRAWN, receipt)
    said = canonical({"records": {"loan": [{}]}})
    receipt = house.receipts.of_query(entry, query.query_id, "disclosed", answer_sha256=sha256_hex(said))
    return Answer(said, receipt)


@ON_SQLITE
def test_a_decision_that_reads_the_grant_before_the_lock_is_found(troupe: Troupe) -> None:
    found = on_one(troupe, SEED, FEW, asks=hasty)
    late = [said for said in found.wrong if "given at" in said]
    assert late, found
    # What it gets wrong are the races that it loses, and no other.
    assert found.ended["overtaken"] == 0
    assert found.ended["after"] > 0


@ON_SQLITE
def test_a_decision_that_remembers_the_grant_is_found(
    troupe: Troupe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway itself, but for one line: the state of a grant is what it was when it was granted."""
    thorough = decision.decide

    def mindful(ask: Any, grant: Grant | None, *rest: Any) -> Any:
        alive = grant and Grant(
            grant.document, "granted", grant.uses, grant.key_live, grant.effective, grant.sound
        )
        return thorough(ask, alive, *rest)

    monkeypatch.setattr(decision, "decide", mindful)
    found = on_one(troupe, SEED, FEW)
    assert [said for said in found.wrong if "given at" in said], found
