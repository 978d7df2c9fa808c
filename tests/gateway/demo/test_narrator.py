"""Lines reach the terminal whole, and no wider than it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.demo.messages import STORY
from gateway.demo.narrator import width_of, wrap

TEXT = st.text(alphabet="abc ,.，。（）中文字", max_size=120)


@given(TEXT, st.integers(20, 100))
def test_wrapping_loses_nothing_but_spaces(text: str, width: int) -> None:
    assert "".join("".join(wrap(text, width)).split()) == "".join(text.split())


@pytest.mark.parametrize("key", STORY)
@pytest.mark.parametrize("width", [60, 97])
def test_every_line_of_the_story_fits_the_terminal(key: str, width: int) -> None:
    for template in STORY[key]:
        assert all(width_of(row) <= width for row in wrap(template, width))


def test_chinese_is_two_columns_wide_and_no_row_begins_with_a_mark() -> None:
    rows = list(wrap("没有本人同意，就没有信用查询。", 12))
    assert rows == ["没有本人同", "意，就没有信", "用查询。"]
    assert width_of(rows[0]) == 10


def test_english_is_broken_at_spaces_only() -> None:
    assert list(wrap("no query without consent", 12)) == ["no query", "without", "consent"]
