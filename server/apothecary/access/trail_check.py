"""Whether a record is whole: every file is there, every line follows from the one before it, and the end is the end."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from apothecary.access.records import CHAIN, NONE
from apothecary.access.trail import END, FILES, TORN, End, end_of, file_of, is_event
from apothecary.errors import StartError


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found in a record: its lines and files up to the first fault, the SHA-256 of the last line, and the
    fault, as a sentence that begins with its place; None where there is none.
    """

    lines: int
    files: int
    digest: str
    fault: str | None
    noted: bool
    """Whether a line has the hash that was noted down before."""


class _Broken(Exception):
    """The place and the sentence of a fault."""


def verify(folder: Path, noted: str = NONE) -> Verdict:
    """Look at the whole record in `folder`, while servers go on writing to it. `noted` is the hash of a line that must
    be in it. Raises StartError where there is no record.
    """
    walk = _Walk(folder, *_end(folder))
    fault = None
    try:
        for digest in walk.digests():
            walk.noted = walk.noted or digest == noted
    except _Broken as error:
        fault = str(error)
    return Verdict(walk.lines, walk.files, walk.digest, fault, walk.noted or noted == NONE)


def _end(folder: Path) -> tuple[End, list[Path]]:
    """Where the record ends, and the files that are there then."""
    try:
        handle = os.open(folder / END, os.O_RDONLY)
    except OSError as error:
        raise StartError(f"{folder / END}: cannot be read: {error.strerror}") from error
    try:
        # Whoever writes is done with what it is about, and no server is kept from it for longer than this takes.
        fcntl.flock(handle, fcntl.LOCK_SH)
        return end_of(handle), sorted(folder.glob(FILES))
    except OSError as error:
        raise StartError(f"{folder / END}: {error.strerror}") from error
    finally:
        os.close(handle)


class _Walk:
    """From the first line that is kept to the last."""

    def __init__(self, folder: Path, end: End, there: Sequence[Path]) -> None:
        self._folder, self._end, self._there = folder, end, there
        self.lines, self.files, self.digest, self.noted = 0, 0, end.before, False

    def digests(self) -> Iterator[str]:
        """The hash of each line. Raises _Broken at the first fault."""
        number, walked = self._end.first, set[Path]()
        while number <= self._end.last or file_of(self._folder, number).exists():
            path = file_of(self._folder, number)
            try:
                file = path.open("rb")
            except FileNotFoundError:
                raise _Broken(f"{path}: the file is missing") from None
            self.files += 1
            walked.add(path)
            before = self.lines
            with file:
                yield from self._lines(path, file, number)
            if self.lines == before and number < self._end.last:
                raise _Broken(f"{path}: the file is empty")
            number += 1
        for path in self._there:
            if path not in walked:
                raise _Broken(f"{path}: {END} does not tell of this file")

    def _lines(self, path: Path, file: Any, number: int) -> Iterator[str]:
        size, at, torn = 0, 0, False
        reached = number != self._end.last or self._end.size == 0
        for at, line in enumerate(file, start=1):
            place = f"{path}:{at}"
            whole = line.endswith(b"\n")
            text = line.removesuffix(b"\n")
            if not whole and reached and number >= self._end.last:
                # A process is writing it, or was killed then: the next one that starts says so.
                return
            event = msgspec.json.decode(text) if whole and is_event(text) else None
            if event is None:
                if torn or not whole:
                    raise _Broken(f"{place}: this is no event")
                torn = True
            else:
                self._follow(place, event, torn)
                torn = False
            self.lines += 1
            self.digest = sha256(text).hexdigest()
            size += len(line)
            if number == self._end.last and size == self._end.size:
                if self.digest != self._end.digest:
                    raise _Broken(f"{place}: this is not the last line that {END} tells of")
                reached = True
            yield self.digest
        if not reached:
            raise _Broken(f"{path}:{at}: the record is cut: {END} tells of {self._end.size - size} bytes behind this")
        if torn and number != self._end.last:
            raise _Broken(f"{path}:{at}: this is no event")

    def _follow(self, place: str, event: dict[str, Any], torn: bool) -> None:
        before = _before(event)
        if torn and event.get("outcomeDesc") != TORN:
            raise _Broken(f"{place}: the line before this one is no event, and no server has said that it was torn")
        if before != self.digest:
            raise _Broken(f"{place}: this does not follow from the line before it")


def _before(event: dict[str, Any]) -> str | None:
    """The hash of the line before, as a line tells it."""
    meta = event.get("meta")
    for tag in meta.get("tag", ()) if isinstance(meta, dict) else ():
        if isinstance(tag, dict) and tag.get("system") == CHAIN:
            return str(tag.get("code"))
    return None
