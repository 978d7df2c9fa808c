"""What a process remembers of the ledger is used only while it still stands there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from gateway import news
from gateway.errors import EvidenceBroken
from gateway.house import House
from gateway.institutions.register import NewInstitution, add_institution
from keys.sealing import generate_x25519
from ledger.errors import HeadBehind
from tests.gateway import kit
from tests.gateway.test_house import registered
from tests.gateway.test_policies import another
from tests.gateway.world import World, synthetic_uscc


@contextmanager
def statements(house: House) -> Iterator[list[str]]:
    """The statements that this house's engine runs inside the block."""
    said: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        said.append(statement)

    sa.event.listen(house.engine, "before_cursor_execute", note)
    try:
        yield said
    finally:
        sa.event.remove(house.engine, "before_cursor_execute", note)


SINCE = "ledger_head.size -"  # of what others have appended: the last leaf is the one that the head names


def reading(said: list[str], table: str) -> int:
    return sum(statement.startswith("SELECT") and f"FROM {table}" in statement for statement in said)


def test_while_nobody_else_appends_nothing_is_read_again(world: World) -> None:
    consent = world.consent(world.citizen(kit.NUMBER))
    kit.ask_house(world, consent)
    world.publishing.stop()  # it reads leaves too
    with statements(world.house) as said:
        kit.ask_house(world, consent)
    assert reading(said, "policies") == reading(said, "published_keys") == 0
    assert not any("key.published" in one or SINCE in one for one in said)


def test_what_others_append_costs_one_statement(world: World) -> None:
    """Not the regulators' keys, not the policy: those are read when a leaf says that they changed."""
    consent = world.consent(world.citizen(kit.NUMBER))
    with another(world) as other:
        kit.ask_house(world, consent, other)
        world.house.transact(registered, seals=False)
        with statements(other) as said:
            kit.ask_house(world, consent, other)
    assert sum(SINCE in one for one in said) == 1
    assert reading(said, "policies") == reading(said, "published_keys") == 0


@pytest.mark.parametrize("few", [news.FEW, 1])
def test_a_regulator_who_came_through_another_process_can_open_what_is_sealed_next(
    world: World, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    """However much was appended meanwhile."""
    monkeypatch.setattr(news, "FEW", few)
    consent = world.consent(world.citizen(kit.NUMBER))
    with another(world) as other:
        kit.ask_house(world, consent, other)
        public = generate_x25519(os.urandom)[1]
        new = NewInstitution(synthetic_uscc(88), "二号监管", "regulator", ("audit",), regulator_key=public)
        add_institution(world.house, new)
        world.house.transact(registered, seals=False)
        kit.ask_house(world, consent, other)
    [*_, key] = kit.of_type(world.house, "key.sealing")
    assert len(key.body.sealed) == 2
    assert kit.leaves(world.house)[-1].sealed.key == key.body.id


def test_a_log_that_was_put_back_and_grew_again_is_not_written_to(world: World) -> None:
    """Longer than what was seen, and not the same: length alone says nothing."""
    with another(world) as other:
        other.transact(registered, seals=False)
        assert other.seen is not None
        other.seen = replace(other.seen, leaf_hash=bytes(32))  # what it saw stands there no more
        for _ in range(3):
            world.house.transact(registered, seals=False)
        before = kit.size(world.house)
        with pytest.raises(HeadBehind):
            other.transact(registered, seals=False)
        assert kit.size(world.house) == before


def test_a_log_as_long_as_before_with_another_end_is_not_written_to(world: World) -> None:
    world.house.transact(registered, seals=False)
    assert world.house.seen is not None
    world.house.seen = replace(world.house.seen, leaf_hash=bytes(32))
    with pytest.raises(HeadBehind):
        world.house.transact(registered, seals=False)


def test_a_head_that_names_no_leaf_stops_the_house(world: World) -> None:
    consent = world.consent(world.citizen(kit.NUMBER))
    before = kit.size(world.house)
    with another(world) as other:
        kit.insider(world.house, "UPDATE ledger_head SET size = size + 1, leaf_hash = ?", [bytes(32)])
        for house in (world.house, other):
            with pytest.raises(EvidenceBroken):
                kit.ask_house(world, consent, house)
    with pytest.raises(EvidenceBroken):
        world.reopen()
    ready = httpx.get(world.url + "/readyz")
    assert (ready.status_code, ready.json()["why"]) == (503, "evidence")
    with world.house.read() as conn:
        assert conn.scalar(sa.text("SELECT count(*) FROM ledger_leaves")) == before
