"""Bytes of any format that FHIR resources are written in -> documents (https://hl7.org/fhir/R5/formats.html)."""

from __future__ import annotations

from pathlib import PurePath

from apothecary.content.documents import Document, Format, Lines, PlacedIssue, RecordedPositions, reading_issue
from apothecary.content.json import read_json
from apothecary.errors import Issue
from apothecary.fhir.releases import FhirVersion

FORMATS: dict[str, Format] = {
    ".json": "json",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".xml": "xml",
}
COMPRESSED = ".gz"
_BOM = b"\xef\xbb\xbf"


def named_format(file: str) -> Format | None:
    """The format that a file's name stands for; a compressed file is named like the one inside, with .gz added."""
    return FORMATS.get(PurePath(file.removesuffix(COMPRESSED)).suffix.lower())


def read_bytes(
    file: str, data: bytes, format: Format | None = None, version: FhirVersion = FhirVersion.R5, first_line: int = 1
) -> Document:
    """The document in `data`; its format is told by the name of `file`, or else by how it starts. `version` is needed
    for XML.

    Never raises for what stands in `data`: that becomes the issues of the document.
    """
    format = format or named_format(file) or format_of(data)
    bom = data.startswith(_BOM)
    try:
        text = data.removeprefix(_BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        return _not_utf8(file, data.removeprefix(_BOM), format, error, first_line)
    document = _read_text(file, text, format, version, first_line)
    if not bom or format != "json":
        return document
    return _with_issue(document, _BYTE_ORDER_MARK, first_line)


def _read_text(file: str, text: str, format: Format, version: FhirVersion, first_line: int) -> Document:
    # PyYAML and expat cost a cold start more than reading a bundle does: each is loaded when such a file is read.
    if format == "yaml":
        from apothecary.content.yaml import read_yaml

        return read_yaml(file, text, version)
    if format == "xml":
        from apothecary.content.xml import read_xml

        return read_xml(file, text, version)
    return read_json(file, text, format, first_line)


def format_of(data: bytes) -> Format:
    """The format that the first characters speak for. NDJSON looks like JSON here."""
    first = data.removeprefix(_BOM).lstrip()[:1]
    if first == b"<":
        return "xml"
    return "json" if first in (b"{", b"[", b'"', b"") else "yaml"


def _not_utf8(file: str, data: bytes, format: Format, error: UnicodeDecodeError, first_line: int) -> Document:
    text = data.decode("utf-8", "replace")
    # Each undecodable byte before the place would move it: what stands before the first one is sound.
    line, column = Lines(text, first_line).place(len(data[: error.start].decode("utf-8")))
    bad = " ".join(f"{byte:02X}" for byte in data[error.start : error.end][:4])
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    said = "The file is UTF-16" if wide else f"The byte {bad} at offset {error.start} is not UTF-8"
    issue = reading_issue("invalid-utf8", f"{said}.", "Save the file as UTF-8.")
    places = RecordedPositions({(): (line, column)})
    return Document(file, text, format, None, places, (PlacedIssue(issue, line, column),), False, first_line)


_BYTE_ORDER_MARK = Issue(
    "warning",
    "structure",
    "The file starts with a byte order mark, which JSON forbids.",
    rule="byte-order-mark",
    remedy="Save the file as UTF-8 without a byte order mark.",
)


def _with_issue(document: Document, issue: Issue, line: int) -> Document:
    from dataclasses import replace

    return replace(document, issues=(PlacedIssue(issue, line, 1), *document.issues))
