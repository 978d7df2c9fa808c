"""A batch's stages: what befalls one stays in its place, and the others go on."""

from __future__ import annotations

import gc
import weakref

import pytest

from gateway.query.stages import each


def test_each_step_is_done_for_all_before_the_next() -> None:
    done: list[tuple[str, int]] = []

    def first(value: int) -> int:
        done.append(("first", value))
        return 10 * value

    def second(value: int) -> str:
        done.append(("second", value))
        return str(value)

    assert each(second, each(first, [1, 2])) == ["10", "20"]
    assert done == [("first", 1), ("first", 2), ("second", 10), ("second", 20)]


def test_what_befalls_one_is_a_value_in_its_place_and_meets_no_later_stage() -> None:
    def inverse(value: int) -> float:
        return 1 / value

    halves = each(lambda value: value / 2, each(inverse, [1, 0, 4]))
    assert halves[::2] == [0.5, 0.125]
    assert isinstance(halves[1], ZeroDivisionError)


def test_an_error_leads_to_nothing_of_the_others() -> None:
    """A traceback would: its frames hold the whole batch, answers in clear and opened keys among it."""

    class Held:
        pass

    def first(value: Held) -> Held:
        try:
            raise OSError("below")
        except OSError as error:
            raise ValueError("above") from error

    batch = [Held(), Held()]
    gone = weakref.ref(batch[1])
    gc.disable()
    try:
        failed = each(first, batch)[0]
        del batch
        assert gone() is None
    finally:
        gc.enable()
    assert isinstance(failed, ValueError)
    assert isinstance(failed.__cause__, OSError)
    assert (failed.__traceback__, failed.__cause__.__traceback__) == (None, None)


class Panic(BaseException):
    """As a library written in Rust raises it."""


def test_a_panic_is_one_asks_own_and_what_ends_the_process_is_not() -> None:
    def step(value: BaseException | None) -> int:
        if value is not None:
            raise value
        return 1

    panic = Panic()
    assert each(lambda raises: step(panic if raises else None), [True, False]) == [panic, 1]
    with pytest.raises(KeyboardInterrupt):
        each(lambda _: step(KeyboardInterrupt()), [True])
