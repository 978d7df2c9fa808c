"""Invented adults for the demo and the tests.

Invariant: the same seed gives the same people, no two share a citizen number or a name, and none can be a
real person: the first six digits (the division code of GB/T 2260) start with 99, which no place in China
has. Everything else about the number is as GB 11643 wants it: birth date, order code, check digit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random
from typing import Final

from faker import Faker
from stdnum.cn.ric import calc_check_digit as citizen_check_digit
from stdnum.cn.uscc import calc_check_digit as uscc_check_digit

SYNTHETIC_DIVISION: Final = "990"
"""First three digits of every invented division code; provinces end at 91 (GB/T 2260)."""

ADULT_AGE: Final = 18


@dataclass(frozen=True, slots=True)
class Person:
    """An invented adult. Neither name nor number shows in a repr: tests search logs for both."""

    citizen_number: str = field(repr=False)
    name: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Born:
    """What a citizen number must agree with: `age` in full years, reached on the day `on`."""

    age: int
    on: date


def years_before(day: date, years: int) -> date:
    """The same day `years` earlier; 29 February falls back to 28 February."""
    try:
        return day.replace(year=day.year - years)
    except ValueError:
        return day.replace(year=day.year - years, day=28)


def synthetic_people(seed: int, births: Sequence[Born]) -> tuple[Person, ...]:
    """One invented adult for each entry of `births`, in order; deterministic in `seed` and `births`.

    Raises ValueError for an age below 18: a minor's record may not be collected, so none is invented.
    """
    random = Random(seed)  # noqa: S311 - repeatable, nothing here is secret
    fake = Faker("zh_CN")
    fake.seed_instance(seed)
    numbers: set[str] = set()
    names: set[str] = set()
    people = []
    for born in births:
        if born.age < ADULT_AGE:
            raise ValueError("only adults are invented")
        number = _citizen_number(random, born)
        while number in numbers:
            number = _citizen_number(random, born)
        name = fake.name()
        while name in names:
            name = fake.name()
        numbers.add(number)
        names.add(name)
        people.append(Person(number, name))
    return tuple(people)


def _citizen_number(random: Random, born: Born) -> str:
    latest = years_before(born.on, born.age)
    earliest = years_before(born.on, born.age + 1) + timedelta(days=1)
    birth = earliest + timedelta(days=random.randint(0, (latest - earliest).days))
    division = f"{SYNTHETIC_DIVISION}{random.randint(1, 999):03d}"
    order = f"{random.randint(1, 999):03d}"
    body = f"{division}{birth:%Y%m%d}{order}"
    return body + citizen_check_digit(body + "0")


def synthetic_uscc(serial: int) -> str:
    """An invented unified social credit code (统一社会信用代码, GB 32100) with a right check character.

    `serial` is 0 to 9999; the division code 990000 belongs to no place, so the code to no organisation.
    """
    if not 0 <= serial <= 9999:
        raise ValueError("serial must be 0 to 9999")
    body = f"91990000DEMA{serial:05d}"
    return body + uscc_check_digit(body)
