"""What packages hold, kept from one run to the next, so that a definition is read when it is asked for
(https://hl7.org/fhir/R5/packages.html).

One file for each package in one folder: a checksum, what the definitions are called, then each of them, compressed. It
is written aside and put in place whole, so that runs at the same time see an old one, a new one, or none. What does not
fit the package any more, or is damaged, is made anew. Where the folder cannot be written, packages are read as ever.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from apothecary.content.archives import LARGEST
from apothecary.content.packages import Package, package_files, read_whole
from apothecary.fhir.json import parse

_FORMAT = b"apothecary packages 1\n"
# What a look-up asks of a definition before it is chosen.
_KNOWN = ("resourceType", "url", "version", "derivation", "type", "fhirVersion")
# The largest index that is kept, and how many.
_LARGEST = 256 * 1024 * 1024
_MOST = 64

Known = Mapping[str, Any]


class Indexed(Mapping[str, Any]):
    """A definition of which an index says enough until more is asked; `read` then gives all of it, None where it cannot
    be read: it is as if it held no more.
    """

    def __init__(self, known: Known, read: Callable[[], Mapping[str, Any] | None]) -> None:
        self._known = known
        self._read_whole = read
        self._whole: Mapping[str, Any] | None = None

    def __getitem__(self, key: str) -> Any:
        return self._known[key] if key in self._known else self._read()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def _read(self) -> Mapping[str, Any]:
        if self._whole is None:
            self._whole = self._read_whole() or self._known
        return self._whole


class _Entry(msgspec.Struct, array_like=True):
    known: dict[str, str | None]
    begin: int
    end: int


class _Head(msgspec.Struct):
    stamp: str
    name: str
    dependencies: dict[str, str]
    entries: list[_Entry]


_HEAD = msgspec.json.Decoder(_Head)


class _Packed:
    """One definition in the bytes of an index."""

    __slots__ = ("begin", "data", "end")

    def __init__(self, data: bytes, begin: int, end: int) -> None:
        self.data, self.begin, self.end = data, begin, end

    def __call__(self) -> Mapping[str, Any] | None:
        try:
            value = parse(zlib.decompressobj().decompress(self.data[self.begin : self.end], LARGEST))
        except (ValueError, zlib.error):
            return None
        return value if isinstance(value, dict) else None


def open_indexed(path: Path, folder: Path | None) -> Package:
    """What a package holds; with a `folder` from the index there, which is made where it is missing. Raises StartError
    as `read_package` does.
    """
    if folder is None:
        return read_whole(path)
    try:
        stamp = _stamp(path)
    except OSError:
        return read_whole(path)
    file = folder / f"{sha256(os.fsencode(path.absolute())).hexdigest()[:40]}.index"
    return _kept(file, stamp) or _made(path, file, stamp)


def _stamp(path: Path) -> str:
    """What is another one when the package has changed."""
    found = sha256()
    for file in [path, *package_files(path)] if path.is_dir() else [path]:
        state = file.stat()
        found.update(f"{file}\0{state.st_size} {state.st_mtime_ns} {state.st_ctime_ns} {state.st_ino}\0".encode())
    return found.hexdigest()


def _kept(file: Path, stamp: str) -> Package | None:
    """The package of an index; None where there is none, or it is of another state of the package, or damaged."""
    try:
        if file.stat().st_size > _LARGEST:
            return None
        data = file.read_bytes()
        begin = len(_FORMAT) + 20
        sum_of_all, size = int(data[len(_FORMAT) : begin - 11], 16), int(data[begin - 11 : begin], 10)
        if not data.startswith(_FORMAT) or zlib.crc32(data[begin:]) != sum_of_all:
            return None
        head = _HEAD.decode(data[begin : begin + size])
    except (OSError, ValueError, msgspec.MsgspecError):
        return None
    if head.stamp != stamp:
        return None
    base = begin + size
    return Package(
        head.name,
        tuple(Indexed(one.known, _Packed(data, base + one.begin, base + one.end)) for one in head.entries),
        head.dependencies,
    )


def _made(path: Path, file: Path, stamp: str) -> Package:
    packed: list[bytes] = []
    size = 0

    def keep(data: bytes) -> None:
        nonlocal size
        if size <= _LARGEST:
            packed.append(zlib.compress(data, 1))
            size += len(packed[-1])

    package = read_whole(path, keep)
    if size < _LARGEST:
        entries, at = [], 0
        for resource, one in zip(package.definitions, packed, strict=True):
            entries.append(_Entry(_known(resource), at, at + len(one)))
            at += len(one)
        head = msgspec.json.encode(_Head(stamp, package.name, dict(package.dependencies), entries))
        body = b"".join((head, *packed))
        _write(file, b"%s%08x %010d\n%s" % (_FORMAT, zlib.crc32(body), len(head), body))
    return package


def _known(resource: Mapping[str, Any]) -> dict[str, str | None]:
    return {key: value for key in _KNOWN if (value := resource.get(key)) is None or isinstance(value, str)}


def _write(file: Path, data: bytes) -> None:
    """Put an index in place and forget the oldest beyond the most that are kept; nothing where that is not allowed."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        number, name = tempfile.mkstemp(dir=file.parent, prefix=".new-")
        try:
            with os.fdopen(number, "wb") as stream:
                stream.write(data)
            os.replace(name, file)
        except BaseException:
            os.unlink(name)
            raise
        kept = sorted(file.parent.glob("*.index"), key=lambda each: each.stat().st_mtime_ns)
        for old in kept[:-_MOST]:
            old.unlink(missing_ok=True)
