"""A source -> its documents, read as a stream, each in the FHIR release that it claims.

An archive is a source of the documents in it: a FHIR package as npm has it, or a zip file of resources
(https://hl7.org/fhir/R5/packages.html).
"""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePath
from typing import BinaryIO, NamedTuple

from apothecary.content.archives import UNREADABLE, Member, is_archive, members, said
from apothecary.content.documents import Document, Format, PlacedIssue, RecordedPositions, reading_issue
from apothecary.content.files import SHEETS
from apothecary.content.publication import LARGEST, Publication, first, read_publication, speaks, within
from apothecary.content.read import COMPRESSED, format_of, named_format, read_bytes
from apothecary.content.sources import Source
from apothecary.errors import StartError
from apothecary.fhir.json import JSON
from apothecary.fhir.releases import FhirVersion

# A resource of this size would be refused by any server; a file without line breaks must not fill the memory.
MAX_LINE = 128 * 1024 * 1024

# A document that is read whole; a Bundle of this size takes some ten times as much memory.
MAX_FILE = 512 * 1024 * 1024

VersionOf = Callable[[bytes, FhirVersion | None], FhirVersion]
"""The release that a text is to be read in, which may say so itself, or else what it was published in."""


class Text(NamedTuple):
    """The text of one document that is still to be read; `version` is for XML and YAML, `release` that of a value which
    does not say its own, where what it was published in says so.
    """

    file: str
    data: bytes
    format: Format
    version: FhirVersion = FhirVersion.R5
    first_line: int = 1
    release: FhirVersion | None = None


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
        document = read_bytes(given.file, given.data, given.format, given.version, given.first_line)
        return document if given.release is None else replace(document, release=given.release)
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
    """The texts of `source`: one, or one for each line of NDJSON and each file of an archive, of which only one is in
    memory at a time. What cannot be read at all is a document that says so.

    `version_of` says from the text which release the tables for XML and YAML are of. A file found in a folder that
    does not look like FHIR has no documents. Raises StartError when the source cannot be read.
    """
    try:
        if source.is_standard_input:
            yield from _standard_input(sys.stdin.buffer, version_of)
        elif is_archive(source.path):
            yield from _packed(source, version_of)
        elif named_format(source.path) == "ndjson":
            with _opened(source.path) as stream:
                yield from _lines(source.path, stream, release=source.release)
        else:
            with _opened(source.path) as stream:
                data = _all_of(source.path, stream)
            if source.named or _looks_like_fhir(source.path, data):
                format = named_format(source.path) or format_of(data)
                yield _whole(source.path, data, format, version_of, source.release)
    except UNREADABLE as error:
        raise StartError(f"{source.path}: cannot be read: {said(error)}") from error


def _packed(source: Source, version_of: VersionOf) -> Iterator[Text | Document]:
    """The texts in an archive. What it says of them may stand behind them, so it is read twice."""
    path = Path(source.path)
    known = _publications(path)

    def wanted(name: str) -> bool:
        return (named_format(name) is not None or is_archive(name)) and within(name, known)[0]

    for member in members(path, wanted):
        name = _label(source.path, member.name)
        publication = within(member.name, known)[1]
        release = publication.release if publication is not None else None
        if is_archive(member.name):
            yield _unreadable(name, "archive-in-archive", "This is an archive in an archive.", "Unpack it.")
        elif named_format(member.name) == "ndjson":
            yield from _lines(name, _unpacked(member.name, member.stream), release=release)
        else:
            data = _unpacked(member.name, member.stream).read(MAX_LINE + 1)
            if len(data) > MAX_LINE:
                yield _unreadable(name, "file-too-long", f"The file is longer than {MAX_LINE} bytes.", None)
            elif _looks_like_fhir(name, data):
                yield _whole(name, data, named_format(member.name) or format_of(data), version_of, release)


def _publications(path: Path) -> Mapping[str, Publication]:
    """What an archive says of the resources in it, by folder. Raises StartError for two that say so in one place."""
    found: dict[str, list[Publication | None]] = {}
    seen: set[str] = set()
    for member in members(path, speaks):
        name = PurePath(member.name)
        if member.name in seen:
            raise StartError(f"{path}: holds {member.name} twice")
        seen.add(member.name)
        folder = "" if str(name.parent) == "." else name.parent.as_posix()
        found.setdefault(folder, []).append(read_publication(_label(str(path), member.name), _head(member)))
    return {folder: one for folder, some in found.items() if (one := first(some)) is not None}


