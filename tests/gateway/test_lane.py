"""Group commit: who waits shares one transaction; nobody hangs, nobody's failure is another's."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from gateway.lane import Lane, Slot
from tests.gateway import kit


class Boat:
    """Carries batches and remembers them; the first one waits at the bank until it is let go."""

    def __init__(self, limit: int = 256) -> None:
        self.batches: list[list[Any]] = []
        self.first_left, self.go = threading.Event(), threading.Event()
        self.go.set()
        self.lane = Lane(self.carry, limit)

    def carry(self, batch: Sequence[Slot[Any, Any]]) -> None:
        self.batches.append([slot.payload for slot in batch])
        self.first_left.set()
        assert self.go.wait(30)
        for slot in batch:
            slot.result = slot.handler(slot.payload)

    def submit(self, payload: Any) -> Any:
        return self.lane.submit(double, payload)


def double(payload: Any) -> Any:
    return payload * 2


def test_one_alone_is_carried_at_once() -> None:
    boat = Boat()
    assert [boat.submit(n) for n in range(3)] == [0, 2, 4]
    assert boat.batches == [[0], [1], [2]]


def while_the_first_is_away(boat: Boat, payloads: Sequence[int]) -> list[Any]:
    """The first sets out alone; the others arrive while it is away, and then it is let go."""
    boat.go.clear()
    results: dict[int, Any] = {}
    errors: dict[int, BaseException] = {}

    def submit(payload: int) -> None:
        try:
            results[payload] = boat.submit(payload)
        except Exception as error:  # noqa: BLE001  the outcome under test
            errors[payload] = error

    first = threading.Thread(target=submit, args=(payloads[0],))
    first.start()
    assert boat.first_left.wait(10)
    others = [threading.Thread(target=submit, args=(payload,)) for payload in payloads[1:]]
    for thread in others:
        thread.start()
    while len(boat.lane._waiting) < len(others):
        threading.Event().wait(0.001)
    boat.go.set()
    for thread in (first, *others):
        thread.join(10)
        assert not thread.is_alive()
    return [results.get(payload, errors.get(payload)) for payload in payloads]


def test_those_who_waited_share_the_next_batch() -> None:
    boat = Boat()
    assert while_the_first_is_away(boat, range(8)) == [2 * n for n in range(8)]
    assert [len(batch) for batch in boat.batches] == [1, 7]
    assert sorted(boat.batches[1]) == list(range(1, 8))


def test_a_batch_is_no_larger_than_the_limit() -> None:
    boat = Boat(limit=3)
    assert while_the_first_is_away(boat, range(8)) == [2 * n for n in range(8)]
    assert [len(batch) for batch in boat.batches] == [1, 3, 3, 1]


def test_a_batch_that_fails_fails_for_all_in_it_and_the_next_goes_on() -> None:
    class Leaky(Boat):
        def carry(self, batch: Sequence[Slot[Any, Any]]) -> None:
            super().carry(batch)
            if len(self.batches) == 2:
                raise OSError("sunk")

    boat = Leaky(limit=3)
    outcomes = while_the_first_is_away(boat, range(8))
    assert outcomes[0] == 0
    assert sum(isinstance(one, OSError) for one in outcomes) == 3
    assert boat.submit(50) == 100


def test_one_failed_slot_raises_only_to_its_own() -> None:
    class Picky(Boat):
        def carry(self, batch: Sequence[Slot[Any, Any]]) -> None:
            super().carry(batch)
            for slot in batch:
                if slot.payload == 3:
                    slot.error = ValueError("three")

    outcomes = while_the_first_is_away(Picky(), range(6))
    assert isinstance(outcomes[3], ValueError)
    assert [one for one in outcomes if not isinstance(one, ValueError)] == [0, 2, 4, 8, 10]


def test_an_interrupted_leader_leaves_nobody_waiting() -> None:
    class Interrupted(Boat):
        def carry(self, batch: Sequence[Slot[Any, Any]]) -> None:
            super().carry(batch)
            if len(self.batches) == 1:
                raise KeyboardInterrupt

    boat = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        boat.submit(1)
    assert boat.submit(2) == 4


def test_an_interrupted_leader_of_many_hands_the_lead_to_whoever_waits_behind() -> None:
    """Its own that were not carried yet never are; the next in the queue is not left behind them."""

    class Interrupted(Boat):
        def carry(self, batch: Sequence[Slot[Any, Any]]) -> None:
            super().carry(batch)
            if len(self.batches) == 1:
                raise KeyboardInterrupt

    boat, caught, results = Interrupted(limit=2), [], []
    boat.go.clear()

    def many() -> None:
        try:
            boat.lane.submit_all(double, [1, 2, 3, 4, 5], [None] * 5)
        except KeyboardInterrupt as error:
            caught.append(error)

    first = threading.Thread(target=many)
    first.start()
    assert boat.first_left.wait(10)
    behind = threading.Thread(target=lambda: results.append(boat.submit(6)))
    behind.start()
    while len(boat.lane._waiting) < 4:
        threading.Event().wait(0.001)
    boat.go.set()
    for thread in (first, behind):
        thread.join(10)
        assert not thread.is_alive()
    assert (len(caught), results) == (1, [12])
    assert boat.batches == [[1, 2], [6]]
    assert boat.submit(7) == 14


def test_many_of_one_thread_are_all_carried_whoever_leads() -> None:
    """A batch may end within one's own, the next begin with another's: each is woken for all of theirs."""
    boat, results = Boat(limit=3), dict[int, list[int]]()
    boat.go.clear()

    def many(first: int, count: int) -> None:
        payloads = list(range(first, first + count))
        slots = boat.lane.submit_all(double, payloads, [None] * count)
        results[first] = [slot.taken() for slot in slots]

    threads = []
    for first, count in ((0, 1), (10, 4), (20, 1), (30, 5)):
        threads.append(threading.Thread(target=many, args=(first, count)))
        expected = sum(len(batch) for batch in boat.batches) + len(boat.lane._waiting) + count
        threads[-1].start()
        while sum(len(batch) for batch in boat.batches) + len(boat.lane._waiting) < expected:
            threading.Event().wait(0.001)
    boat.go.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert results == {0: [0], 10: [20, 22, 24, 26], 20: [40], 30: [60, 62, 64, 66, 68]}
    assert boat.batches == [[0], [10, 11, 12], [13, 20, 30], [31, 32, 33], [34]]
    assert boat.submit(7) == 14


def test_under_many_threads_everybody_gets_their_own_result() -> None:
    boat = Boat(limit=16)
    numbers = list(range(64))
    assert kit.together(*[partial(boat.submit, n) for n in numbers]) == [2 * n for n in numbers]
    assert sorted(n for batch in boat.batches for n in batch) == numbers
