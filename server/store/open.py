"""A store from a database URL."""

from __future__ import annotations

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from server.errors import StartError
from server.settings import Settings
from server.store.sql import SqlStore


def open_store(settings: Settings) -> SqlStore:
    """The store that `settings.database` names. In an empty database the tables are made.

    Raises StartError for a URL that names no database, SchemaError for tables of another version.
    """
    url = database_url(settings.database)
    store: SqlStore
    if url.get_backend_name() == "sqlite":
        from server.store.sqlite import SqliteStore

        store = SqliteStore(url.database or "", durability=settings.durability, seconds=settings.request_seconds)
    else:
        from server.store.postgresql import PostgresqlStore

        store = PostgresqlStore(conninfo(url), connections=settings.threads + 1, seconds=settings.request_seconds)
    try:
        store.prepare()
    except StartError:
        store.close()
        raise
    return store


def database_url(text: str) -> URL:
    """The parts of a database URL. Raises StartError where it names no SQLite file and no PostgreSQL database."""
    try:
        url = make_url(text)
    except ArgumentError:
        raise StartError(
            f"{text!r} is not a database URL such as sqlite:///file.db or postgresql+psycopg://user@host/name"
        ) from None
    backend = url.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise StartError(f"{backend!r}: the database is SQLite or PostgreSQL")
    if backend == "sqlite" and (not url.database or url.database == ":memory:"):
        raise StartError(
            "a database in memory cannot be shared by threads and processes; name a file: sqlite:///file.db"
        )
    return url


def conninfo(url: URL) -> str:
    """The same address as PostgreSQL's own library writes it."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
