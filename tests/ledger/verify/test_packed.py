"""Packed collections find what was put in, and nothing else."""

from __future__ import annotations

import random

import pytest

from ledger.verify.granted import Grants
from ledger.verify.packed import Numbers, Once
from ledger.verify.persons import _SEEN, Subjects

MANY = 40_000
"""More than one doubling of the buckets."""


def keys(size: int) -> list[bytes]:
    """Different ones."""
    drawn = random.Random(size)
    return list({drawn.randbytes(size): None for _ in range(MANY)})


def test_each_key_is_said_once() -> None:
    once, made = Once(24), keys(24)
    assert all(once.add(key) for key in made)
    assert not any(once.add(key) for key in made[::7])
    assert all(key in once for key in made)
    assert not any(key[::-1] in once for key in made)


def test_each_key_has_its_number() -> None:
    numbers, made = Numbers(20), keys(20)
    for number, key in enumerate(made):
        numbers.add(key, number)
    assert [numbers.get(key) for key in made] == list(range(len(made)))
    assert all(numbers.get(key[::-1]) is None for key in made)


def test_what_is_not_kept_may_be_said_again() -> None:
    numbers, made = Numbers(20), keys(20)
    for number, key in enumerate(made):
        numbers.add(key, number)
    numbers.keep(lambda number: number % 3 == 0)
    kept = [number if number % 3 == 0 else None for number in range(len(made))]
    assert [numbers.get(key) for key in made] == kept
    numbers.add(made[1], 7)
    assert numbers.get(made[1]) == 7


@pytest.mark.parametrize("make", [Once, Numbers])
def test_a_key_across_two_records_is_not_there(make: type) -> None:
    """All keys fall into one bucket, where their bytes stand behind each other."""
    packed = make(4)
    packed._mask, packed._buckets = 0, [bytearray()]
    packed._count = -1_000_000  # never spread
    records = [b"aaab", b"aaaa", b"baaa"]
    for number, key in enumerate(records):
        packed.add(key) if make is Once else packed.add(key, number)
    for key in (b"abaa", b"aaba", b"\0\0\0\0", b"aab\0"):
        assert key not in packed if make is Once else packed.get(key) is None
    assert all((key in packed) if make is Once else packed.get(key) is not None for key in records)


def test_a_person_keeps_their_place_however_many_were_met_since() -> None:
    subjects = Subjects(Grants())
    tags = [f"{number:022}".encode() for number in range(_SEEN + 100)]
    places = [subjects.slot(tag) for tag in tags]
    assert places == list(range(len(tags)))
    assert [subjects.slot(tag) for tag in tags] == places
    assert len(subjects.seen) <= _SEEN


def test_a_consent_is_found_by_its_leaf_alone() -> None:
    grants = Grants()
    drawn = random.Random("grants")
    leaves = sorted(drawn.sample(range(20_000), 900))
    for leaf in leaves:
        grants.add(leaf, leaf % 5, 0, bytes(48), 1)
    place = {leaf: number for number, leaf in enumerate(leaves)}
    assert all(grants.find(leaf) == place.get(leaf) for leaf in range(21_000))
