"""Every durable step, crossed with everything that may go wrong there, on SQLite and PostgreSQL.

All of one engine's cases happen to one installation, one after the other: it outlives them all, and each
time without anybody's help.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from gateway.errors import LedgerUnavailable
from gateway.house import Act as Work
from gateway.house import run_singly
from gateway.lane import Slot
from gateway.transaction import Transaction
from tests import databases
from tests.faults.acts import ACTS, Act, Query
from tests.faults.steps import FAULTS, POSTGRESQL, SQLITE, STEPS, Case, cases
from tests.faults.town import Town
from tests.faults.trap import Trap
from tests.gateway import kit

IN_FULL = os.environ.get("CRASHES") == "all"
HOUR_MS = 3_600_000
COMMANDS = sorted(ACTS.keys() - {"query"})


def test_a_fault_at_a_step_leaves_nothing_lost_half_stored_or_forked(
    in_town: Town, case: Case, tmp_path: Path
) -> None:
    act: Act = ACTS[case.step.act]()
    act.prepare(in_town)
    in_town.keep()
    trap = Trap(case.step, case.fault, 0 if in_town.cluster is None else in_town.cluster.pid)
    with in_town.process(trap) as process:
        process.done("arm")
        heard = act.attempt(process)
        in_town.revive()
        if case.fault.dies:
            process.process.join(60)
            assert process.exit == -signal.SIGKILL, "the step was never reached"
            assert not heard
        else:
            assert process.done("release"), "the step was never reached"
        assert not heard or case.written, "it was reported done, and was not"
        act.judge(in_town, written=case.written)
        if not case.fault.dies:
            process.done("later", act.offset)
            act.again(process)
    if case.fault.dies:
        with in_town.process(offset=act.offset) as process:
            act.again(process)
    act.settled(in_town)
    in_town.check_whole(tmp_path)


@pytest.mark.parametrize("engine", [SQLITE, POSTGRESQL])
def test_a_clock_an_hour_back_takes_no_entry_back_and_answers_nobody(
    town_on: Callable[[str], Town], engine: str, tmp_path: Path
) -> None:
    with databases.using(engine):
        place = town_on(engine)
        query = Query()
        query.prepare(place)
        late = place.world.clock
        with place.process(offset=-HOUR_MS) as process:
            process.done("serve")
            kit.check_problem(query.first.send(), 401, "stale-signature")
            late.offset -= HOUR_MS  # the bank's clock too: then no nonce of it is fresh by the log's own time
            try:
                kit.check_problem(query.signed().send(), 401, "replayed-nonce")
            finally:
                late.offset += HOUR_MS
            ready = httpx.get(f"{place.world.url}/readyz", trust_env=False)
            assert (ready.status_code, ready.json()["why"]) == (503, "clock")
            assert not query.disclosed()
        with place.process() as process:
            query.again(process)
        query.settled(place)
        place.check_whole(tmp_path)


@pytest.mark.parametrize("engine", [SQLITE, POSTGRESQL] if IN_FULL else [SQLITE])
@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_done_by_a_clock_an_hour_back_stands_after_what_was_done_before(
    town_on: Callable[[str], Town], engine: str, name: str, tmp_path: Path
) -> None:
    with databases.using(engine):
        place = town_on(engine)
        act: Act = ACTS[name]()
        act.prepare(place)
        with place.process(offset=-HOUR_MS) as process:
            act.again(process)
        act.settled(place)
        times = [leaf.at for leaf in kit.leaves(place.world.house)]
        assert times == sorted(times)
        place.check_whole(tmp_path)


def test_a_connection_that_is_cut_under_one_act_makes_no_other_of_its_batch_an_internal_error(
    town_on: Callable[[str], Town],
) -> None:
    def cut(tx: Transaction) -> None:
        tx.conn.execute(sa.text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with databases.using(POSTGRESQL):
        house = town_on(POSTGRESQL).world.house
        before = kit.size(house)
        batch = [Slot(run_singly, Work(act, False, None), None) for act in (cut, lambda _tx: None)]
        with pytest.raises((LedgerUnavailable, sa.exc.DBAPIError)):
            house.lane._carry(batch)
        assert kit.size(house) == before


def test_the_table_leaves_out_no_step_act_or_fault() -> None:
    found = list(cases())
    assert {case.step.name for case in found} == {step.name for step in STEPS}
    assert {case.fault.name for case in found} == {fault.name for fault in FAULTS}
    assert {step.act for step in STEPS} == ACTS.keys()
    killed = {(case.engine, case.step.name) for case in found if case.fault.dies and not case.fault.after}
    assert len(killed) == 2 * len(STEPS)
