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


class KeySet(AbstractContextManager["KeySet"]):
    """The keys of resources, each with a digest of what it says, or none."""

    def __init__(self) -> None:
        self._file = sqlite3.connect("", isolation_level=None)
        for one in (f"PRAGMA cache_size = -{_CACHE}", "PRAGMA journal_mode = OFF", "PRAGMA temp_store = FILE"):
            self._file.execute(one)
        self._file.execute("CREATE TABLE known (type TEXT, id TEXT, digest BLOB, PRIMARY KEY (type, id)) WITHOUT ROWID")
        self._file.execute("BEGIN")

    def add(self, kind: str, identity: str, digest: bytes | None = None) -> bool:
        """Take in a key; False where it is in already, and nothing is changed."""
        found = self._file.execute("INSERT OR IGNORE INTO known VALUES (?, ?, ?)", (kind, identity, digest))
        return found.rowcount == 1

    def digest(self, kind: str, identity: str) -> bytes | None:
        """The digest of a key; None where there is none."""
        found = self._file.execute("SELECT digest FROM known WHERE type = ? AND id = ?", (kind, identity)).fetchone()
        return None if found is None else found[0]

    def __contains__(self, key: tuple[str, str]) -> bool:
        return self._file.execute("SELECT 1 FROM known WHERE type = ? AND id = ?", key).fetchone() is not None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        yield from self._file.execute("SELECT type, id FROM known ORDER BY type, id")

    def __len__(self) -> int:
        return int(self._file.execute("SELECT count(*) FROM known").fetchone()[0])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
