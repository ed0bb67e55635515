"""Bringing a database's tables to the revision that this version uses, with Alembic: https://alembic.sqlalchemy.org"""

from __future__ import annotations

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
    """Run the migrations that are missing, all or none; the revisions before and after.

    Raises SchemaError for tables that no migration leads on from, StartError where there is no database.
    """
    url = database_url(settings.database)
    with told(url), _connection(url) as connection:
        found = _stamp(connection)
        if not schema.is_older(found):
            schema.is_current(found)
            return found, schema.REVISION
        try:
            command.upgrade(_config(connection), "head")
            connection.commit()
        except DBAPIError as error:
            connection.rollback()
            # Another process may have run the same migrations at the same time: then all is well.
            if _stamp(connection) != schema.REVISION:
                reason = one_line(str(error.orig))
                raise SchemaError(f"the migration failed, and nothing of it was kept: {reason}") from error
    return found, schema.REVISION


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
