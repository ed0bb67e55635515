"""Filling an empty database that nobody else uses: what is looked things up by is made when all rows are there.

To sort a million entries once takes a fraction of the time that it takes to find the place of each, and leaves full
pages. What is left out meanwhile is noted in the database: where a load was ended in between, whoever opens it next
makes it. https://www.postgresql.org/docs/current/populate.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from sqlalchemy import Index
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateIndex

from apothecary.store import fulltext, spelling, tables
from apothecary.store.contract import Transaction
from apothecary.store.statements import Statements

# Under this name the database says that they are left out.
LEFT_OUT = "indexes left out"
ASKED = f"SELECT value FROM state WHERE name = '{LEFT_OUT}'"  # noqa: S608 (a constant)

MAKING_UP = "a large load was ended before its indexes were made: making them now"

# Each transaction looks for the newest version; and it grows at its end only. Rows of a resource go when the next
# version of it is loaded.
OF_RESOURCE = [f"{table.name}_{tables.OF_RESOURCE}" for table in tables.INDEXES.values()]
KEPT = frozenset({"resource_written", *OF_RESOURCE})


def _indexes() -> Iterator[Index]:
    for table in (tables.resource, tables.superseded, *tables.INDEXES.values()):
        yield from (one for one in sorted(table.indexes, key=lambda one: str(one.name)) if one.name not in KEPT)


def leaving_out(dialect: Dialect) -> list[str]:
    """The statements that drop them, and note that."""
    dropped = [f"DROP INDEX IF EXISTS {one.name}" for one in _indexes()]
    noted = f"INSERT INTO state (name, value) VALUES ('{LEFT_OUT}', '')"  # noqa: S608 (a constant)
    return [*dropped, *fulltext.leaving_out(dialect), *spelling.leaving_out(dialect), noted]


def making(dialect: Dialect) -> list[str]:
    """The statements that make them, in one transaction."""
    made = [str(CreateIndex(one, if_not_exists=True).compile(dialect=dialect)).strip() for one in _indexes()]
    forgotten = f"DELETE FROM state WHERE name = '{LEFT_OUT}'"  # noqa: S608 (a constant)
    return [*made, *fulltext.making_up(dialect), *spelling.making_up(dialect), forgotten]


def packing() -> list[str]:
    """The statements that write PostgreSQL's keys anew: made row by row, in no order, their pages are hardly more than
    half full (https://www.postgresql.org/docs/current/routine-reindex.html).
    """
    every = (*(f"{one.name}_pkey" for one in (tables.resource, tables.superseded)), *sorted(KEPT))
    return [f"REINDEX INDEX {name}" for name in every]


def gathering() -> list[str]:
    """The statements that let PostgreSQL look at what the tables hold: its plans hang on that, and it looks by itself
    only after a while (https://www.postgresql.org/docs/current/sql-analyze.html).
    """
    every = (tables.resource, tables.superseded, *tables.INDEXES.values(), spelling.spelling, tables.vocabulary)
    return [f"ANALYZE {one.name}" for one in every]


class Filled(Protocol):
    """What is asked of a store."""

    statements: Statements
    left_out: bool

    def alone(self) -> AbstractContextManager[bool]: ...
    def make_up(self) -> None: ...
    def write(self, work: Callable[[Transaction], Any], /) -> Any: ...


@contextmanager
def filling(store: Filled) -> Iterator[bool]:
    """See `Store.filling`."""
    with store.alone() as alone:
        if not alone:
            yield False
            return
        store.write(lambda transaction: transaction.run_all(leaving_out(store.statements.dialect)))
        store.left_out = True
        try:
            yield True
            store.make_up()
        finally:
            # Where it was broken off, whoever opens the database next makes what is missing.
            store.left_out = False
