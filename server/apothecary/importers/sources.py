"""The files that an import reads: paths, what lies in folders, and what lies in zip files, also in those in zip files
(as DailyMed publishes its labels). Only one of them is open at a time, and none is unpacked on disk as it is.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from apothecary.content.confined import Folder
from apothecary.errors import StartError
from apothecary.importers.report import Place, Reading, Report

# Zip files lie in zip files, and no deeper.
_DEEPEST = 2
# A zip file that lies in another is held in memory up to this size, and on disk beyond it.
_IN_MEMORY = 16 * 1024 * 1024
# Unpacked, a member may have so many bytes: the largest file of a catalogue (RXNSAT) has some hundred million.
LARGEST = 8 * 1024**3
# And no more than so many times what it has packed, beyond a size that does no harm: text is packed some tenfold.
_MOST_PACKED, _HARMLESS = 200, 64 * 1024 * 1024
# A line of a catalogue: the longest known have some ten thousand characters.
_LONGEST_LINE = 16 * 1024 * 1024
_BLOCK = 1024 * 1024
_BEGINS = b"PK\x03\x04"


class Torn(Exception):
    """A file cannot be read to its end: why."""


@dataclass(frozen=True, slots=True)
class Hash:
    """A file that was given, and the SHA-256 of its bytes in hexadecimal digits."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Member:
    """A file to read: a path, or what lies in a zip file."""

    name: str
    """As it is named to people: `labels.zip/one.xml`."""
    _inside: zipfile.ZipFile | None
    _key: str
    size: int
    packed: int | None = None
    """How many bytes it has as it lies there, packed."""
    reading: Reading = field(default_factory=Reading, compare=False, repr=False)

    @property
    def file_name(self) -> str:
        """The last part of its name, in lower case: `product.txt`."""
        return PurePosixPath(self._key).name.lower()

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Its bytes. Raises Torn from here or from the block, where they cannot be read."""
        try:
            if self._inside is None:
                with open(self._key, "rb") as stream, self._read(stream):
                    yield stream
            else:
                packed = self._inside.open(self._key)
                with packed, self._read(packed):  # type: ignore[arg-type]  # it reads as a BinaryIO does
                    # It reads a line of at most so many bytes in Python, and beyond them.
                    yield io.BufferedReader(packed, _BLOCK)  # type: ignore[type-var]  # likewise
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise Torn(_said(error)) from error

    def _read(self, stream: BinaryIO) -> AbstractContextManager[BinaryIO]:
        return self.reading.of(stream, self.size, self.size if self.packed is None else self.packed)

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Its lines with their numbers, from 1, without what ends them. Raises Torn."""
        with self.open() as stream:
            number = 0
            while line := stream.readline(_LONGEST_LINE):
                number += 1
                if len(line) == _LONGEST_LINE:
                    raise Torn(f"line {number} is longer than {_LONGEST_LINE} bytes")
                yield number, line.rstrip(b"\r\n")

    def read(self, most: int) -> bytes:
        """All of it. Raises Torn where that is more than `most` bytes."""
        with self.open() as stream:
            data = stream.read(most + 1)
        if len(data) > most:
            raise Torn(f"is larger than {most} bytes")
        return data


def hashes(paths: Sequence[Path]) -> list[Hash]:
    """The files that were given, those in folders among them, each with what tells it from any other. Raises
    StartError for one that cannot be read.
    """
    found = []
    for path, name in _named(paths):
        digest, size = hashlib.sha256(), 0
        try:
            with path.open("rb") as stream:
                while block := stream.read(_BLOCK):
                    digest.update(block)
                    size += len(block)
        except OSError as error:
            raise StartError(f"{path}: cannot be read: {_said(error)}") from error
        found.append(Hash(name, digest.hexdigest(), size))
    return found


def members(paths: Sequence[Path], report: Report, whole: tuple[str, ...] = ()) -> Iterator[Member]:
    """Every file in `paths`, each to be read before the next is asked for; what cannot be opened or is too large is
    told and passed over. `whole` are the suffixes of files that are zip files inside, and are given as they are. Raises
    StartError for a path that is not there.
    """
    for path in _files(paths):
        if path.suffix.lower() not in whole and _is_zip(path):
            with _opened(str(path), path, report) as archive:
                if archive is not None:
                    yield from _packed(str(path), archive, report, 1)
        else:
            yield Member(str(path), None, str(path), path.stat().st_size, reading=report.reading)


def _named(paths: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """The files, each with its name, that of one in a folder with the folders below that."""
    for path in paths:
        yield from ((one, str(one.relative_to(path)) if path.is_dir() else path.name) for one in _files([path]))


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from _below(path)
        elif path.is_file():
            yield path
        else:
            raise StartError(
                f"{path}: {'is neither a file nor a folder' if path.exists() else 'there is no such file or folder'}"
            )


def _below(folder: Path) -> Iterator[Path]:
    """The files of a folder, but for hidden ones. Raises StartError for what cannot be looked into, and for what leads
    out of it.
    """

    def fail(error: OSError) -> None:
        raise StartError(f"{error.filename}: cannot be read: {_said(error)}") from error

    confined = Folder(folder)
    for directory, folders, files in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                confined.check_file(os.path.join(directory, name))
                yield Path(directory, name)


def _packed(name: str, archive: zipfile.ZipFile, report: Report, depth: int) -> Iterator[Member]:
    for info in archive.infolist():
        if info.is_dir():
            continue
        inner = f"{name}/{info.filename}"
        large = info.file_size > LARGEST
        if large or (info.file_size > _HARMLESS and info.file_size > _MOST_PACKED * max(info.compress_size, 1)):
            report.skipped(Place(inner), f"unpacked it would have {info.file_size} bytes, out of {info.compress_size}")
        elif not info.filename.lower().endswith(".zip"):
            yield Member(inner, archive, info.filename, info.file_size, info.compress_size, report.reading)
        elif depth >= _DEEPEST:
            report.skipped(Place(inner), "is a zip file in a zip file in a zip file")
        else:
            with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as copy:
                try:
                    with archive.open(info) as packed:
                        while block := packed.read(_BLOCK):
                            copy.write(block)
                except (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
                    report.skipped(Place(inner), f"cannot be unpacked: {_said(error)}")
                    continue
                with _opened(inner, copy, report) as nested:
                    if nested is not None:
                        yield from _packed(inner, nested, report, depth + 1)


def _is_zip(path: Path) -> bool:
    """Whether it is a zip file, or the beginning of one that was torn."""
    with path.open("rb") as stream:
        begins = stream.read(len(_BEGINS)) == _BEGINS
    return begins or zipfile.is_zipfile(path)


@contextmanager
def _opened(name: str, file: Path | IO[bytes], report: Report) -> Iterator[zipfile.ZipFile | None]:
    try:
        archive = zipfile.ZipFile(file)
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        report.skipped(Place(name), f"is a zip file that cannot be opened: {_said(error)}")
        yield None
        return
    with archive:
        yield archive


def _said(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
