"""A document pattern means one thing, names what it lets through, and cannot be made slow."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from consent.patterns import MAX_INPUT, MAX_STEPS, check_pattern, matches

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
        "((((){999}){999}){999}){999}",
        "(?:(?:(?:(?:){999}){999}){999}){999}",
        "(((a{0}){999}){999}){999}",
        "((a{999}){999}){999}",
        "(?:[0-9]{1,99}){99}",
        "()",
        "a|b|",
        "|a",
        "(a|)b",
        "a{0}b",
        "a{0,0}b",
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
        ("(?:a|b)?", ""),
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
    while 65 ** (repeats + 1) <= MAX_STEPS:
        repeats += 1
    worst = "a*" * repeats + "b"
    check_pattern(worst)
    assert not matches(worst, "a" * MAX_INPUT)
    with pytest.raises(ValueError, match="too much open"):
        check_pattern("a*" + worst)


# --- counted, not timed: a matcher that goes back, and tries every way even after it found one


@dataclass
class Tries:
    """One text, and how often a character was held against it."""

    text: str
    made: int = 0


@dataclass(frozen=True)
class Piece:
    """A part of a pattern: what it is, what it is made of, and how often it stands."""

    kind: str
    parts: tuple[Piece, ...] = ()
    character: str = ""
    bounds: tuple[int, int] = field(default=(1, 1))

    def __str__(self) -> str:
        if self.kind == "character":
            return self.character
        if self.kind == "branches":
            return f"(?:{'|'.join(map(str, self.parts))})"
        inner = "".join(map(str, self.parts))
        return inner if self.kind == "sequence" else f"(?:{inner}){{{self.bounds[0]},{self.bounds[1]}}}"

    def ends(self, start: int, tries: Tries) -> Iterator[int]:
        if self.kind == "character":
            tries.made += 1
            if tries.text[start : start + 1] == self.character:
                yield start + 1
        elif self.kind == "branches":
            for part in self.parts:
                yield from part.ends(start, tries)
        elif self.kind == "sequence":
            yield from _one_by_one(self.parts, start, tries)
        else:
            yield from self._repeated(0, start, tries)

    def _repeated(self, times: int, start: int, tries: Tries) -> Iterator[int]:
        if times < self.bounds[1]:
            for end in _one_by_one(self.parts, start, tries):
                yield from self._repeated(times + 1, end, tries)
        if times >= self.bounds[0]:
            yield start


def _one_by_one(parts: tuple[Piece, ...], start: int, tries: Tries) -> Iterator[int]:
    if not parts:
        yield start
        return
    for end in parts[0].ends(start, tries):
        yield from _one_by_one(parts[1:], end, tries)


def _made_of(inner: st.SearchStrategy[Piece]) -> st.SearchStrategy[Piece]:
    some = st.lists(inner, max_size=3).map(tuple)
    bounds = st.tuples(st.integers(0, 3), st.integers(0, 12)).map(lambda of: (of[0], sum(of)))
    return (
        st.builds(Piece, st.just("sequence"), some)
        | st.builds(Piece, st.just("branches"), some)
        | st.builds(Piece, st.just("repeat"), some, bounds=bounds)
    )


def _open_repeats(times: int) -> Piece:
    one = Piece("repeat", (Piece("character", character="a"),), bounds=(0, MAX_INPUT))
    return Piece("sequence", (one,) * times + (Piece("character", character="b"),))


@given(
    st.recursive(st.builds(Piece, st.just("character"), character=st.sampled_from("ab")), _made_of),
    st.text("ab", max_size=MAX_INPUT) | st.integers(0, MAX_INPUT).map("a".__mul__),
)
@example(_open_repeats(2), "a" * MAX_INPUT)
def test_what_is_accepted_takes_no_more_steps_than_allowed_on_any_text(piece: Piece, text: str) -> None:
    try:
        check_pattern(str(piece))
    except ValueError:
        return
    tries = Tries(text)
    found = set(piece.ends(0, tries))
    assert tries.made <= MAX_STEPS
    assert matches(str(piece), text) == (len(text) in found)
