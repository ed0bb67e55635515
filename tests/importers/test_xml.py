"""Large XML files, record by record."""

from __future__ import annotations

import contextlib
import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apothecary.importers.sources import Torn
from apothecary.importers.xml import Element, records


def read(text: str | bytes, depth: int = 1) -> list[Element]:
    data = text.encode() if isinstance(text, str) else text
    return list(records(io.BytesIO(data), lambda root: depth))


def test_records_are_given_with_their_names_texts_lines_and_what_they_stand_in() -> None:
    first, second = read("<r>\n<s>\n<a><b> x &amp; y </b><b/></a>\n<c>1</c></s></r>", 2)
    assert (first.name, first.line, first.above) == ("a", 3, ("r", "s"))
    assert [(one.name, one.text) for one in first.children] == [("b", "x & y"), ("b", "")]
    assert (second.name, second.text, second.line) == ("c", "1", 4)


def test_encodings_that_are_declared_are_read() -> None:
    for encoding in ("utf-8", "utf-16", "iso-8859-1", "windows-1252"):
        text = f'<?xml version="1.0" encoding="{encoding}"?><r><a>Grün</a></r>'
        assert [one.text for one in read(text.encode(encoding))] == ["Grün"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "line 1 is not well-formed XML: no element found"),
        (b"<r>\n<a>1</a>\n<a>", "line 3 is not well-formed XML"),
        (b"<r><a>1</b></r>", "mismatched tag"),
        ("<r><a>Grün</a></r>".encode("latin-1"), "line 1 is not well-formed XML: not well-formed"),
        (b'<?xml version="1.0" encoding="klingon"?><r/>', "unknown encoding: klingon"),
        (b'<?xml version="1.0" encoding="shift_jis"?><r/>', "multi-byte encodings are not supported"),
        (b'<?xml version="1.0" encoding="base64"?><r/>', "not a text encoding"),
        (b'<!DOCTYPE r [<!ENTITY a "b">]><r><a>&a;</a></r>', "document type declaration"),
        (b'<!DOCTYPE r SYSTEM "file:///etc/passwd"><r/>', "document type declaration"),
        (b"<r>" + b"<a>" * 1_000, "too large or too deep"),
        (b"<r><a>" + b"<b/>" * 60_000, "too large or too deep"),
        (b"<r><a>" + b"x" * 5_000_000, "more than 4194304 characters"),
        (b'<r><a b="' + b"x" * 9_000_000, "a tag of more than 4194304 bytes"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_line(text: bytes, said: str) -> None:
    with pytest.raises(Torn, match=said):
        read(text)


def test_what_stands_before_a_fault_is_given() -> None:
    found = records(io.BytesIO(b"<r><a>1</a><a>2</a><oops</r>"), lambda root: 1)
    assert [next(found).text, next(found).text] == ["1", "2"]
    with pytest.raises(Torn):
        next(found)


class _Endless(io.RawIOBase):
    """A document of many small records, made as it is read."""

    def __init__(self, records: int) -> None:
        self.left = records

    def read(self, size: int = -1) -> bytes:
        if self.left < 0:
            return b""
        first = b"<r>" if self.left == 50 else b""
        self.left -= 1
        return first + (b"<a><b>some text</b></a> \n" * 400 if self.left >= 0 else b"</r>")


def test_memory_does_not_grow_with_the_file() -> None:
    tracemalloc.start()
    count = sum(1 for _ in records(_Endless(50), lambda root: 1))  # type: ignore[arg-type] # a file without an end, as far as it is read
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 20_000
    assert peak < 2_000_000


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(Torn):
        assert read(b"<r><a>" + data + b"</a></r>")[0].name == "a"
