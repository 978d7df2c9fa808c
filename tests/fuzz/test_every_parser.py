"""A parser accepts what its formatter emits and nothing else, and refuses with the error that it declares."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from keys import instant
from tests.fuzz.pairs import Pair, accepts, examples
from tests.fuzz.spoiling import nearly, spoiled
from tests.fuzz.table import BY_NAME, EXCEPTED, TABLE

ROOT = Path(__file__).parents[2]
PACKAGES = ("keys", "consent", "ledger", "gateway")
LONG = os.environ.get("FUZZ") == "long"
ROUND_TRIPS = settings(max_examples=1_000 if LONG else 8, suppress_health_check=list(HealthCheck))
ATTEMPTS = settings(max_examples=5_000 if LONG else 25, suppress_health_check=list(HealthCheck))
rows = pytest.mark.parametrize("pair", TABLE, ids=lambda pair: pair.name)


@cache
def public(prefix: str) -> frozenset[str]:
    """`module:name` of every public function of that beginning in the packages."""
    found = set()
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        text = path.read_text("utf-8")
        if f"\ndef {prefix}" in text:
            nodes = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
            found |= {f"{module}:{node.name}" for node in nodes if node.name.startswith(prefix)}
    return frozenset(found)


def test_every_public_parser_is_in_the_table() -> None:
    found = public("parse_")
    assert len(found) > 30
    assert found - BY_NAME.keys() - EXCEPTED.keys() == set()


def test_every_public_formatter_is_in_the_table() -> None:
    written = {f"{pair.formatter.__module__}:{pair.formatter.__name__}" for pair in TABLE}
    assert public("format_") - written - EXCEPTED.keys() == set()


def test_nothing_is_excepted_that_is_in_the_table_or_is_no_more() -> None:
    assert EXCEPTED.keys() & BY_NAME.keys() == set()
    assert EXCEPTED.keys() <= public("parse_") | public("format_")


@rows
def test_what_is_written_is_read_back_and_written_alike(pair: Pair) -> None:
    @ROUND_TRIPS
    @given(pair.values)
    def both_ways(value: object) -> None:
        written = pair.write(value)
        assert pair.same(pair.read(written), value)
        assert accepts(pair, written)
        assert pair.write(pair.read(written)) == written

    both_ways()


@rows
def test_what_is_nearly_right_is_refused_or_is_the_one_form(pair: Pair) -> None:
    @ATTEMPTS
    @given(spoiled(pair.good))
    def hold(data: bytes) -> None:
        accepts(pair, data)

    hold()


@rows
def test_each_known_trick_on_what_is_right(pair: Pair) -> None:
    """What mutation may miss by chance is tried here every time, on a value."""
    for good in examples(pair.good, 1):
        for data in nearly(good):
            accepts(pair, data)


# --- the checks can fail ---


def _lax(data: bytes) -> int:
    """`parse_instant` of somebody who is kind to white space."""
    return instant.parse_instant(data.decode("utf-8", "surrogateescape").strip())


def _fragile(data: bytes) -> int:
    """`parse_instant` of somebody who trusts what arrives to be text."""
    return instant.parse_instant(data.decode())


@pytest.mark.parametrize(("wrong", "error"), [(_lax, AssertionError), (_fragile, UnicodeDecodeError)])
def test_a_parser_with_a_fault_is_found(wrong: Callable[[bytes], int], error: type[Exception]) -> None:
    pair = replace(BY_NAME["keys.instant:parse_instant"], read=wrong)
    with pytest.raises(error):
        _ = [accepts(pair, data) for data in nearly(b"2026-11-21T08:00:00.000Z")]


def test_chance_finds_a_fault_too() -> None:
    pair = replace(BY_NAME["keys.instant:parse_instant"], read=_lax)

    @settings(max_examples=400, database=None, derandomize=True, phases=[Phase.generate])
    @given(spoiled(st.just(b"2026-11-21T08:00:00.000Z")))
    def hold(data: bytes) -> None:
        accepts(pair, data)

    with pytest.raises(AssertionError, match="would not emit"):
        hold()


def test_a_parser_that_nobody_listed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(BY_NAME, "ledger.proof:parse_proof")
    with pytest.raises(AssertionError):
        test_every_public_parser_is_in_the_table()
