"""A database that is there already: commands that look at one make none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sqlalchemy.engine import URL

from apothecary.errors import StartError
from apothecary.settings import Settings
from apothecary.store import schema
from apothecary.store.open import database_url, open_store
from apothecary.store.sql import SqlStore

# One statement may take as long as a command runs: a bound for the case that nobody watches it.
PATIENCE = 7 * 24 * 3600.0


def open_existing(settings: Settings, *, patient: bool = False) -> SqlStore:
    """The store that `settings.database` names; a `patient` one has no limit for a statement.

    Raises StartError where there is none, SchemaError for tables of another version.
    """
    from apothecary.store.migrate import stamp

    url = database_url(settings.database)
    if url.get_backend_name() == "sqlite":
        sqlite_file(url)
    if not schema.is_current(stamp(settings)):
        raise StartError(f"{shown(url)} holds no resources yet: apothecary serve or apothecary load makes the tables")
    return open_store(replace(settings, request_seconds=PATIENCE) if patient else settings)


def sqlite_file(url: URL) -> Path:
    """The file of a SQLite database. Raises StartError where there is none."""
    path = Path(url.database or "")
    if not path.is_file():
        raise StartError(f"{path}: there is no such database")
    return path


def shown(url: URL) -> str:
    """A database URL for people, without its password."""
    return url.render_as_string(hide_password=True)
