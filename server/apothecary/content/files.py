"""The files in the folders of types: `<ResourceType>/<id>.json`, one resource a file
(https://hl7.org/fhir/R5/resource.html#id).

The rules are strict because a file name is an address: what stands in `Medication/aspirin.json` is served as
`Medication/aspirin`. What lies otherwise in a content folder, `apothecary.content.contents` reads.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apothecary.content.confined import Folder
from apothecary.content.documents import Document, Pointer
from apothecary.content.items import Item
from apothecary.errors import ContentError, Issue
from apothecary.fhir.json import dumps, parse
from apothecary.fhir.releases import FhirVersion

# The longest resource that is read, as of NDJSON the longest line.
MAX_RESOURCE = 128 * 1024 * 1024
SUFFIXES = (".json", ".yaml", ".yml", ".xml")
# The folder beside those of the types that holds what resources are built from, and no resources.
SHEETS = "sheets"


@dataclass(frozen=True, slots=True)
class ContentFile:
    """One resource of the content. `text` is its JSON: the bytes of a JSON file exactly as they stand there.

    `item` is where it stands, if that is not the file of its own that the folder of its type has: elsewhere, beside
    others, in an archive. `published` is what was taken as it was given, and not written here.
    """

    path: Path
    resource_type: str
    id: str
    text: bytes
    value: dict[str, Any]
    version: FhirVersion = FhirVersion.R5
    item: Item | None = None
    published: bool = False

    @property
    def key(self) -> str:
        return f"{self.resource_type}/{self.id}"

    @property
    def writable(self) -> bool:
        """Whether it is the only resource of a file that says it in R5."""
        return self.item is None or self.item.is_whole_file

    def error(self, pointer: Pointer, reason: str, issues: tuple[Issue, ...] = ()) -> ContentError:
        """What is wrong at a place in it."""
        if self.item is None:
            return ContentError(str(self.path), *_place(self.path, self.version, pointer), reason, issues)
        failure = self.item.failure(pointer, reason)
        return ContentError(failure.file, failure.line, failure.column, reason, issues)


def read_folder(
    folder: Path, *, known_types: Collection[str] | None = None, version: FhirVersion = FhirVersion.R5
) -> Iterator[ContentFile]:
    """The resources below `folder`, sorted by type, then by path.

    Folders below that of a type may be named freely. Hidden files, files beside the type folders, and files of other
    kinds are passed over. `known_types` are the allowed names of type folders; `version` is needed to read XML.
    Raises ContentError for the first file that breaks a rule: not readable, a link that leads out of the
    folder, of another type than its folder, of
    another id than its name, an id that was there before.
    """
    for type_folder in type_folders(folder):
        if known_types is not None and type_folder.name not in known_types:
            raise no_type(type_folder)
        seen: dict[str, Path] = {}
        for path in files_below(folder, type_folder):
            file = read_file(path, type_folder.name, version)
            if other := seen.get(file.id):
                raise ContentError(str(path), 0, 0, f"the id {file.id!r} is taken by {other}")
            seen[file.id] = path
            yield file


def no_type(folder: Path) -> ContentError:
    """What is said of a folder that is named like that of a type."""
    return ContentError(str(folder), 0, 0, f"{folder.name} is not a resource type of this server")


def type_folders(folder: Path) -> list[Path]:
    """The folders in a content folder that are not hidden, and not those of the sheets, sorted. Raises ContentError."""
    try:
        found = sorted(
            one for one in folder.iterdir() if one.is_dir() and not _is_hidden(one.name) and one.name != SHEETS
        )
    except OSError as error:
        raise _unreadable(folder, error) from error
    confined = Folder(folder)
    for one in found:
        confined.check_link(one)
    return [one for one in found if one.name != SHEETS]


def read_file(path: Path, resource_type: str, version: FhirVersion = FhirVersion.R5) -> ContentFile:
    """The resource in one file, which must be of `resource_type` and have the file's name as its id.

    Raises ContentError.
    """
    text, value = _read(path, version)
    if not isinstance(value, dict):
        raise _error(path, version, (), "a file holds one resource, as an object")
    if value.get("resourceType") != resource_type:
        found = value.get("resourceType")
        said = f"is {found!r}" if found is not None else "is missing"
        raise _error(path, version, ("resourceType",), f"resourceType {said}, but the folder is {resource_type!r}")
    if value.get("id") != path.stem:
        said = f"is {value['id']!r}" if "id" in value else "is missing"
        raise _error(path, version, ("id",), f"the id {said}, but the file name says {path.stem!r}")
    return ContentFile(path, resource_type, path.stem, text, value)


def _read(path: Path, version: FhirVersion) -> tuple[bytes, Any]:
    text = _bytes(path)
    if path.suffix != ".json":
        value = _document(path, text, version).value
        return dumps(value), value
    try:
        value = parse(text)
    except ValueError:
        _document(path, text, version)
        raise
    if b"\\ud" in text or b"\\uD" in text:
        # Half of a surrogate pair parses, but cannot be stored as text.
        _document(path, text, version)
    return text.removeprefix(b"\xef\xbb\xbf"), value


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_RESOURCE + 1)
        if len(data) > MAX_RESOURCE:
            raise ContentError(str(path), 1, 1, f"is longer than {MAX_RESOURCE} bytes")
        return data
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> ContentError:
    return ContentError(str(error.filename or path), 0, 0, f"cannot be read: {error.strerror}")


def _document(path: Path, text: bytes, version: FhirVersion) -> Document:
    """The document with positions. Raises ContentError for the first thing that is wrong with its text."""
    # Imported late: a folder of sound JSON never needs it.
    from apothecary.content.read import read_bytes

    document = read_bytes(str(path), text, version=version)
    for placed in document.issues:
        if placed.issue.severity in ("fatal", "error"):
            issues = tuple(each.issue for each in document.issues)
            raise ContentError(str(path), placed.line, placed.column, placed.issue.diagnostics, issues)
    return document


def _error(path: Path, version: FhirVersion, pointer: Pointer, reason: str) -> ContentError:
    return ContentError(str(path), *_place(path, version, pointer), reason)


def _place(path: Path, version: FhirVersion, pointer: Pointer) -> tuple[int, int]:
    return _document(path, _bytes(path), version).positions.find(pointer)


def files_below(root: Path, folder: Path) -> Iterator[Path]:
    """The files in the folder of a type, which lies in `root`, as everything in it must."""
    confined = Folder(root)

    def refused(error: OSError) -> None:
        # Passed over, its resources would look like deleted ones.
        raise _unreadable(folder, error) from error

    for directory, folders, files in os.walk(folder, onerror=refused):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        for name in folders:
            confined.check_link(os.path.join(directory, name))
        for name in sorted(files):
            path = Path(directory, name)
            if path.suffix in SUFFIXES and not _is_hidden(name):
                confined.check_file(path)
                yield path


def _is_hidden(name: str) -> bool:
    return name.startswith(".")
