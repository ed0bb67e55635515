"""Bringing a database's tables to the revision that this version uses, with Alembic: https://alembic.sqlalchemy.org"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, event, inspect, text
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from apothecary.errors import SchemaError
from apothecary.settings import Settings
from apothecary.store import schema
from apothecary.store.faults import one_line, told
from apothecary.store.open import is_missing
from apothecary.store.url import database_url

# How long a migration waits for a table that it needs for itself, in seconds, and how often: nobody else gets the table
# meanwhile (https://www.postgresql.org/docs/current/explicit-locking.html).
LOCK_SECONDS = 1
ATTEMPTS = 60
LOCK_NOT_AVAILABLE = "55P03"


def stamp(settings: Settings) -> str | None:
    """The revision of the database's tables; None for an empty database, or a file that is not there and is not made.

    Raises StartError.
    """
    url = database_url(settings.database)
    if is_missing(url):
        return None
    with told(url), _connection(url) as connection:
        return _stamp(connection)


def migrate(settings: Settings) -> tuple[str | None, str]:
    """Run the migrations that are missing, while servers use the tables; the revisions before and after.

    Each one is done or not at all, and processes that migrate at the same time take turns. A migration that needs a
    table for itself waits for it only for a moment, because whoever comes after it would wait too; then it is tried
    again.

    Raises SchemaError for tables that no migration leads on from, StartError where there is no database.
    """
    url = database_url(settings.database)
    with told(url), _connection(url) as connection:
        found = _stamp(connection)
        if not schema.is_older(found):
            schema.is_current(found, usable_from=lambda: _usable_from(connection))
            return found, found or schema.REVISION
        if url.get_backend_name() == "postgresql":
            from apothecary.store import poolers

            poolers.refuse(connection.connection.dbapi_connection)  # type: ignore[arg-type] # that of psycopg
        with _turn(url, found):
            _upgrade(connection)
    return found, schema.REVISION


def usable_from(settings: Settings) -> str | None:
    """The oldest revision whose code can use the tables; None where the database does not say. Raises StartError."""
    url = database_url(settings.database)
    with told(url), _connection(url) as connection:
        return _usable_from(connection)


def _usable_from(connection: Connection) -> str | None:
    found = connection.execute(text(schema.USABLE_QUESTION)).scalar() if _stamp(connection) else None
    connection.rollback()
    return None if found is None else str(found)


def _upgrade(connection: Connection) -> None:
    """Run what is missing. Raises SchemaError where a migration fails, or cannot have its lock."""
    for attempts_left in reversed(range(ATTEMPTS)):
        try:
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"SET lock_timeout = '{LOCK_SECONDS}s'"))
                connection.commit()
            command.upgrade(_config(connection), "head")
            connection.commit()
            return
        except DBAPIError as error:
            connection.rollback()
            # Another process may have made the first tables at the same time: then all is well.
            if _stamp(connection) == schema.REVISION:
                return
            if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE or not attempts_left:
                reason = one_line(str(error.orig))
                raise SchemaError(f"the migration failed, and nothing of it was kept: {reason}") from error
        time.sleep(LOCK_SECONDS)


@contextmanager
def _turn(url: URL, found: str | None) -> Iterator[None]:
    """Let one process migrate at a time: the others wait here. Readers and writers of the tables do not."""
    if url.get_backend_name() == "sqlite" or found is None:
        # SQLite has one writer as it is; where there is nothing yet, whoever comes first makes it.
        yield
        return
    with _connection(url) as connection:
        while not _locked(connection):
            time.sleep(LOCK_SECONDS)
        yield


def _locked(connection: Connection) -> bool:
    """Whether it is this process's turn now. Who waited in the database would be waited for: an index is built when all
    older statements have ended.
    """
    try:
        connection.execute(text(f"LOCK TABLE {schema.STAMP} IN SHARE UPDATE EXCLUSIVE MODE NOWAIT"))
    except DBAPIError as error:
        connection.rollback()
        if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
            raise
        return False
    return True


def _stamp(connection: Connection) -> str | None:
    names = set(inspect(connection).get_table_names())
    if schema.STAMP in names:
        found = connection.execute(text(f"SELECT version_num FROM {schema.STAMP}")).scalar()  # noqa: S608 (a constant)
        connection.rollback()
        return str(found) if found is not None else schema.UNSTAMPED
    connection.rollback()
    return schema.UNSTAMPED if names & {"resource", "state"} else None


def _config(connection: Connection) -> Config:
    config = Config()
    # A configuration file's syntax: a percent sign in the path would begin a substitution.
    config.set_main_option("script_location", str(schema.VERSIONS.parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _connection(url: URL) -> Connection:
    """A connection with no limit of time: building an index may take longer than a request may."""
    engine = create_engine(_absolute(url), poolclass=NullPool)
    if url.get_backend_name() == "sqlite":
        # The driver would commit before each CREATE; SQLAlchemy's manual shows how to have all of it in one
        # transaction.
        event.listen(engine, "connect", _manual)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine.connect()


def _manual(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    # As the server has it, from the first table on: the mode belongs to the file.
    connection.execute("PRAGMA journal_mode=WAL")


def _absolute(url: URL) -> URL:
    """One driver for each database, whatever SQLAlchemy would take by itself."""
    return url.set(drivername="postgresql+psycopg" if url.get_backend_name() == "postgresql" else "sqlite")
