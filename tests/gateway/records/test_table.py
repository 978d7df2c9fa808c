"""Lines are counted as an editor counts them, and nothing is guessed."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.records.table import MalformedFile, read_table


def test_row_is_known_by_the_line_on_which_it_begins() -> None:
    table = read_table(io.StringIO('a,b\n\n"x\ny",1\nz,2\n', newline=""))
    assert table.header == ("a", "b")
    assert [(row.line, row.cells) for row in table.rows] == [(3, ("x\ny", "1")), (5, ("z", "2"))]


def test_byte_order_mark_belongs_to_no_column() -> None:
    assert read_table(io.StringIO("\ufeffa,b\n1,2\n", newline="")).header == ("a", "b")


def test_file_with_nothing_in_it_is_refused() -> None:
    with pytest.raises(MalformedFile, match="empty"):
        read_table(io.StringIO("", newline=""))


@pytest.mark.parametrize("tail", ['"open', '"a"b,c\n'])
def test_broken_quotes_are_refused_with_their_line_and_without_their_cells(tail: str) -> None:
    table = read_table(io.StringIO("a,b\nsecret,2\n" + tail, newline=""))
    with pytest.raises(MalformedFile, match="line 3") as caught:
        list(table.rows)
    assert "secret" not in str(caught.value)
    assert "open" not in str(caught.value)


def test_bytes_that_are_not_utf_8_are_refused() -> None:
    lines = io.TextIOWrapper(io.BytesIO("姓名\n张三\n".encode("gb18030")), encoding="utf-8", newline="")
    with pytest.raises(MalformedFile, match="UTF-8"):
        read_table(lines)


cells = st.text(max_size=8).map(str.strip).filter(lambda text: "\0" not in text and "\ufeff" not in text)


@given(st.lists(st.lists(cells, min_size=2, max_size=2), min_size=1, max_size=5))
def test_what_a_csv_writer_wrote_is_read_back(rows: list[list[str]]) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows(rows)
    table = read_table(io.StringIO(out.getvalue(), newline=""))
    assert [list(table.header), *(list(row.cells) for row in table.rows)] == rows
