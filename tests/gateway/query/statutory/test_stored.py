"""An insider with the database and none of the keys changes a pending query: nothing is answered from it.

Every edit is made past the gateway, by SQL, with whatever MAC the row had.
"""

from __future__ import annotations

from typing import Any

import pytest

from gateway.client.bank import Answer
from gateway.client.reply import Refused
from gateway.client.statutory import Settled, Waiting
from gateway.query.statutory import ending
from gateway.query.statutory.ending import lapse_pending, unseal_due
from tests.gateway import kit
from tests.gateway.query.statutory.kit import COVERT, DAY_MS, Office
from tests.gateway.world import World

EDITS = {
    "more-time": "lapses_at = lapses_at + 86400000",
    "deferred-for-longer": "deferred_until = deferred_until + 86400000",
    "no-longer-deferred": "deferred_until = NULL",
    "said-to-be-unsealed": "unsealed_index = pending_index",
    "approved-by-nobody": "state = 'approved', answer_index = pending_index",
    "another-statute": "statute = 'civil-procedure-253'",
    "leaf-another": "changed_index = changed_index - 1",
    "leaf-not-there": "changed_index = 999999",
    "mac-zeros": "mac = zeroblob(32)",
    "body-empty": "body = x''",
    "body-cut": "body = substr(body, 1, 40)",
    "key-another": "data_key = zeroblob(80)",
    "shard-another": "shard = 7",
}


def damaged(said: object) -> None:
    """Nothing was done: what is stored is not what the ledger speaks of."""
    assert isinstance(said, Refused), said
    assert (said.problem.name, said.problem.status) == ("evidence-damaged", 503)


def edit(world: World, request: dict[str, Any], change: str) -> None:
    kit.insider(world.house, f"UPDATE pending_queries SET {change} WHERE query = ?", [request["query_id"]])


def row(world: World, request: dict[str, Any]) -> dict[str, Any]:
    return kit.row_of(world.house, "pending_queries", "query = ?", request["query_id"])


@pytest.mark.parametrize("change", EDITS.values(), ids=EDITS.keys())
def test_an_edited_query_is_neither_approved_nor_collected_and_holds_up_no_other(
    world: World, office: Office, change: str
) -> None:
    request, healthy = office.request(COVERT), office.request(COVERT)
    for one in (request, healthy):
        assert isinstance(office.submit(one), Waiting)
    edit(world, request, change)
    size = kit.size(world.house)
    damaged(office.approve(request))
    damaged(office.deny(request))
    damaged(office.collect(request))
    damaged(office.submit(request))
    assert kit.size(world.house) == size
    world.clock.offset += 31 * DAY_MS
    assert lapse_pending(world.house) == 1
    assert unseal_due(world.house) == 1


def test_pages_of_damaged_queries_hold_up_no_other(
    world: World, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "CHUNK", 2)
    requests = [office.request(COVERT) for _ in range(8)]
    for request in requests:
        assert isinstance(office.submit(request), Waiting)
    for request in requests[:5]:
        edit(world, request, EDITS["mac-zeros"])
    world.clock.offset += 31 * DAY_MS
    assert unseal_due(world.house) == 3
    assert lapse_pending(world.house) == 3
    assert (unseal_due(world.house), lapse_pending(world.house)) == (0, 0)


def test_a_denial_is_not_undone_by_putting_the_row_back(world: World, office: Office) -> None:
    request = office.request()
    assert isinstance(office.submit(request), Waiting)
    before = row(world, request)
    assert isinstance(office.deny(request), Settled)
    kit.put_back(world.house, "pending_queries", "query", before)
    damaged(office.approve(request))
    damaged(office.collect(request))


def test_a_colleague_does_not_become_the_requester_by_an_edit(world: World, office: Office) -> None:
    request = office.answered()
    colleague = office.operators["both"]
    kit.insider(
        world.house,
        "UPDATE pending_queries SET operator = ? WHERE query = ?",
        [colleague, request["query_id"]],
    )
    damaged(office.collect(request, by="both"))


def test_a_query_that_was_deleted_is_not_submitted_anew(world: World, office: Office) -> None:
    request = office.request()
    assert isinstance(office.submit(request), Waiting)
    kit.insider(world.house, "DELETE FROM pending_queries WHERE query = ?", [request["query_id"]])
    kit.check_refused(world, office.submit(request), "query-id-reused", request["query_id"])


def test_a_query_is_not_answered_about_the_person_of_another(world: World, office: Office) -> None:
    """Everything that is sealed, moved from one row to another."""
    world.import_records([kit.loan()])
    mine, theirs = office.request(number=kit.OTHER_NUMBER), office.request()
    for one in (mine, theirs):
        assert isinstance(office.submit(one), Waiting)
    moved = {name: row(world, theirs)[name] for name in ("tag", "data_key", "epoch", "body")}
    columns = ", ".join(f"{name} = ?" for name in moved)
    kit.insider(
        world.house,
        f"UPDATE pending_queries SET {columns} WHERE query = ?",
        [*moved.values(), mine["query_id"]],
    )
    damaged(office.approve(mine))


def test_nothing_of_the_person_or_the_case_stands_in_the_row(world: World, office: Office) -> None:
    request = office.answered(COVERT, case_ref="卷宗-2026-118")
    stored = row(world, request)
    for secret in (kit.NUMBER, COVERT.document, "卷宗-2026-118"):
        for value in stored.values():
            held = value if isinstance(value, bytes) else str(value).encode()
            assert secret.encode() not in held


@pytest.mark.parametrize(
    "damage",
    ["DELETE FROM records", "UPDATE records SET body = zeroblob(80)"],
    ids=["deleted", "overwritten"],
)
def test_damaged_records_are_answered_neither_at_the_approval_nor_later(
    world: World, office: Office, damage: str
) -> None:
    world.import_records([kit.loan()])
    before, after = office.answered(), office.request()
    assert isinstance(office.collect(before), Answer)
    waiting = office.submit(after)
    assert isinstance(waiting, Waiting)
    kit.insider(world.house, damage)
    leaf = kit.check_refused(world, office.approve(after), "evidence-broken", after["query_id"])
    assert leaf.body.pending == waiting.index
    leaf = kit.check_refused(world, office.collect(before), "evidence-broken", before["query_id"])
    assert leaf.body.pending is None
