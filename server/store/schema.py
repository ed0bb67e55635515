"""Making the tables, and knowing whose they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateIndex, CreateTable

from server.errors import SchemaError
from server.store import fulltext, tables

# Counts changes of the tables. A database of another number is refused.
SCHEMA = "2"


def statements(dialect: Dialect) -> list[str]:
    """The statements that make every table and index, in order."""
    result = []
    for table in tables.metadata.sorted_tables:
        result.append(str(CreateTable(table).compile(dialect=dialect)))
        result += [
            str(CreateIndex(index).compile(dialect=dialect))
            for index in sorted(table.indexes, key=lambda index: str(index.name))
        ]
    result += fulltext.statements(dialect)
    result.append(f"INSERT INTO state (name, value) VALUES ('schema', '{SCHEMA}')")  # noqa: S608 (a constant)
    return result


def prepare(found: str | None, dialect: Dialect, run: Callable[[Sequence[str]], None]) -> None:
    """Make the tables where `found` (the number in the database) is None; raises SchemaError where it is not this
    version's.
    """
    if found is None:
        run(statements(dialect))
    elif found != SCHEMA:
        raise SchemaError(
            f"the database has tables of version {found}, this Apothecary uses version {SCHEMA}: "
            "start with an empty database and load the content anew"
        )
