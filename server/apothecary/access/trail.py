"""The record as files: one line an event, each with the hash of the line before it, on the disk before anybody is
answered.

A folder holds `audit-00000001.ndjson` and so on, and `end.json`, which says where the record ends. All processes of a
server write to one folder, one after the other: the lock on `end.json` is what they share. Threads that come together
are written, and wait for the disk, together. https://hl7.org/fhir/R5/nd-json.html
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from apothecary.access.records import NONE
from apothecary.errors import StartError, Unreachable

log = logging.getLogger("apothecary")

END = "end.json"
# `end.json` is as long as that whatever it says, so that one write replaces all of it.
END_BYTES = 256
# Files have numbers of up to eight digits.
MOST = 10**8


class End(msgspec.Struct, frozen=True):
    """Where the record ends: the number of the first file that is kept, that of the last, so many bytes of it, and the
    SHA-256 of its last line, without the line's end; `before` is that of the last line that is not kept any more.
    """

    first: Annotated[int, Meta(ge=1, lt=MOST)] = 1
    last: Annotated[int, Meta(ge=1, lt=MOST)] = 1
    size: Annotated[int, Meta(ge=0)] = 0
    digest: str = NONE
    before: str = NONE


_END = msgspec.json.Decoder(End)
_text = msgspec.json.Encoder().encode


class _Ticket:
    """Lines that wait to be written, and what became of them."""

    __slots__ = ("done", "failure", "lines")

    def __init__(self, lines: Sequence[bytes]) -> None:
        self.lines = lines
        self.done = False
        self.failure: OSError | None = None


# The files of a record, as a pattern.
FILES = "audit-*.ndjson"


def file_of(folder: Path, number: int) -> Path:
    """The file of that number."""
    return folder / f"audit-{number:08}.ndjson"


class Trail:
    """The record of the server's processes in one folder, as one of them writes it."""

    def __init__(
        self,
        folder: Path,
        *,
        size: int,
        files: int,
        durable: bool,
        begin: Callable[[str | None], bytes],
    ) -> None:
        """Files get no larger than `size` bytes, unless one line is; more than so many `files` are not kept, 0 for all.
        `durable`: a line counts as written when the disk has it. `begin` makes the line that a process begins with,
        from what is wrong with the one before it. Raises StartError where the folder cannot be written to.
        """
        self._folder, self._size, self._files, self._durable, self._begin = folder, size, files, durable, begin
        self._turn, self._lock = threading.Lock(), threading.Lock()
        self._waiting: list[_Ticket] = []
        self._handle, self._number, self._following = -1, 0, ""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._state = os.open(folder / END, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with self._turn, self._alone() as end:
                self._write(end, [begin(None)])
        except OSError as error:
            raise StartError(f"APOTHECARY_AUDIT_FOLDER: {folder} cannot be written to: {error.strerror}") from error

    def append(self, lines: Sequence[bytes]) -> None:
        """Write lines, each with `records.NONE` where the hash goes. When this returns they are there. Raises
        Unreachable where they cannot be written; some may be there all the same.
        """
        mine = _Ticket(lines)
        with self._lock:
            self._waiting.append(mine)
        with self._turn:
            if not mine.done:
                self._write_all()
        if mine.failure is not None:
            log.error("the record of requests cannot be written: %s", mine.failure.strerror)
            raise Unreachable("the record of what was asked cannot be written, so nothing is answered")

    def _write_all(self) -> None:
        """Write what waits, for all who do."""
        with self._lock:
            tickets, self._waiting = self._waiting, []
        try:
            with self._alone() as end:
                self._write(end, [line for one in tickets for line in one.lines])
        except BaseException as error:
            # Whatever it was: nobody is told that a line is there which is not.
            failure = error if isinstance(error, OSError) else OSError(0, f"{type(error).__name__}")
            for one in tickets:
                one.failure = failure
            if not isinstance(error, OSError):
                raise
        finally:
            for one in tickets:
                one.done = True

    @contextmanager
    def _alone(self) -> Iterator[End]:
        """No other process writes in the block, which begins where the record ends."""
        fcntl.flock(self._state, fcntl.LOCK_EX)
        try:
            yield self._recovered(end_of(self._state))
        finally:
            fcntl.flock(self._state, fcntl.LOCK_UN)

    def _recovered(self, end: End) -> End:
        """The end of the record, after what a process left that was killed between writing and saying so."""
        said = None
        while True:
            size = os.fstat(self._open(end.last)).st_size
            if size > end.size:
                end, torn = self._read_on(end)
                said = said or torn
            elif size < end.size:
                said = f"{end.size - size} bytes of the record are gone; somebody else cut it"
                end = msgspec.structs.replace(end, size=size)
            if not os.path.exists(self._following):
                break
            end = msgspec.structs.replace(end, last=end.last + 1, size=0)
        if said is None:
            return end
        log.error("the record of requests in %s: %s", self._folder, said)
        return self._write(end, [self._begin(said)])

    def _read_on(self, end: End) -> tuple[End, str | None]:
        """The end after lines that are there already. A line that stops in the midst is closed: it was acknowledged to
        nobody, and what follows says so.
        """
        path = file_of(self._folder, end.last)
        digest, size, line = end.digest, end.size, b""
        with path.open("rb") as file:
            file.seek(end.size)
            for line in file:
                size += len(line)
                digest = sha256(line.removesuffix(b"\n")).hexdigest()
        torn = None
        if not line.endswith(b"\n"):
            self._put(b"\n", size)
            size += 1
        if not is_event(line):
            torn = TORN
        return msgspec.structs.replace(end, size=size, digest=digest), torn

    def _open(self, number: int) -> int:
        """The file of that number, for writing."""
        if number != self._number:
            if self._handle >= 0:
                os.close(self._handle)
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._handle, self._number = os.open(file_of(self._folder, number), flags, 0o600), number
            self._following = str(file_of(self._folder, number + 1))
            if self._durable:
                _settle(self._folder)
        return self._handle

    def _write(self, end: End, lines: Sequence[bytes]) -> End:
        """Write lines behind `end`, and say where the record ends then."""
        made, digest, size, number = bytearray(), end.digest, end.size, end.last
        for line in lines:
            head, _, rest = line.partition(NONE.encode())
            text = b"%b%b%b" % (head, digest.encode(), rest)
            if size + len(made) and size + len(made) + len(text) >= self._size:
                self._put(bytes(made), size)
                number, size = number + 1, 0
                made.clear()
            digest = sha256(text).hexdigest()
            made += text + b"\n"
            self._open(number)
        self._put(bytes(made), size)
        first, before = self._first(end, number)
        self._settle(found := End(first, number, size + len(made), digest, before))
        self._remove_before(first)
        return found

    def _put(self, text: bytes, size: int) -> None:
        """Append to the open file, which has `size` bytes: all of it, or nothing."""
        handle, rest = self._handle, memoryview(text)
        try:
            while rest:
                rest = rest[os.write(handle, rest) :]
            if self._durable:
                os.fdatasync(handle)
        except OSError:
            os.ftruncate(handle, size)
            raise

    def _settle(self, end: End) -> None:
        os.pwrite(self._state, _text(end).ljust(END_BYTES), 0)

    def _first(self, end: End, last: int) -> tuple[int, str]:
        """The number of the first file that is kept when `last` is the last, and the hash of the line before it."""
        kept = max(end.first, last - self._files + 1) if self._files else end.first
        if kept == end.first:
            return kept, end.before
        try:
            with file_of(self._folder, kept - 1).open("rb") as file:
                line = deque(file, maxlen=1)
        except FileNotFoundError:
            # Somebody else removed it; no line follows from that.
            line = deque()
        return kept, sha256(line[0].removesuffix(b"\n")).hexdigest() if line else ""

    def _remove_before(self, first: int) -> None:
        """Remove the files that are not kept any more, with those that a process left that was killed meanwhile."""
        while first > 1 and file_of(self._folder, first - 1).exists():
            first -= 1
            file_of(self._folder, first).unlink(missing_ok=True)

    def close(self) -> None:
        """Give the files back."""
        for handle in (self._handle, self._state):
            if handle >= 0:
                os.close(handle)
        self._handle = self._state = -1


TORN = "the line before this one was torn by a crash; nobody was given the answer that it tells of"


def is_event(line: bytes) -> bool:
    """Whether a line is whole."""
    try:
        found = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return False
    return isinstance(found, dict) and found.get("resourceType") == "AuditEvent"


def end_of(handle: int) -> End:
    """What `end.json` says; the beginning where it says nothing yet. Raises OSError where it says what nobody wrote."""
    text = os.pread(handle, END_BYTES, 0)
    if not text.strip(b" \0"):
        return End()
    try:
        found = _END.decode(text)
    except msgspec.DecodeError as error:
        raise OSError(0, f"{END} is damaged") from error
    if found.first > found.last:
        raise OSError(0, f"{END} is damaged")
    return found


def _settle(folder: Path) -> None:
    """Have the disk know the names in a folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
