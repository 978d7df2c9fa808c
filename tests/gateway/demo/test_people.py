"""Invented people are adults, distinct, the same for a seed, and nobody."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.demo.people import SYNTHETIC_DIVISION, Born, synthetic_people, synthetic_uscc, years_before
from keys.blind import canonical_citizen_number, canonical_uscc

DAY = date(2026, 11, 21)


@given(
    st.integers(), st.lists(st.builds(Born, st.integers(18, 90), st.dates(date(2020, 1, 1), DAY)), max_size=5)
)
@settings(max_examples=30, deadline=None)
def test_number_is_valid_and_agrees_with_the_age(seed: int, births: list[Born]) -> None:
    for person, born in zip(synthetic_people(seed, births), births, strict=True):
        number = person.citizen_number
        assert canonical_citizen_number(number) == number
        birth = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
        age = born.on.year - birth.year - ((born.on.month, born.on.day) < (birth.month, birth.day))
        assert age == born.age


def test_same_seed_gives_the_same_people_and_another_seed_others() -> None:
    births = [Born(30, DAY)] * 20
    assert synthetic_people(1, births) == synthetic_people(1, births)
    assert not set(synthetic_people(1, births)) & set(synthetic_people(2, births))


def test_people_of_one_age_are_distinct() -> None:
    people = synthetic_people(5, [Born(18, DAY)] * 1000)
    assert len({person.citizen_number for person in people}) == 1000
    assert len({person.name for person in people}) == 1000


def test_no_number_has_the_division_code_of_a_place() -> None:
    """GB/T 2260 assigns 11 to 91; nothing starts with 99."""
    people = synthetic_people(5, [Born(40, DAY)] * 200)
    assert SYNTHETIC_DIVISION.startswith("99")
    assert {person.citizen_number[:3] for person in people} == {SYNTHETIC_DIVISION}


def test_minor_is_never_invented() -> None:
    with pytest.raises(ValueError, match="adults"):
        synthetic_people(1, [Born(17, DAY)])


def test_person_does_not_show_in_a_repr() -> None:
    person = synthetic_people(1, [Born(30, DAY)])[0]
    assert person.name not in repr(person)
    assert person.citizen_number not in repr(person)


def test_leap_day_falls_back() -> None:
    assert years_before(date(2024, 2, 29), 1) == date(2023, 2, 28)
    assert years_before(date(2024, 2, 29), 4) == date(2020, 2, 29)


@given(st.integers(0, 9999))
def test_invented_institution_has_a_valid_code_of_no_place(serial: int) -> None:
    code = synthetic_uscc(serial)
    assert canonical_uscc(code) == code
    assert code[2:8] == "990000"


def test_invented_institutions_are_distinct() -> None:
    assert len({synthetic_uscc(serial) for serial in range(10_000)}) == 10_000
    with pytest.raises(ValueError, match="serial"):
        synthetic_uscc(10_000)
