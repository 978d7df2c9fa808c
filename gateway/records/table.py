"""A source's file as rows: CSV with the lines on which its rows begin.

Invariant: every row keeps the line of the file on which it begins, so that a refusal can point at it, and no
message holds a cell. Bytes must be UTF-8 (a byte order mark is allowed); nothing is guessed.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gateway.errors import GatewayError


class MalformedFile(GatewayError):
    """The file is no CSV, or has no header; the message gives the line."""


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of one row, and the line of the file on which it begins (from 1)."""

    line: int
    cells: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Table:
    """A file's header, and its rows as they are read."""

    header: tuple[str, ...]
    rows: Iterator[Row]


def read_table(lines: Iterable[str]) -> Table:
    """Read CSV (RFC 4180; comma, double quotes) from lines with their ends. Empty lines are skipped.

    Open the file with `encoding="utf-8", newline=""` and pass it as it is.

    Raises MalformedFile at once for a missing header, and from the rows for a line that is no CSV.
    """
    reader = csv.reader(lines, strict=True)

    def rows() -> Iterator[Row]:
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise MalformedFile(f"line {line}: not CSV ({error})") from None
            except UnicodeDecodeError:
                raise MalformedFile(f"line {line} or after: not UTF-8") from None
            if cells:
                yield Row(line, tuple(cell.strip() for cell in cells))

    every = rows()
    header = next(every, None)
    if header is None:
        raise MalformedFile("the file is empty: its first line must name the columns")
    # A byte order mark is what spreadsheet programs write before UTF-8; it belongs to no column's name.
    return Table((header.cells[0].removeprefix("\ufeff").strip(), *header.cells[1:]), every)
