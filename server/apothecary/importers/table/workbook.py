"""XLSX, read by openpyxl row by row: https://openpyxl.readthedocs.io/en/stable/optimized.html#read-only-mode

What openpyxl does not tell row by row (hidden rows, formulas) or has no bounds for is looked up in the file before:
https://ecma-international.org/publications-and-standards/standards/ecma-376/
"""

from __future__ import annotations

import re
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import IO, Any

from apothecary.importers.report import Place, Report
from apothecary.importers.sources import Member, Torn
from apothecary.importers.table.cells import LONGEST, LONGEST_TEXT, WIDEST, Cell, Row, Sheet, trimmed

SUFFIXES = (".xlsx", ".xlsm")

# Packed and unpacked, a workbook may have so many bytes; its texts are kept in memory.
_LARGEST_FILE = 512 * 1024 * 1024
_LARGEST = 2 * 1024**3
_LARGEST_TEXTS = 256 * 1024 * 1024
_MOST_PACKED, _HARMLESS = 200, 64 * 1024 * 1024
_MOST_CELLS = 200_000_000
_IN_MEMORY = 16 * 1024 * 1024
_BLOCK = 1024 * 1024
_TAG = 4096

# No attribute holds a `<`: so that none of these looks at a part twice.
_ROW = re.compile(rb"<(?:\w+:)?row\b[^<>]*>")
_NUMBER = re.compile(rb'\br="(\d+)"')
_HIDDEN = re.compile(rb'\bhidden="(?:1|true)"')
_WIDE = re.compile(rb'<(?:\w+:)?c\b[^<>]*\br="([A-Z]{3,})\d')
_FORMULA = re.compile(rb"<(?:\w+:)?f[ />]")


@dataclass(slots=True)
class _Seen:
    """What was looked up in the part of a sheet."""

    formulas: bool = False
    hidden: set[int] = field(default_factory=set)


@contextmanager
def sheet(member: Member, report: Report, wanted: str | None) -> Iterator[Sheet]:
    """The sheet of that name, or the first one that is not hidden. Raises Torn where it cannot be read; the others are
    told.
    """
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as copy:
        with member.open() as stream:
            size = 0
            while block := stream.read(_BLOCK):
                size += len(block)
                if size > _LARGEST_FILE:
                    raise Torn(f"is larger than {_LARGEST_FILE} bytes")
                copy.write(block)
        parts = _looked_up(copy)
        with ExitStack() as books:
            # Of a part that does not say how large it is, openpyxl reads each row with every opening.
            values = books.enter_context(_book(copy, data_only=True))
            chosen = _chosen(member.name, values, wanted, report)
            seen = parts.get(str(getattr(chosen, "_worksheet_path", "")).lstrip("/")) or _Seen(formulas=True)
            formulas = books.enter_context(_book(copy, data_only=False))[chosen.title] if seen.formulas else None
            yield Sheet(chosen.title, _rows(chosen, formulas, seen))


def _looked_up(copy: IO[bytes]) -> dict[str, _Seen]:
    """What the parts of the sheets hold, by their names. Raises Torn for what is not read."""
    found: dict[str, _Seen] = {}
    total = 0
    with _understood(), zipfile.ZipFile(copy) as archive:
        for info in archive.infolist():
            name = info.filename.lstrip("/")
            total += info.file_size
            ratio = info.file_size / max(info.compress_size, 1)
            if total > _LARGEST or (info.file_size > _HARMLESS and ratio > _MOST_PACKED):
                raise Torn(f"unpacked, {name} would have {info.file_size} bytes")
            if name.endswith("sharedStrings.xml") and info.file_size > _LARGEST_TEXTS:
                raise Torn(f"has texts of {info.file_size} bytes")
            if name.endswith((".xml", ".rels")):
                with archive.open(info) as part:
                    found[name] = _scan(name, part)
    return found


def _scan(name: str, part: IO[bytes]) -> _Seen:
    seen = _Seen()
    rest = b""
    while block := part.read(_BLOCK):
        text = rest + block
        if b"<!DOCTYPE" in text or b"<\0!\0D\0" in text or b"\0<\0!\0D" in text:
            raise Torn(f"{name} has a document type declaration")
        if "/worksheets/" in name:
            seen.formulas = seen.formulas or _FORMULA.search(text) is not None
            for tag in _ROW.findall(text):
                number = _NUMBER.search(tag)
                if number is not None and (len(number[1]) > 7 or int(number[1]) > LONGEST):
                    raise Torn(f"{name} has a row {number[1][:20].decode()}, and no sheet has more than {LONGEST}")
                if number is not None and _HIDDEN.search(tag):
                    seen.hidden.add(int(number[1]))
            for column in _WIDE.findall(text):
                if len(column) > 3 or _index(column) > WIDEST:
                    raise Torn(f"{name} has a column {column[:20].decode()}; {WIDEST} are read at most")
        rest = text[-_TAG:]
        # A tag that ended is not looked at twice to any harm; one that did not is begun again.
    return seen


def _index(letters: bytes) -> int:
    number = 0
    for one in letters:
        number = number * 26 + one - 64
    return number


