"""A transaction of SQLite, perhaps one of several that are committed together (`apothecary.store.writers`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from apothecary.store import fulltext
from apothecary.store.sql import SqlStore
from apothecary.store.sqlite_connection import SqliteConnection
from apothecary.store.statements import Statement
from apothecary.store.write import Key, SqlTransaction, Writes


class SqliteTransaction(SqlTransaction):
    """An open transaction, whose reads are bounded in time like all others. What nobody else can change while it lasts
    is asked for once (`apothecary.store.sqlite_connection`).
    """

    def __init__(
        self, store: SqlStore, writes: Writes, connection: SqliteConnection, rows_of: Callable[..., list[Any]]
    ) -> None:
        """`rows_of` gives the rows of a statement on a connection, as `SqliteStore.rows_of` does."""
        super().__init__(store, writes, connection, connection.newest)
        self._rows_of = rows_of
        self._connection = connection
        # While passages are indexed at the end of all, they are neither learnt nor forgotten.
        self._learns = not store.left_out

    def _before_passages_come(self) -> None:
        if self._learns:
            self._connection.before_passages_come()

    def _before_passages_go(self, keys: Sequence[Key]) -> None:
        if self._learns:
            self._connection.before_passages_go(keys)

    def state(self, name: str) -> str | None:
        known = self._connection.states
        if name not in known:
            known[name] = super().state(name)
        return known[name]

    def forget_state(self, name: str) -> None:
        self._connection.states.pop(name, None)
        super().forget_state(name)

    def rows(self, statement: Statement, bound: Sequence[Any], most: int | None = None) -> list[Any]:
        self.flush()
        if fulltext.index_text_words.name in statement.text:
            self._connection.learn()
        return self._rows_of(self._connection, statement, bound, most)
