"""A connection to SQLite, with what is known of it beyond what SQLite knows."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from typing import Any

from apothecary.store import fulltext
from apothecary.store.statements import Statement

# The largest number that SQLite knows: https://www.sqlite.org/datatype3.html
LARGEST = 2**63 - 1
# Who waits for another process looks so often, in seconds, and more seldom where it is LONG.
SOON, LATER, LONG = 0.001, 0.01, 1.0


class SqliteConnection(sqlite3.Connection):
    """A connection; until when its statement may run: a moment of the monotonic clock, 0 for no limit; and how many
    characters of long statements it keeps prepared.

    A transaction has the passages that it writes indexed in one go, when somebody asks for words or at its end: FTS5
    writes a piece of its index for each statement, and then has to merge these (https://www.sqlite.org/fts5.html).
    """

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.deadline = [0.0]
        self.long = 0
        self._seen: set[int] = set()
        self.learnt: int | None = None
        """The number of the last passage that is in the index of words; None where all are."""
        self.went = False
        """Whether passages may have gone since."""
        self.newest: int | None = None
        """The time of the last write, where this transaction knows it: nobody else writes meanwhile."""
        self.states: dict[str, str | None] = {}
        """What it read of the states of the database."""

    def ended(self) -> None:
        """A transaction is over: what was known while it lasted is not known any more."""
        self.learnt = self.newest = None
        self.went = False
        self.states.clear()

    def undone(self, learnt: int | None) -> None:
        """Some of a transaction was undone, before which this was the last passage in the index."""
        self.learnt, self.went = learnt, True
        self.states.clear()

    def keeps(self, statement: Statement) -> None:
        """It prepares a statement, and knows it from now on."""
        if statement.is_long and (mark := hash(statement.text)) not in self._seen:
            self._seen.add(mark)
            self.long += len(statement.text)

    def before_passages_come(self) -> None:
        """Note from where on passages are new. The last number may have become smaller, where passages went."""
        if self.learnt is not None and not self.went:
            return
        ((last,),) = self.execute(fulltext.LAST).fetchall()
        self.learnt = last if self.learnt is None else min(self.learnt, last)
        self.went = False

    def before_passages_go(self, keys: Sequence[tuple[str, str]]) -> None:
        """Take the passages of some resources out of the index, those that are in it."""
        self.went = True
        last = LARGEST if self.learnt is None else self.learnt
        self.executemany(fulltext.FORGET, [(*key, last) for key in keys])

    def learn(self) -> None:
        """Index the passages that are new."""
        if self.learnt is not None:
            self.execute(fulltext.LEARN, (self.learnt,))
            self.learnt = None


def as_soon_as_free(connection: sqlite3.Connection, statement: str, seconds: float) -> None:
    """Run a statement that others may keep from running for so many seconds."""
    began = time.monotonic()
    while True:
        waited = time.monotonic() - began
        try:
            connection.execute(statement)
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or waited > seconds:
                raise
        time.sleep(SOON if waited < LONG else LATER)
