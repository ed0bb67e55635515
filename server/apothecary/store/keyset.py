"""A set of keys that may be larger than memory: it lies in a file that SQLite makes for it, and removes.

https://www.sqlite.org/inmemorydb.html#temp_db
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager
from types import TracebackType

# So much of it is held in memory, in KiB; what is beyond goes to the disk.
_CACHE = 32 * 1024

# What is surely new is not looked for in the file, and put there together with others. Hashes tell that, of so many
# keys at the most, which take some 80 bytes each.
_HASHES, _TOGETHER = 1_000_000, 1000

_INSERT = "INSERT OR IGNORE INTO known VALUES (?, ?, ?)"


class KeySet(AbstractContextManager["KeySet"]):
    """The keys of resources, each with a digest of what it says, or none."""

    def __init__(self) -> None:
        self._file = sqlite3.connect("", isolation_level=None)
        for one in (f"PRAGMA cache_size = -{_CACHE}", "PRAGMA journal_mode = OFF", "PRAGMA temp_store = FILE"):
            self._file.execute(one)
        self._file.execute("CREATE TABLE known (type TEXT, id TEXT, digest BLOB, PRIMARY KEY (type, id)) WITHOUT ROWID")
        self._file.execute("BEGIN")
        self._hashes: set[int] = set()
        self._new: list[tuple[str, str, bytes | None]] = []

    def add(self, kind: str, identity: str, digest: bytes | None = None) -> bool:
        """Take in a key; False where it is in already, and nothing is changed."""
        key = hash((kind, identity))
        if key not in self._hashes and len(self._hashes) < _HASHES:
            self._hashes.add(key)
            self._new.append((kind, identity, digest))
            if len(self._new) == _TOGETHER:
                self._put()
            return True
        return self._asked().execute(_INSERT, (kind, identity, digest)).rowcount == 1

    def digest(self, kind: str, identity: str) -> bytes | None:
        """The digest of a key; None where there is none."""
        found = self._asked().execute("SELECT digest FROM known WHERE type = ? AND id = ?", (kind, identity)).fetchone()
        return None if found is None else found[0]

    def __contains__(self, key: tuple[str, str]) -> bool:
        return self._asked().execute("SELECT 1 FROM known WHERE type = ? AND id = ?", key).fetchone() is not None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        yield from self._asked().execute("SELECT type, id FROM known ORDER BY type, id")

    def __len__(self) -> int:
        return int(self._asked().execute("SELECT count(*) FROM known").fetchone()[0])

    def _put(self) -> None:
        new, self._new = self._new, []
        self._file.executemany(_INSERT, new)

    def _asked(self) -> sqlite3.Connection:
        """The file, with all keys in it."""
        if self._new:
            self._put()
        return self._file

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
