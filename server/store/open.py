"""A store from a database URL."""

from __future__ import annotations

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from server.errors import StartError
from server.settings import Settings
from server.store.sql import SqlStore


def open_store(settings: Settings) -> SqlStore:
    """The store that `settings.database` names, its tables ready. Raises StartError for a URL that names none."""
    try:
        url = make_url(settings.database)
    except ArgumentError:
        raise StartError(
            f"{settings.database!r} is not a database URL such as sqlite:///file.db or postgresql+psycopg://user@host/name"
        ) from None
    store: SqlStore
    if url.get_backend_name() == "sqlite":
        if not url.database or url.database == ":memory:":
            raise StartError(
                "a database in memory cannot be shared by threads and processes; name a file: sqlite:///file.db"
            )
        from server.store.sqlite import SqliteStore

        store = SqliteStore(url.database, durability=settings.durability, seconds=settings.request_seconds)
    elif url.get_backend_name() == "postgresql":
        from server.store.postgresql import PostgresqlStore

        conninfo = url.set(drivername="postgresql").render_as_string(hide_password=False)
        store = PostgresqlStore(conninfo, connections=settings.threads + 1, seconds=settings.request_seconds)
    else:
        raise StartError(f"{url.get_backend_name()!r}: the database is SQLite or PostgreSQL")
    store.prepare()
    return store
