"""Tellers ask until the block is over, and what fails in a thread is never swallowed."""

from __future__ import annotations

from itertools import count
from typing import Any, cast

import pytest

from gateway.client import Answer
from gateway.demo.failure import DemoFailed
from gateway.demo.load import Load, Teller


def teller(name: str, fails_at: int | None = None) -> Teller:
    """One that is answered with its name and a number, until it fails."""
    numbers = count(1)

    def ask() -> Answer:
        number = next(numbers)
        if number == fails_at:
            raise DemoFailed(f"{name} was refused")
        return cast(Answer, (name, number))

    return ask


def test_every_answer_of_every_teller_is_kept_once() -> None:
    with Load([teller("a"), teller("b"), teller("c")]) as load:
        load.wait_for_more()
        load.wait_for_more()
    answers: list[Any] = load.answers
    assert len(answers) >= 6
    assert len(set(answers)) == len(answers)
    for name in "abc":
        numbers = [number for one, number in answers if one == name]
        assert numbers == list(range(1, len(numbers) + 1))


def test_nobody_asks_after_the_block() -> None:
    with Load([teller("a")]) as load:
        load.wait_for_more()
    assert not any(thread.is_alive() for thread in load._threads)


def test_refusal_in_a_thread_is_raised_where_more_is_waited_for() -> None:
    with pytest.raises(DemoFailed, match="b was refused"), Load([teller("a"), teller("b", 1)]) as load:
        load.wait_for_more()


def test_refusal_in_a_thread_is_raised_where_the_block_ends() -> None:
    with pytest.raises(DemoFailed, match="a was refused"), Load([teller("a", 1)]) as load:
        load._threads[0].join()


def test_what_failed_in_the_block_itself_is_not_hidden() -> None:
    load = Load([teller("a", 1)])
    with pytest.raises(ZeroDivisionError), load:
        _divide_after(load)


def _divide_after(load: Load) -> float:
    load._threads[0].join()
    return 1 / len(load.answers)
