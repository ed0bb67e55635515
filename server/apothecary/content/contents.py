"""All that the content holds, whatever it is: a folder of type folders, of loose files (`Type-id.json`, as SUSHI writes
them), of bundles and NDJSON, a FHIR package (https://hl7.org/fhir/R5/packages.html) or one file.

What was written here is reviewed, so each file that is broken is told, and nothing is served until all are mended. What
was published elsewhere is nobody's to mend here: what cannot be used of a package or an archive is left out and told.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from apothecary.content.archives import SUFFIXES, is_archive
from apothecary.content.confined import Folder
from apothecary.content.files import (
    SHEETS,
    ContentFile,
    files_below,
    no_type,
    read_file,
    type_folders,
)
from apothecary.content.items import Failure, Item, items
from apothecary.content.read import FORMATS, named_format
from apothecary.content.sources import Source, below, publication_of
from apothecary.content.stream import VersionOf, read, size, texts_of
from apothecary.content.synced import file_hash
from apothecary.content.version_hints import hinted_in_text, hinted_version
from apothecary.errors import BrokenContent, ContentError
from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import dumps
from apothecary.fhir.releases import FhirVersion
from apothecary.validation import ERRORS, validate

# Issue codes and rules in spite of which a published resource is of use: guides are made with the terminologies and the
# extension pack of their day.
_USABLE = frozenset({"code-invalid", "extension-context"})

# So many bytes of text are content; it is all in memory at once. More than that is for `apothecary load`.
LARGEST = 512 * 1024 * 1024


@dataclass(slots=True)
class Contents:
    """What the content holds, by `Type/id`, and in sentences what of it is left out."""

    files: dict[str, ContentFile] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def contents(path: Path, types: Collection[str] | None = None, known: Mapping[str, str] | None = None) -> Contents:
    """What `path` holds. `types` are those that are served, all of R5 without it; `known` are the hashes of what was
    found valid before. Raises ContentError, for several faults one that has them all.
    """
    return _Reading(path, types, known or {}).all()


def content_paths(path: Path) -> Iterator[Path]:
    """The files that the content consists of, in one order. No other file may be opened: a SQLite database may lie
    beside them, and a process that closes its file a second time loses its locks on it
    (https://www.sqlite.org/howtocorrupt.html, 2.2). Raises ContentError.
    """
    if not path.is_dir():
        yield path
        return
    typed, _ = _folders(path)
    for folder in typed:
        yield from files_below(path, folder)
        yield from (Path(source.path) for source in _lines_below(folder))
    for directory, folders, files in os.walk(path):
        outermost = Path(directory) == path
        names = {one.name for one in typed} | {SHEETS} if outermost else set()
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in names)
        yield from (Path(directory, name) for name in sorted(files) if named_format(name) and not name.startswith("."))


def _folders(path: Path) -> tuple[list[Path], list[Path]]:
    """The folders of types in a content folder, and those that are named as such and are none."""
    known = definitions(FhirVersion.R5)
    named = [one for one in type_folders(path) if one.name[:1].isupper()]
    typed = [one for one in named if known.is_resource_type(one.name)]
    return typed, [one for one in named if one not in typed]


def _lines_below(folder: Path) -> Iterator[Source]:
    """The files of NDJSON in the folder of a type, as other servers export them: many resources in each."""
    return (source for source in below(str(folder)) if named_format(source.path) == "ndjson")


def _version_of(text: bytes, release: FhirVersion | None) -> FhirVersion:
    return hinted_in_text(text) or release or FhirVersion.R5


class _Reading:
    """One reading of the content."""

    def __init__(self, path: Path, types: Collection[str] | None, known: Mapping[str, str]) -> None:
        self._path = path
        self._types = definitions(FhirVersion.R5).resource_types() if types is None else types
        self._known = known
        self._found = Contents()
        self._faults: list[ContentError] = []
        self._unserved: Counter[str] = Counter()
        self._bytes = 0

    def all(self) -> Contents:
        """What there is. Raises ContentError."""
        if self._path.is_dir():
            self._folder()
        elif not is_archive(self._path.name) and named_format(self._path.name) is None:
            said = f"this is no folder, no archive ({', '.join(SUFFIXES)}) and no {', '.join(FORMATS)} file"
            raise ContentError(str(self._path), 0, 0, said)
        else:
            self._source(Source(str(self._path), named=True))
        if self._faults:
            raise BrokenContent.of(self._faults)
        if self._unserved:
            told = ", ".join(f"{kind} ({count})" for kind, count in sorted(self._unserved.items()))
            self._found.left_out.append(f"{self._path}: not served (see APOTHECARY_RESOURCE_TYPES): {told}")
        return self._found

    def _folder(self) -> None:
        typed, strange = _folders(self._path)
        self._faults += map(no_type, strange)
        said = publication_of(str(self._path))
        release = (said.release if said is not None else None) or FhirVersion.R5
        for folder in typed:
            for path in files_below(self._path, folder):
                try:
                    file = read_file(path, folder.name, release)
                    self._add(replace(file, version=hinted_version(file.value) or release))
                except ContentError as error:
                    self._faults.append(error)
            for source in _lines_below(folder):
                self._source(source)
        for source in below(str(self._path), (SHEETS, *(one.name for one in (*typed, *strange)))):
            self._source(source)
        self._archives()

    def _archives(self) -> None:
        """Told: who lays one into the folder may think that it is read."""
        confined = Folder(self._path)
        for path in sorted(self._path.iterdir()):
            if is_archive(path.name) and path.is_file():
                confined.check_file(path)
                self._found.left_out.append(f"{path}: is an archive, which is content only where it is named as such")

    def _source(self, source: Source) -> None:
        published = source.packaged or is_archive(source.path)

        def fail(failure: Failure) -> None:
            if published:
                self._found.left_out.append(str(failure))
            else:
                self._faults.append(ContentError(*failure))

        version_of: VersionOf = _version_of
        for text in texts_of(source, version_of):
            self._bytes += size(text)
            if self._bytes > LARGEST:
                raise ContentError(
                    str(self._path), 0, 0, f"holds more than {LARGEST} bytes; put that in with: apothecary load"
                )
            for item in items(read(text), FhirVersion.R5, fail):
                self._add(_file(item, published=published))

    def _add(self, file: ContentFile) -> None:
        kind, version = file.resource_type, file.version
        if kind not in self._types or not definitions(version).is_resource_type(kind):
            if file.published:
                self._unserved[kind] += 1
            else:
                said = "is not served; add it to APOTHECARY_RESOURCE_TYPES"
                if not definitions(version).is_resource_type(kind):
                    said = f"is no resource type of FHIR {version}"
                self._faults.append(ContentError(str(file.path), 0, 0, f"{kind} {said}"))
        elif (other := self._found.files.get(file.key)) is not None:
            if not file.published:
                self._faults.append(ContentError(str(file.path), 0, 0, f"the id {file.id!r} is taken by {other.path}"))
            elif file_hash(file) != file_hash(other):
                self._found.left_out.append(f"{file.path}: {file.key} is taken by {other.path}")
        elif not file.published or self._is_valid(file):
            self._found.files[file.key] = file

    def _is_valid(self, file: ContentFile) -> bool:
        if self._known.get(file.key) == file_hash(file):
            return True
        errors = validate(file.value, file.version, options=ERRORS)
        if not errors:
            return True
        usable = all(one.code in _USABLE or one.rule in _USABLE for one in errors)
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        served = " It is served all the same." if usable else ""
        error = file.error(errors[0].pointer or (), f"{file.key}: {errors[0].diagnostics}{more}{served}")
        self._found.left_out.append(str(error))
        return usable


def _file(item: Item, *, published: bool) -> ContentFile:
    """A resource that stands somewhere else than in the file of its type and id."""
    document, (kind, identity) = item.document, item.key
    whole = item.is_whole_file and document.format == "json" and "id" in item.resource
    text = document.text.removeprefix("\ufeff").encode() if whole else dumps(item.resource)
    return ContentFile(Path(document.file), kind, identity, text, item.resource, item.version, item, published)
