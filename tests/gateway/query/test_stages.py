"""A batch's stages: what befalls one stays in its place, and the others go on."""

from __future__ import annotations

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
