"""Tables of text: each row is there or told, whatever its bytes are."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from apothecary.importers.delimited import Decoding, columns, rows
from apothecary.importers.report import Remark, Report
from apothecary.importers.sources import members


def _read(path: Path, names: tuple[str, ...] = (), closed: bool = False) -> tuple[list[dict[str, str]], list[str]]:
    told: list[Remark] = []
    report = Report(told.append)
    [member] = members([path], report)
    separator = "|" if closed else columns(member)[0]
    found = [row.fields for row in rows(member, report, separator, names, closed=closed)]
    return found, [f"{one.place.line}: {one.kind}: {one.reason}" for one in told]


@pytest.mark.parametrize(
    ("data", "found", "told"),
    [
        (b"A\tB\n1\t2\n", [{"A": "1", "B": "2"}], []),
        (b"A\tB\r\n1\t2\r\n\r\n", [{"A": "1", "B": "2"}], []),
        (b"\xef\xbb\xbfA|B\n1|2", [{"A": "1", "B": "2"}], []),
        (b'A\tB\n"1\t"2 3"\n', [{"A": '"1', "B": '"2 3"'}], []),
        (
            b"A\tB\n1\n1\t2\t3\n1\t\n",
            [{"A": "1", "B": ""}],
            ["2: skipped: has 1 columns, not 2", "3: skipped: has 3 columns, not 2"],
        ),
        (b"A\n\xc3\xa9\n", [{"A": "é"}], []),
        (
            b"A\n\xe9\n\x99\n\x81\n",
            [{"A": "é"}, {"A": "™"}, {"A": "\x81"}],
            ["2: approximated: is not UTF-8: lines such as this one are read as Windows-1252"],
        ),
        (
            b"A\tB\n1\x00\t\x1f2\n",
            [{"A": "1", "B": "2"}],
            ["2: approximated: a control character is left out: FHIR's text has none"],
        ),
        (b"", [], []),
    ],
)
def test_a_row_is_there_or_told(tmp_path: Path, data: bytes, found: list[dict[str, str]], told: list[str]) -> None:
    path = tmp_path / "product.txt"
    path.write_bytes(data)
    assert _read(path) == (found, told)


def test_lines_without_names_that_end_with_a_separator(tmp_path: Path) -> None:
    path = tmp_path / "RXNSAB.RRF"
    path.write_bytes(b"1||3|\n1|2|3\n|||\n")
    found, told = _read(path, ("A", "B", "C"), closed=True)
    assert found == [{"A": "1", "B": "", "C": "3"}, {"A": "1", "B": "2", "C": "3"}, {"A": "", "B": "", "C": ""}]
    assert told == []


@given(some.binary(max_size=40))
def test_any_bytes_are_text_of_fhir(line: bytes) -> None:
    text = Decoding("product.txt", Report(lambda remark: None))(2, line)
    assert not any(character < " " and character not in "\t\n\r" for character in text)
