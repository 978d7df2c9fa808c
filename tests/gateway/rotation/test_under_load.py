"""Keys rotate while banks ask: every query is answered, and answered right."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.query.answer import Answer
from gateway.rotation.data import rotate_data
from gateway.rotation.destroy import destroy_epoch
from gateway.rotation.epoch import rotate_epoch
from gateway.rotation.index import rotate_index
from tests.gateway import kit
from tests.gateway.policies import generous
from tests.gateway.rotation.kit import Person, nothing, people
from tests.gateway.world import World, new_world


@pytest.fixture
def world(tmp_path: Path, engine: str) -> Iterator[World]:
    """A gateway whose consents may be used a thousand times."""
    with new_world(tmp_path / "home", policy=generous()) as made:
        yield made


class Asking:
    """Threads that ask one thing after the other until they are told to stop."""

    def __init__(self, world: World, some: list[Person]) -> None:
        self.world, self.some = world, some
        self.answers: list[Any] = []
        self.errors: list[BaseException] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(one,)) for one in some]

    def _ask(self, person: Person) -> None:
        try:
            while not self._stop.is_set():
                self.answers.append((person, kit.ask_house(self.world, person.consent)))
        except BaseException as error:  # noqa: BLE001  told to whoever reads the answers
            self.errors.append(error)

    def __enter__(self) -> Asking:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()


def _epoch(world: World) -> None:
    rotate_epoch(world.house, nothing)
    destroy_epoch(world.house, 1)


def _index(world: World) -> None:
    rotate_index(world.house, nothing)


def _data(world: World) -> None:
    rotate_data(world.house, nothing)
    rotate_data(world.house, nothing)


KINDS: dict[str, Callable[[World], object]] = {"epoch": _epoch, "index": _index, "data": _data}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_query_is_answered_right_while_keys_rotate(world: World, kind: str) -> None:
    some = people(world, 4, uses=1_000)
    expected = {one.consent: kit.ask_house(world, one.consent) for one in some}
    other = World(
        world.reopen(),
        world.publishing,
        world.server,
        world.clock,
        world.registrar,
        world.regulator_private,
        world.bank_key,
        world.other_key,
    )
    try:
        with Asking(world, some) as asking:
            KINDS[kind](other)
    finally:
        other.house.engine.dispose()
        other.house.custody.close()
    assert not asking.errors, asking.errors[0]
    assert len(asking.answers) > len(some)
    for person, answer in asking.answers:
        assert isinstance(answer, Answer), answer
        first = expected[person.consent]
        assert isinstance(first, Answer)
        assert answer.answer["records"] == first.answer["records"]