@contextmanager
def _book(copy: IO[bytes], *, data_only: bool) -> Iterator[Any]:
    """The workbook with the values of its cells as they were calculated last, or with their formulas."""
    from openpyxl import load_workbook

    with warnings.catch_warnings(), _understood():
        # What it does not understand, and leaves alone: drop-down lists, print settings.
        warnings.simplefilter("ignore")
        copy.seek(0)
        book = load_workbook(copy, read_only=True, data_only=data_only, keep_links=False)
    with closing(book):
        yield book


@contextmanager
def _understood() -> Iterator[None]:
    """Whatever the readers of zip files, XML and workbooks raise for a broken file, as Torn."""
    try:
        yield
    except (Torn, GeneratorExit, MemoryError, RecursionError):
        raise
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise Torn(str(error) or type(error).__name__) from error
    except (ArithmeticError, AssertionError, AttributeError, LookupError, SyntaxError, TypeError, ValueError) as error:
        # ElementTree's ParseError is a SyntaxError; openpyxl checks what it reads with the others.
        raise Torn(f"is no workbook that can be read: {error}") from error


def _chosen(file: str, book: Any, wanted: str | None, report: Report) -> Any:
    tables = [one for one in book.worksheets if hasattr(one, "iter_rows")]
    names = [one.title for one in tables]
    if wanted is not None and wanted not in names:
        raise Torn(f"has no sheet {wanted!r}; it has {', '.join(map(repr, names[:20])) or 'none'}")
    seen = [one for one in tables if one.sheet_state == "visible"] or tables
    if not seen:
        raise Torn("has no sheet")
    chosen = next(one for one in tables if one.title == wanted) if wanted is not None else seen[0]
    others = [one.title for one in tables if one is not chosen]
    if others and wanted is None:
        said = f"the sheet {chosen.title!r} is read; the others are not: {', '.join(map(repr, others[:20]))}"
        report.skipped(Place(file, column="sheet"), said)
    return chosen


def _rows(values: Any, formulas: Any, seen: _Seen) -> Iterator[Row]:
    # A workbook says how large its sheets are, and need not be right.
    values.reset_dimensions()
    if formulas is not None:
        formulas.reset_dimensions()
    others = formulas.iter_rows(max_col=None) if formulas is not None else None
    cells = 0
    with warnings.catch_warnings(), _understood():
        warnings.simplefilter("ignore")
        for number, row in enumerate(values.iter_rows(), 1):
            other = next(others, ()) if others is not None else ()
            cells += len(row) + 1
            if cells > _MOST_CELLS:
                raise Torn(f"has more than {_MOST_CELLS} cells")
            found = [_cell(one, other[place] if place < len(other) else None) for place, one in enumerate(row)]
            while found and found[-1] == _EMPTY:
                found.pop()
            yield Row(number, found, number in seen.hidden)


_EMPTY = Cell("")


def _cell(cell: Any, formula: Any) -> Cell:
    value = cell.value
    match value:
        case None:
            if formula is not None and formula.value is not None:
                return Cell(str(formula.value)[:100], "no value")
            return _EMPTY
        case bool():
            return Cell("TRUE" if value else "FALSE")
        case int():
            return _shown(str(value), value, cell)
        case float():
            return _number(value, cell)
        case datetime() | date() | time() | timedelta():
            if isinstance(value, datetime) and value.time() == time():
                value = value.date()
            return Cell(str(value), "date")
        case str():
            text = trimmed("".join(one for one in value if one >= " " or one in "\t\n\r"))
            if cell.data_type == "e":
                return Cell(text[:LONGEST_TEXT], "error")
            return Cell(text) if len(text) <= LONGEST_TEXT else Cell(f"a text of {len(text)} characters", "error")
    return Cell(str(value)[:LONGEST_TEXT])


def _number(value: float, cell: Any) -> Cell:
    if value != value or value in (float("inf"), float("-inf")):
        return Cell(str(value), "error")
    return _shown(_digits(value), value, cell)


def _digits(value: float) -> str:
    # Excel keeps and shows 15 digits; what comes after them in binary is nobody's.
    text = f"{value:.15g}"
    if "e" not in text:
        return text
    return f"{value:.15f}".rstrip("0").rstrip(".") if abs(value) < 1 else f"{value:.0f}"


# A number with a text behind it, which everybody reads as its unit: `0.0" mg"`.
_WITH_TEXT = re.compile(r'[#0,.]+\s?"([^"]{1,40})"')


def _shown(text: str, value: float, cell: Any) -> Cell:
    """A number as its format shows it, where that adds what a number cannot have: zeros in front, as codes have, a
    unit, or the sign of percent.
    """
    if len(text.replace(".", "").lstrip("-0")) > 15:
        return Cell(text, "too precise")
    shape = getattr(cell, "number_format", "") or ""
    if len(shape) > 1 and set(shape) == {"0"} and text.isdigit():
        return Cell(text.zfill(len(shape)), "number")
    if shape.endswith("%"):
        return Cell(f"{_digits(value * 100)} %", "number")
    behind = _WITH_TEXT.fullmatch(shape)
    return Cell(text if behind is None else f"{text} {behind[1].strip()}", "number")
