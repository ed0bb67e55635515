"""Making the tables in an empty database, and knowing whose tables a database has.

A database is stamped as Alembic stamps it, with the revision of its tables in `alembic_version`. Alembic itself is
loaded only by `apothecary.store.migrate`: an ordinary start reads the stamp and goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Dialect
from sqlalchemy.engine.mock import MockConnection

from apothecary.errors import SchemaError
from apothecary.store import assertion_tables, bulk_tables, concept_tables, fulltext, spelling, tables
from apothecary.store import feedback_tables as _feedback_tables  # noqa: F401 (its table is one of the metadata)

# The revision that `tables.py` stands for: the newest one in migrations/versions.
REVISION = "0014"

# The oldest revision whose code can use these tables: what the newest migration says.
USABLE_FROM = "0010"

# Under this name the database says so, and a version that does not know its revision looks there.
USABLE = "tables usable from"
USABLE_QUESTION = f"SELECT value FROM state WHERE name = '{USABLE}'"  # noqa: S608 (a constant)

VERSIONS = Path(__file__).parent / "migrations" / "versions"
STAMP = "alembic_version"
# Every table in which PostgreSQL keeps something. An index of words is a table on SQLite only.
TABLES = (*tables.metadata.tables, fulltext.index_text.name, spelling.spelling.name, STAMP)
# What a backup leaves out: files that are made anew when somebody asks for them, and what counts for minutes.
PASSING = tuple(table.name for table in (*bulk_tables.TABLES, *assertion_tables.TABLES))
UNSTAMPED = ""
"""What `found` is where tables of ours exist without a stamp."""


def statements(dialect: Dialect) -> list[str]:
    """The statements that make every table and index, with their comments, and stamp the database, in order."""
    made: list[str] = []

    def note(statement: Any, *_: Any, **__: Any) -> None:
        made.append(str(statement.compile(dialect=dialect)).strip())

    tables.metadata.create_all(MockConnection(dialect, note), checkfirst=False)
    return [
        *made,
        *fulltext.statements(dialect),
        *concept_tables.statements(dialect),
        *spelling.statements(dialect),
        f"CREATE TABLE {STAMP} (version_num VARCHAR(32) NOT NULL, CONSTRAINT {STAMP}_pkc PRIMARY KEY (version_num))",
        f"INSERT INTO {STAMP} (version_num) VALUES ('{REVISION}')",  # noqa: S608 (constants)
        f"INSERT INTO state (name, value) VALUES ('{USABLE}', '{USABLE_FROM}')",  # noqa: S608 (constants)
    ]


def is_current(found: str | None, *, make: bool = True, usable_from: Callable[[], str | None] = lambda: None) -> bool:
    """Whether this version can use the tables; False for an empty database (None), unless they are not to be made.

    It can use its own, and those of a newer version that only added to them: `usable_from` asks the database for the
    oldest revision whose code that may be. So servers of this version go on, and start again, while the next one is
    brought in beside them.

    Raises SchemaError for tables that it can neither use nor make: the message says what to run.
    """
    if found is None and not make:
        raise SchemaError("the database holds no resources yet: apothecary serve or apothecary load makes the tables")
    if found is None or found == REVISION:
        return found is not None
    if found not in revisions() and (usable_from() or "~") <= REVISION:
        return True
    raise SchemaError(_why_not(found, revisions()))


def revisions() -> list[str]:
    """The revisions that this version knows, oldest first: their files are named by them."""
    return sorted(path.stem.partition("_")[0] for path in VERSIONS.glob("[0-9]*.py"))


def is_older(found: str | None) -> bool:
    """Whether `found` is a revision that the migrations lead on from; None is an empty database."""
    return found is None or (found in revisions() and found != REVISION)


def _why_not(found: str, known: Sequence[str]) -> str:
    if found in known:
        return (
            f"the database has tables of revision {found}, this Apothecary uses revision {REVISION}: make a backup, "
            "then run `apothecary migrate`"
        )
    if found == UNSTAMPED:
        return "the database has tables named like Apothecary's, but it did not make them: name an empty database"
    return (
        f"the database has tables of revision {found}, which this Apothecary (revision {REVISION}) does not know: "
        "a newer version has migrated it. Run that version"
    )
