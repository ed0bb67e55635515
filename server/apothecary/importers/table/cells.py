"""The cells of a table, and what every reader of tables gives."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

Kind = Literal["text", "number", "date", "error", "no value", "too precise"]

# The widest table that is read, and the longest that Excel writes:
# https://support.microsoft.com/office/excel-specifications-and-limits-1672b34d-7043-467e-8e27-269d656771c3
WIDEST = 1_024
LONGEST = 1_048_576
# What a cell may have: Excel writes no more than 32,767 characters into one.
LONGEST_TEXT = 32_767

_SPACES = re.compile(r"[\s\u00a0\u200b\ufeff]+")


class Cell(NamedTuple):
    """A cell: its text, and what it was kept as. `number` and `date` are what a workbook keeps as such, `error` is what
    Excel writes in place of a value, `no value` a formula that nobody has calculated, `too precise` a number of more
    digits than Excel keeps.
    """

    text: str
    kind: Kind = "text"


class Row(NamedTuple):
    """A row, from 1, with its cells; a hidden one is one that people who look at the table do not see."""

    line: int
    cells: list[Cell]
    hidden: bool = False


class Sheet(NamedTuple):
    """A table as it stands: its name (empty, but for the sheets of a workbook) and its rows."""

    name: str
    rows: Iterator[Row]


def trimmed(text: str) -> str:
    """A text without white space around it, no-break spaces and the like included."""
    return text.strip(" \t\r\n\u00a0\u200b\ufeff\u2003\u2009")


def folded(text: str) -> str:
    """A text as names of columns are compared: case and white space make no difference."""
    return _SPACES.sub(" ", text).strip().casefold()
