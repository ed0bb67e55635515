"""What the statements of a store read: rows on PostgreSQL, thousands of instructions on SQLite."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any, TypeVar

from sqlalchemy.engine import make_url

from apothecary.store.sql import SqlStore
from apothecary.store.statements import Statement

T = TypeVar("T")


class Reading:
    """What the statements of a store read."""

    def __init__(self, store: SqlStore, url: str) -> None:
        self._made: list[tuple[str, Sequence[object]]] = []
        self._url = url
        self._rows = store.rows
        store.rows = self._noted  # type: ignore[method-assign] # of this store alone

    def _noted(self, statement: Statement, bound: Sequence[object], most: int | None = None) -> list[object]:
        self._made.append((statement.text, bound))
        return self._rows(statement, bound, most)

    def of(self, ask: Callable[[], T]) -> tuple[T, int]:
        """What `ask` gives, and what one of its statements read at most: rows, or thousands of instructions in all."""
        self._made.clear()
        shown = ask()
        made = tuple(self._made)
        if self._url.startswith("sqlite"):
            with closing(sqlite3.connect(make_url(self._url).database or "")) as connection:
                return shown, sum(_instructions(connection, *one) for one in made)
        return shown, max((sum(_read(row[0]) for row in self._explained(*one)) for one in made), default=0)

    def _explained(self, text: str, bound: Sequence[object]) -> list[Any]:
        return self._rows(Statement(f"EXPLAIN (ANALYZE, TIMING OFF) {text}", (), {}), bound)


def _instructions(connection: sqlite3.Connection, text: str, bound: Sequence[object]) -> int:
    done = [0]

    def another() -> int:
        done[0] += 1
        return 0

    connection.set_progress_handler(another, 1000)
    connection.execute(text, bound).fetchall()  # type: ignore[arg-type] # what the store bound
    return done[0]


def _read(line: str) -> int:
    """The rows that a step of a plan read from a table or an index."""
    # What a CTE gives was read by the step that made it.
    if not re.search(r"((?<!CTE )Scan|Removed by)", line):
        return 0
    if removed := re.search(r"Rows Removed by [\w ]+: (\d+)", line):
        return int(removed[1])
    found = re.search(r"actual rows=(\d+) loops=(\d+)", line)
    return int(found[1]) * int(found[2]) if found else 0
