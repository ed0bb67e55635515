"""Files of every kind become documents, as a stream, and never a traceback."""

from __future__ import annotations

import io
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apothecary.content import stream as streams
from apothecary.content.documents import READING_RULES, Document
from apothecary.content.read import FORMATS, read_bytes
from apothecary.content.sources import Source
from apothecary.content.stream import documents_of
from apothecary.content.version_hints import hinted_in_text, hinted_version
from apothecary.errors import StartError
from apothecary.fhir.json import dumps
from apothecary.fhir.releases import FhirVersion


def read(path: Path | str, *, named: bool = True, version: FhirVersion = FhirVersion.R5) -> list[Document]:
    return list(documents_of(Source(str(path), named), lambda *_: version))


def test_each_line_of_ndjson_is_a_document_that_knows_its_line(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\n\n {"a": [1,\r\n{"a": {"b": 2}}')
    first, second, third = read(path)
    assert (first.value, first.first_line) == ({"a": 1}, 1)
    assert [(placed.line, placed.column) for placed in second.issues] == [(3, 11)]
    assert third.positions.find(("a", "b")) == (4, 13)


def test_ndjson_of_any_length_fits_into_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    line = dumps({"resourceType": "Medication", "id": "m", "x": "y" * 1000}) + b"\n"
    path.write_bytes(line * 20_000)
    tracemalloc.start()
    try:
        assert sum(1 for _ in documents_of(Source(str(path), True), lambda *_: FhirVersion.R5)) == 20_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < len(line) * 20_000 / 10


def test_a_line_without_an_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MAX_LINE", 100)
    path = tmp_path / "x.ndjson"
    path.write_bytes(b'{"a": 1}\n' + b"[" * 1000)
    first, second = read(path)
    assert first.value == {"a": 1}
    assert [(placed.issue.rule, placed.line) for placed in second.issues] == [("line-too-long", 2)]


@pytest.mark.parametrize(
    ("text", "formats", "values"),
    [
        (b'{"a": 1}\n{"a": 2}\n', ["ndjson", "ndjson"], [{"a": 1}, {"a": 2}]),
        (b'{\n"a": 1}\n', ["json"], [{"a": 1}]),
        (b'{"a": 1}\n', ["json"], [{"a": 1}]),
        (b"a: 1\nb: 2\n", ["yaml"], [{"a": 1, "b": 2}]),
        (b'<Group xmlns="http://hl7.org/fhir"/>', ["xml"], [{"resourceType": "Group"}]),
        (b"", ["json"], [None]),
    ],
)
def test_standard_input_is_read_in_the_format_that_it_looks_like(
    text: bytes, formats: list[str], values: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    found = read("-")
    assert [document.format for document in found] == formats
    assert [document.value for document in found] == values


@pytest.mark.parametrize(
    ("name", "text", "is_read"),
    [
        ("package.json", '{"name": "x"}', False),
        ("docker-compose.yml", "services: {}", False),
        ("broken.json", "{", False),
        ("broken.json", '{"resourceType": ', True),
        ("x.xml", "<project/>", False),
        ("x.xml", '<Foo xmlns="http://hl7.org/fhir"/>', True),
        ("Medication/x.json", "{", True),
    ],
)
def test_a_folder_may_hold_files_that_are_not_fhir(tmp_path: Path, name: str, text: str, is_read: bool) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    assert len(read(path, named=False)) == is_read
    assert len(read(path, named=True)) == 1


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="cannot be read"):
        read(tmp_path / "gone.json")


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        (b'{"a":\n "\xc3\xa4\xff"}', (2, 4), "byte FF at offset 10"),
        (b"\xff\xfe{\x00", (1, 1), "UTF-16"),
        (b'{"a": "\xed\xa0\x80"}', (1, 8), "byte ED"),
        (b'\xef\xbb\xbf{"a": "\xe2\x82"}', (1, 8), "byte E2 82"),
    ],
)
@pytest.mark.parametrize("name", ["x.json", "x.yaml", "x.xml"])
def test_bytes_that_are_not_utf8_are_told_at_their_place(
    text: bytes, place: tuple[int, int], said: str, name: str
) -> None:
    document = read_bytes(name, text)
    (placed,) = document.issues
    assert not document.readable
    assert (placed.issue.rule, placed.line, placed.column) == ("invalid-utf8", *place)
    assert said in placed.issue.diagnostics


def test_a_byte_order_mark_is_told_and_passed_over() -> None:
    document = read_bytes("x.json", b'\xef\xbb\xbf{"a": 1}')
    assert document.value == {"a": 1}
    assert [(placed.issue.rule, placed.issue.severity) for placed in document.issues] == [
        ("byte-order-mark", "warning")
    ]
    assert document.positions.find(("a",)) == (1, 7)


@settings(max_examples=300)
@given(
    st.binary(max_size=60)
    | st.lists(st.sampled_from(list(b"{}[]:,\"'<>/&!*?-|#%@ \n\t\\a1.\xff\xc3\xa4")), max_size=40).map(bytes),
    st.sampled_from(sorted(FORMATS)),
)
def test_no_bytes_make_a_reader_fail(data: bytes, suffix: str) -> None:
    document = read_bytes(f"x{suffix}", data)
    assert {placed.issue.rule for placed in document.issues} <= READING_RULES.keys()
    assert document.readable or document.issues
    for pointer in ((), ("a",), (0, "a")):
        line, column = document.positions.find(pointer)
        assert line >= 1
        assert column >= 1
    if document.readable:
        dumps(document.value)


@pytest.mark.parametrize(
    ("resource", "version"),
    [
        ({"fhirVersion": "4.0.1"}, FhirVersion.R4),
        ({"fhirVersion": ["4.3.0"]}, FhirVersion.R4B),
        ({"fhirVersion": "3.0.2"}, None),
        ({"fhirVersion": 4}, None),
        ({"meta": {"profile": ["http://hl7.org/fhir/4.3/StructureDefinition/X"]}}, FhirVersion.R4B),
        ({"meta": {"profile": ["http://x", "http://hl7.org/fhir/StructureDefinition/X|4.0.1"]}}, FhirVersion.R4),
        ({"meta": {"profile": ["http://hl7.org/fhir/StructureDefinition/X"]}}, None),
        ({"meta": {"profile": "x"}}, None),
        ({"meta": {"profile": [1]}}, None),
        ({}, None),
        ([], None),
    ],
)
def test_a_resource_claims_its_release(resource: object, version: FhirVersion | None) -> None:
    assert hinted_version(resource) == version


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (b"resourceType: X\nfhirVersion: 4.0.1\n", FhirVersion.R4),
        (b'<X xmlns="http://hl7.org/fhir"><fhirVersion value="4.3.0"/></X>', FhirVersion.R4B),
        (b'<X><meta><profile value="http://hl7.org/fhir/4.0/StructureDefinition/X"/></meta></X>', FhirVersion.R4),
        (b"meta:\n  profile:\n    - http://hl7.org/fhir/4.0/StructureDefinition/X\n", FhirVersion.R4),
        (b"meta: {profile: ['http://hl7.org/fhir/4.3/StructureDefinition/X'], source: x}\n", FhirVersion.R4B),
        (b"entry:\n  - meta:\n      profile: [http://hl7.org/fhir/StructureDefinition/X|4.0.1]\n", FhirVersion.R4),
        (b'<X><extension url="http://hl7.org/fhir/5.0/StructureDefinition/extension-X.y"/></X>', None),
        (b'<X><meta><extension url="http://hl7.org/fhir/5.0/StructureDefinition/e"/></meta></X>', None),
        (b"extension:\n  - url: http://hl7.org/fhir/5.0/StructureDefinition/extension-X.y\n", None),
        (b"meta:\n  source: http://hl7.org/fhir/5.0/StructureDefinition/X\n", None),
        (b"meta:\n  versionId: 1\nprofile: http://hl7.org/fhir/5.0/StructureDefinition/X\n", None),
        (b'<X xmlns="http://hl7.org/fhir"/>', None),
    ],
)
def test_the_text_of_a_resource_claims_the_same(text: bytes, version: FhirVersion | None) -> None:
    assert hinted_in_text(text) == version
