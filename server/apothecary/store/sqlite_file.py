"""What became of a database's file while it is in use: gone, replaced, cut short, damaged, out of room.

SQLite goes on with the file that it opened, whatever its name stands for by now, and a write to a file without a name
is lost (https://www.sqlite.org/howtocorrupt.html). So before a write and after it the name is looked at, at a read once
a second. What SQLite itself finds is told by its result code (https://www.sqlite.org/rescode.html).
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Literal

from apothecary.errors import FhirError, InsufficientStorage, Unreachable

log = logging.getLogger("apothecary")
# Where no log was set up, a command ends with the reason in one line; without a handler Python would print another.
log.addHandler(logging.NullHandler())

# How old a look at the file may be for a read, in seconds.
LOOK = 1.0

# What a file consists of, as the system numbers it: device and inode of the database and of its log.
Identity = tuple[tuple[int, int], tuple[int, int] | None]

# Primary result codes after which the file cannot be relied on until somebody has seen to it.
_DAMAGED = {
    sqlite3.SQLITE_CORRUPT: "its file is damaged; restore a backup",
    sqlite3.SQLITE_NOTADB: "its file is no SQLite database any more; restore a backup",
}
# Those that may pass.
_PASSING = {
    sqlite3.SQLITE_IOERR: "its disk fails",
    sqlite3.SQLITE_CANTOPEN: "its file cannot be opened",
    sqlite3.SQLITE_READONLY: "its file may not be written",
    sqlite3.SQLITE_PERM: "its file may not be used",
}


class DatabaseFile:
    """One file, as this process opened it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._identity: Identity | None = None
        self._size = 0
        self._looked = 0.0
        self._damage: str | None = None
        self._told: str | None = None

    @property
    def known(self) -> bool:
        """Whether the file has been opened, so that none is to be made."""
        return self._identity is not None

    def note(self) -> None:
        """The file was just opened, and its log with it."""
        self._identity, self._size = self._look()

    def check(self, connect: Callable[[], sqlite3.Connection]) -> None:
        """Raises Unreachable where the name stands for something else than what was opened, or where what it stands for
        is damaged. `connect` opens it anew.
        """
        if self._damage is not None:
            raise self._refused(self._damage)
        if self._identity is None:
            return
        try:
            found, size = self._look()
        except OSError as error:
            raise self._refused(f"its file is gone ({error.strerror})") from error
        if found[0] != self._identity[0]:
            raise self._refused("another file is in the place of its own; start the server again")
        if found[1] != self._identity[1]:
            raise self._refused("its log (-wal) was removed; start the server again")
        if size < self._size:
            self._check_size(size, connect)
        self._size = size
        self._looked = time.monotonic()
        self._told = None

    def check_sometimes(self, connect: Callable[[], sqlite3.Connection]) -> None:
        """The same, where the last look is older than a second."""
        if time.monotonic() - self._looked > LOOK or self._damage is not None:
            self.check(connect)

    def translated(self, error: sqlite3.Error) -> FhirError | None:
        """What a request is answered with for a fault of the file; None for another one."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL or (code in _PASSING and self._full()):
            self._tell("its disk is full")
            return InsufficientStorage("the disk of the database is full")
        if code in _DAMAGED:
            self._damage = _DAMAGED[code]
            return self._refused(self._damage)
        if code in _PASSING:
            return self._refused(_PASSING[code])
        return None

    def _look(self) -> tuple[Identity, int]:
        found = os.stat(self.path)
        try:
            beside = os.stat(f"{self.path}-wal")
        except FileNotFoundError:
            return ((found.st_dev, found.st_ino), None), found.st_size
        return ((found.st_dev, found.st_ino), (beside.st_dev, beside.st_ino)), found.st_size

    def _check_size(self, size: int, connect: Callable[[], sqlite3.Connection]) -> None:
        """A file that is smaller than before was vacuumed, or cut short: then pages are missing."""
        try:
            with closing(connect()) as fresh:
                pages = int(fresh.execute("PRAGMA page_count").fetchone()[0])
                short = size < pages * int(fresh.execute("PRAGMA page_size").fetchone()[0]) or size == 0
        except sqlite3.DatabaseError:
            short = True
        if short:
            self._damage = "its file was cut short; restore a backup"
            raise self._refused(self._damage)

    def _full(self) -> bool:
        try:
            return os.statvfs(Path(self.path).absolute().parent).f_bavail == 0
        except OSError:
            return False

    def _refused(self, reason: str) -> Unreachable:
        self._tell(reason)
        return Unreachable(f"the database cannot be used: {reason}", headers={"Retry-After": "5"})

    def _tell(self, reason: str) -> None:
        """One line for each new reason, however many requests meet it."""
        if reason != self._told:
            self._told = reason
            log.error("the database %s cannot be used: %s", self.path, reason)


def pragmas(durability: Literal["full", "normal"], cache: int) -> tuple[str, ...]:
    """How a connection of a server works; `cache` is in megabytes.

    No mmap_size: where another process cuts the file short, a mapped page is a SIGBUS and not an error; and what is not
    in memory yet is read ahead in megabytes, for lookups that need one page of each place.
    """
    return (
        f"synchronous={'FULL' if durability == 'full' else 'NORMAL'}",
        f"cache_size={-1024 * cache}",
        "temp_store=MEMORY",
    )
