"""A document pattern means one thing, names what it lets through, and cannot be made slow."""

from __future__ import annotations

import re
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.patterns import MAX_INPUT, MAX_PATHS, check_pattern, matches

COURT = "（20[0-9]{2}）[一-龥]{1,2}[0-9]{0,4}执[保恢]?[0-9]{1,6}号"


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("（2026）琼01执123号", True),
        ("（2026）京0105执恢7号", True),
        ("（2026）琼01执123号\n", False),
        (" （2026）琼01执123号", False),
        ("（2026）琼01执123号之一", False),
        ("(2026)琼01执123号", False),
        ("（２０２６）琼01执123号", False),
        ("（2026）琼01执号", False),
        ("", False),
    ],
)
def test_the_whole_number_is_matched(text: str, fits: bool) -> None:
    check_pattern(COURT)
    assert matches(COURT, text) == fits


def test_a_number_that_is_too_long_is_of_no_pattern() -> None:
    assert matches("[0-9]*", "1" * MAX_INPUT)
    assert not matches("[0-9]*", "1" * (MAX_INPUT + 1))


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "1" * 201,
        "(a+)+b",
        "(?:a*)*b",
        "(?:a|a)*b",
        "(?:a|aa){20}b",
        "[0-9]*[0-9]*[0-9]*x",
        "[0-9]{0,50}[0-9]{0,50}[0-9]{0,50}x",
        "((((a?){9}){9}){9}){9}",
        "a**",
        "a{2}{2}",
        "a+?",
        "a++",
        "a{3,2}",
        "a{,2}",
        "a{x}",
        ".",
        ".*",
        "^1$",
        "\\d+",
        "\\w",
        "\\bA",
        "(a)\\1",
        "(?=a)a",
        "(?<!a)b",
        "(?P<n>a)",
        "(?i)a",
        "(?i:a)",
        "[^0-9]",
        "[]",
        "[]]",
        "[z-a]",
        "[a[b]",
        "[a--b]",
        "[a&&b]",
        "[a",
        "(a",
        "a)",
        "a|b)",
        "*a",
        "}",
        "a\n",
        "a\u200b",
        "\\",
    ],
)
def test_what_is_not_of_the_allowed_part_or_could_be_slow_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="document pattern"):
        check_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("[A-Za-z]{1,4}-[0-9]+", "KOU-2026"),
        ("(?:查询|调证)字〔20[0-9]{2}〕[0-9]{1,5}号", "调证字〔2026〕12号"),
        ("(第[0-9]{1,3}号)?", ""),
        ("\\(\\.\\-\\)\\[x\\]", "(.-)[x]"),
        ("[a\\]\\-]{3,}", "]-a"),
        ("a|b|", ""),
        ("(?:[0-9]{2}-){1,3}x", "12-34-x"),
        ("a*", ""),
        ("1" * 200, None),
    ],
)
def test_what_is_allowed_is_enough_to_write_numbers_down(pattern: str, text: str | None) -> None:
    check_pattern(pattern)
    if text is not None:
        assert matches(pattern, text)


PIECES = [
    "a",
    "b",
    "0",
    "执",
    "[ab]",
    "[0-9]",
    "(a)",
    "(?:a|b)",
    "(a?b|a)",
    "|",
    "(",
    ")",
    "[",
    "]",
    "\\.",
    "\\d",
]
REPEATS = ["", "", "", "?", "*", "+", "{2}", "{0,3}", "{2,}", "{9,999}"]


@given(st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from(REPEATS)), min_size=1, max_size=8))
def test_what_is_accepted_compiles_without_a_word_and_never_runs_away(parts: list[tuple[str, str]]) -> None:
    pattern = "".join(piece + repeat for piece, repeat in parts)
    try:
        check_pattern(pattern)
    except ValueError:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        re.compile(pattern)
    for text in ("a" * 63 + "x", "0" * 64, "ab" * 32, "执"):
        assert matches(pattern, text) == (re.fullmatch(pattern, text) is not None)


def test_the_most_that_is_allowed_is_refused_or_matched_in_no_time() -> None:
    """As many open repeats of one character as may be: the worst that an author can write."""
    repeats = 1
    while 65 ** (repeats + 1) <= MAX_PATHS:
        repeats += 1
    worst = "a*" * repeats + "b"
    check_pattern(worst)
    assert not matches(worst, "a" * MAX_INPUT)
    with pytest.raises(ValueError, match="too much open"):
        check_pattern("a*" + worst)
