"""What is remembered of an export or a publication from one step to the next, as JSON in the database."""

from __future__ import annotations

import zlib
from typing import Literal

import msgspec

from apothecary.bulk.packing import pack
from apothecary.errors import Issue

Kind = Literal["output", "deleted", "error"]

# An export tells no more of what went wrong than that.
MOST_NOTES = 1000


class Note(msgspec.Struct, frozen=True):
    """Something to say beside what was exported, as an `Issue` in the form that is kept."""

    severity: Literal["error", "warning", "information"]
    code: str
    text: str
    expression: tuple[str, ...] = ()

    @property
    def issue(self) -> Issue:
        return Issue(self.severity, self.code, self.text, self.expression)


class Wanted(msgspec.Struct):
    """What a kick-off request asks for. `types` are those that are stored, in their order; `filters` are searches;
    `since` and `until` are in microseconds since 1970.
    """

    version: str
    types: list[str]
    since: int | None = None
    until: int | None = None
    elements: list[str] = []
    filters: list[str] = []
    partial: bool = False
    deletions: bool = False
    narrowed: list[str] = []
    """The types of which whoever asks may find only some: what was deleted nobody can tell of them."""


class File(msgspec.Struct):
    """One file: `key` names its pieces in the database, `checksum` is the CRC-32 of the `size` bytes of its text, of
    which there are `packed` when compressed.
    """

    kind: Kind
    type: str
    key: str
    count: int = 0
    size: int = 0
    packed: int = 0
    checksum: int = 0
    pieces: int = 0
    place: int = -1
    """How many files were full before this one; -1 while it is open."""

    def add(self, raw: bytes, count: int) -> bytes:
        """Count one more piece; the piece."""
        piece = pack(raw)
        self.count += count
        self.size += len(raw)
        self.packed += len(piece)
        self.checksum = zlib.crc32(raw, self.checksum)
        self.pieces += 1
        return piece


class Job(msgspec.Struct):
    """How far it is. `moment` is the `transactionTime`; `at` and `after` say which type comes next, and behind which
    id; `selected` counts the ids that the filters of each type found, in pieces.
    """

    request: str
    base: str
    wanted: Wanted
    moment: int
    created: int
    at: int = 0
    after: str = ""
    piece: int = 0
    """Which piece of the ids that a filter found comes next; -1 where only deletions are left."""
    resources: int = 0
    newest: int = 0
    """The time of the newest change among what was written so far."""
    files: list[File] = []
    selected: dict[str, int] = {}
    selecting: bool = False
    """Whether the filters are still to be asked."""
    tries: int = 0
    notes: list[Note] = []
    more_notes: int = 0
    owner: str = ""
    """Who began it, where clients say who they are: nobody else is told of it."""
    scopes: list[str] | None = None
    """What he could see then; None where everybody can see all."""
    failed: str = ""
    full: bool = False
    """Whether it failed for want of room."""
    done: bool = False

    @property
    def packed(self) -> int:
        """The bytes of its files in the database."""
        return sum(one.packed for one in self.files)

    def note(self, *notes: Note) -> None:
        """Say more; past a number it is only counted."""
        room = max(0, MOST_NOTES - len(self.notes))
        self.notes += notes[:room]
        self.more_notes += len(notes[room:])

    def say(self) -> bytes:
        return msgspec.json.encode(self)


_JOB = msgspec.json.Decoder(Job)


def read(data: bytes) -> Job:
    """What `Job.say` wrote."""
    return _JOB.decode(data)
