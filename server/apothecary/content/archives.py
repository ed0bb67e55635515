"""Archives of resources: npm packages (tar in gzip) and zip files, member by member and within bounds
(https://hl7.org/fhir/R5/packages.html).

Nothing is written anywhere, so that names with `..` lead nowhere; links are no files and are passed over.
"""

from __future__ import annotations

import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from apothecary.errors import StartError

_TAR = (".tgz", ".tar.gz")
_ZIP = (".zip",)
SUFFIXES = (*_TAR, *_ZIP)

# One definition: the largest published ones have a few megabytes. NDJSON is read by lines and may be longer.
LARGEST = 64 * 1024 * 1024
# What an archive says of one file before its content.
_LARGEST_HEADER = 1024 * 1024
# All files of an archive together, unpacked, and how many there may be.
_LARGEST_ARCHIVE = 2 * 1024 * 1024 * 1024
_MOST_FILES = 200_000

# In these ways reading an archive fails that is none, or is torn.
UNREADABLE = (OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile, NotImplementedError)


class Member(NamedTuple):
    """A file in an archive, to be read before the next is asked for."""

    name: str
    """Its path in the archive; never used as one outside of it."""
    size: int
    """In bytes, unpacked."""
    stream: BinaryIO


def is_archive(path: str) -> bool:
    """Whether a file is named as archives are."""
    return path.lower().endswith(SUFFIXES)


def members(path: Path, wanted: Callable[[str], bool] = lambda name: True) -> Iterator[Member]:
    """The files in an archive whose names are `wanted`. Raises StartError for one that holds too much, and UNREADABLE
    from here or from what is read of a member.
    """
    yield from _of_zip(path, wanted) if path.name.lower().endswith(_ZIP) else _of_tar(path, wanted)


def said(error: BaseException) -> str:
    """Why reading failed."""
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


class _Bounded(gzip.GzipFile):
    """An unpacked archive of which no more than `most` bytes are read at once: what precedes a file in an archive, such
    as its extended header, has no limit of its own.
    """

    most = _LARGEST_HEADER

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= self.most:
            raise tarfile.ReadError(f"a header is larger than {self.most} bytes")
        return super().read(size)


class _Bounds:
    """What an archive has held so far."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files = self._bytes = 0

    def add(self, size: int) -> None:
        """Count a file. Raises StartError for what is too much."""
        self._files += 1
        self._bytes += size
        if self._files > _MOST_FILES:
            raise StartError(f"{self._path}: holds more than {_MOST_FILES} files")
        if self._bytes > _LARGEST_ARCHIVE:
            raise StartError(f"{self._path}: holds more than {_LARGEST_ARCHIVE} bytes")


def _of_tar(path: Path, wanted: Callable[[str], bool]) -> Iterator[Member]:
    bounds = _Bounds(path)
    with _Bounded(path) as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
        for member in archive:
            bounds.add(member.size)
            # Else each is kept until the end.
            archive.members = []  # type: ignore[attr-defined]  # documented as a list of what was read
            name = member.name.removeprefix("./")
            if member.isfile() and wanted(name) and (file := archive.extractfile(member)) is not None:
                stream.most = LARGEST
                yield Member(name, member.size, cast(BinaryIO, file))
                stream.most = _LARGEST_HEADER


def _of_zip(path: Path, wanted: Callable[[str], bool]) -> Iterator[Member]:
    bounds = _Bounds(path)
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            bounds.add(member.file_size)
            if member.is_dir() or not wanted(member.filename):
                continue
            if member.flag_bits & 1:
                raise zipfile.BadZipFile(f"{member.filename} is encrypted")
            with archive.open(member) as stream:
                # No more is unpacked than was said, and counted.
                yield Member(member.filename, member.file_size, cast(BinaryIO, stream))
