"""A source -> its documents, read as a stream, each in the FHIR release that it claims."""

from __future__ import annotations

import io
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import PurePath
from typing import BinaryIO, NamedTuple

from apothecary.content.documents import Document, Format, PlacedIssue, RecordedPositions, reading_issue
from apothecary.content.files import SHEETS
from apothecary.content.read import COMPRESSED, format_of, named_format, read_bytes
from apothecary.content.sources import Source
from apothecary.errors import StartError
from apothecary.fhir.json import JSON
from apothecary.fhir.releases import FhirVersion

# A resource of this size would be refused by any server; a file without line breaks must not fill the memory.
MAX_LINE = 128 * 1024 * 1024

# A document that is read whole; a Bundle of this size takes some ten times as much memory.
MAX_FILE = 512 * 1024 * 1024

VersionOf = Callable[[bytes], FhirVersion]


class Text(NamedTuple):
    """The text of one document that is still to be read; `version` is for XML and YAML."""

    file: str
    data: bytes
    format: Format
    version: FhirVersion = FhirVersion.R5
    first_line: int = 1


class Unwritten(NamedTuple):
    """A resource that is in no text, because it was made of something else, which stands in that line of `file`.
    `length` is what its text would have, in bytes.
    """

    file: str
    line: int
    value: JSON
    length: int


Input = Text | Document | Unwritten


def read(given: Input) -> Document:
    """The document in a text; what was read already, or made, as it is."""
    if isinstance(given, Document):
        return given
    if isinstance(given, Text):
        return read_bytes(*given)
    places = RecordedPositions({(): (given.line, 1)})
    return Document(given.file, "", "json", given.value, places, first_line=given.line)


def size(given: Input) -> int:
    """How long it is, in bytes or characters."""
    if isinstance(given, Document):
        return len(given.text)
    return len(given.data) if isinstance(given, Text) else given.length


def documents_of(source: Source, version_of: VersionOf) -> Iterator[Document]:
    """The documents of `source`: see `texts_of`."""
    return map(read, texts_of(source, version_of))


def texts_of(source: Source, version_of: VersionOf) -> Iterator[Text | Document]:
    """The texts of `source`: one, or one for each line of NDJSON, of which only one is in memory at a time. What cannot
    be read at all is a document that says so.

    `version_of` says from the text which release the tables for XML and YAML are of. A file found in a folder that
    does not look like FHIR has no documents. Raises StartError when the source cannot be read.
    """
    try:
        if source.is_standard_input:
            yield from _standard_input(sys.stdin.buffer, version_of)
        elif named_format(source.path) == "ndjson":
            with _opened(source.path) as stream:
                yield from _lines(source.path, stream)
        else:
            with _opened(source.path) as stream:
                data = _all_of(source.path, stream)
            if source.named or _looks_like_fhir(source.path, data):
                format = named_format(source.path) or format_of(data)
                yield _whole(source.path, data, format, version_of)
    except (OSError, EOFError, zlib.error) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise StartError(f"{source.path}: cannot be read: {said}") from error


def _all_of(path: str, stream: BinaryIO, before: int = 0) -> bytes:
    """What is left of a stream of which `before` bytes were read. Raises StartError where that is too long."""
    data = stream.read(MAX_FILE + 1 - before)
    if len(data) + before > MAX_FILE:
        raise StartError(f"{path}: is longer than {MAX_FILE} bytes; write one resource a line, as NDJSON (.ndjson)")
    return data


def _opened(path: str) -> BinaryIO:
    if not path.endswith(COMPRESSED):
        return open(path, "rb")
    import gzip

    # Read in large pieces: a line at a time costs more than decompressing does.
    return io.BufferedReader(gzip.open(path), 1024 * 1024)


def _whole(path: str, data: bytes, format: Format, version_of: VersionOf) -> Text:
    # JSON says itself what its values are: only the other formats need the tables of a release.
    return Text(path, data, format, version_of(data) if format in ("yaml", "xml") else FhirVersion.R5)


def _looks_like_fhir(path: str, data: bytes) -> bool:
    """A folder may hold package.json and the like.

    A mention of FHIR's own words, or a folder named as types are, speaks for FHIR. What resources are built from
    names systems of FHIR, and no type.
    """
    if b"resourceType" in data:
        return True
    if PurePath(path).parent.name == SHEETS:
        return False
    if b"http://hl7.org/fhir" in data:
        return True
    from apothecary.fhir.definitions import definitions

    return any(definitions(FhirVersion.R5).is_resource_type(part) for part in PurePath(path).parts[:-1])


def _standard_input(stream: BinaryIO, version_of: VersionOf) -> Iterator[Text | Document]:
    """A stream is NDJSON when its first line is a whole JSON document and another line follows."""
    first = stream.readline(MAX_LINE)
    second = stream.readline(MAX_LINE)
    if second.strip() and format_of(first) == "json" and first.strip() and read_bytes("-", first, "ndjson").readable:
        yield from _lines("-", stream, (first, second))
    else:
        data = first + second + _all_of("standard input", stream, len(first) + len(second))
        yield _whole("-", data, format_of(data), version_of)


def _lines(path: str, stream: BinaryIO, before: tuple[bytes, ...] = ()) -> Iterator[Text | Document]:
    number = 0
    for line in before:
        number += 1
        yield Text(path, line, "ndjson", first_line=number)
    while line := stream.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE and not line.endswith(b"\n"):
            yield _too_long(path, number)
            return
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if line.strip():
            yield Text(path, line, "ndjson", first_line=number)


def _too_long(path: str, number: int) -> Document:
    said = f"The line is longer than {MAX_LINE} bytes; the rest of the file was not read."
    placed = PlacedIssue(reading_issue("line-too-long", said, "Write one resource a line."), number, 1)
    places = RecordedPositions({(): (number, 1)})
    return Document(path, "", "ndjson", None, places, (placed,), readable=False, first_line=number)