def _head(member: Member) -> bytes:
    return member.stream.read(LARGEST)


def _label(path: str, name: str) -> str:
    """What a file in an archive is called to people, who may read it in a terminal."""
    return f"{path}/{''.join(one if one.isprintable() else '?' for one in name)}"


def _all_of(path: str, stream: BinaryIO, before: int = 0) -> bytes:
    """What is left of a stream of which `before` bytes were read. Raises StartError where that is too long."""
    data = stream.read(MAX_FILE + 1 - before)
    if len(data) + before > MAX_FILE:
        raise StartError(f"{path}: is longer than {MAX_FILE} bytes; write one resource a line, as NDJSON (.ndjson)")
    return data


def _opened(path: str) -> BinaryIO:
    if not path.endswith(COMPRESSED):
        return open(path, "rb")
    return _in_pieces(gzip.open(path))


def _unpacked(name: str, stream: BinaryIO) -> BinaryIO:
    """A file in an archive, which may be compressed by itself."""
    if not name.endswith(COMPRESSED):
        return stream
    return _in_pieces(gzip.GzipFile(fileobj=stream))


def _in_pieces(stream: gzip.GzipFile) -> BinaryIO:
    # Read in large pieces: a line at a time costs more than decompressing does.
    return io.BufferedReader(stream, 1024 * 1024)


def _whole(path: str, data: bytes, format: Format, version_of: VersionOf, release: FhirVersion | None) -> Text:
    # JSON says itself what its values are: only the other formats need the tables of a release.
    version = version_of(data, release) if format in ("yaml", "xml") else FhirVersion.R5
    return Text(path, data, format, version, release=release)


def _looks_like_fhir(path: str, data: bytes) -> bool:
    """A folder may hold package.json and the like.

    A mention of FHIR's own words speaks for FHIR, and so does a folder or a file (`Type-id.json`) named as types are.
    What resources are built from names systems of FHIR, and no type.
    """
    if b"resourceType" in data:
        return True
    if PurePath(path).parent.name == SHEETS:
        return False
    # What tools are told in YAML names addresses of FHIR as well.
    if b"http://hl7.org/fhir" in data and named_format(path) != "yaml":
        return True
    from apothecary.fhir.definitions import definitions

    known = definitions(FhirVersion.R5)
    folders, name = PurePath(path).parts[:-1], PurePath(path).name
    return any(map(known.is_resource_type, (*folders, name.partition("-")[0])))


def _standard_input(stream: BinaryIO, version_of: VersionOf) -> Iterator[Text | Document]:
    """A stream is NDJSON when its first line is a whole JSON document and another line follows."""
    first = stream.readline(MAX_LINE)
    second = stream.readline(MAX_LINE)
    if second.strip() and format_of(first) == "json" and first.strip() and read_bytes("-", first, "ndjson").readable:
        yield from _lines("-", stream, (first, second))
    else:
        data = first + second + _all_of("standard input", stream, len(first) + len(second))
        yield _whole("-", data, format_of(data), version_of, None)


def _lines(
    path: str, stream: BinaryIO, before: tuple[bytes, ...] = (), release: FhirVersion | None = None
) -> Iterator[Text | Document]:
    number = 0
    for line in before:
        number += 1
        yield Text(path, line, "ndjson", first_line=number)
    while line := stream.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE and not line.endswith(b"\n"):
            long = f"The line is longer than {MAX_LINE} bytes; the rest of the file was not read."
            yield _unreadable(path, "line-too-long", long, "Write one resource a line.", number)
            return
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if line.strip():
            yield Text(path, line, "ndjson", first_line=number, release=release)


def _unreadable(path: str, rule: str, diagnostics: str, remedy: str | None, number: int = 1) -> Document:
    placed = PlacedIssue(reading_issue(rule, diagnostics, remedy), number, 1)
    places = RecordedPositions({(): (number, 1)})
    return Document(path, "", "ndjson", None, places, (placed,), readable=False, first_line=number)
