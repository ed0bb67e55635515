"""A store from a database URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from apothecary.errors import StartError
from apothecary.settings import Settings
from apothecary.store.sql import SqlStore

if TYPE_CHECKING:
    from apothecary.store.replica import ReplicaReader


def open_store(settings: Settings) -> SqlStore:
    """The store that `settings.database` names. In an empty database the tables are made.

    Raises StartError for a URL that names no database, SchemaError for tables of another version.
    """
    url = database_url(settings.database)
    store: SqlStore
    if url.get_backend_name() == "sqlite":
        from apothecary.store.sqlite import SqliteStore

        store = SqliteStore(
            url.database or "",
            durability=settings.durability,
            seconds=settings.request_seconds,
            cache=settings.sqlite_cache,
        )
    else:
        from apothecary.store.postgresql import PostgresqlStore

        store = PostgresqlStore(conninfo(url), connections=settings.threads + 1, seconds=settings.request_seconds)
    try:
        store.prepare()
    except StartError:
        store.close()
        raise
    return store


def open_replica(settings: Settings, store: SqlStore) -> ReplicaReader | None:
    """A reader that prefers the standby named by `settings.read_database`; None where there is none.

    Raises StartError where either database cannot have a standby, or the two do not belong together.
    """
    if not settings.read_database:
        return None
    url = database_url(settings.read_database)
    if database_url(settings.database).get_backend_name() != "postgresql" or url.get_backend_name() != "postgresql":
        raise StartError(
            "APOTHECARY_READ_DATABASE names a standby of a PostgreSQL database; "
            "SQLite has none, its readers never wait as it is"
        )
    from apothecary.store.postgresql import PostgresqlStore
    from apothecary.store.replica import ReplicaReader

    if not isinstance(store, PostgresqlStore):
        raise StartError("APOTHECARY_READ_DATABASE needs the store that APOTHECARY_DATABASE names")
    replica = PostgresqlStore(
        conninfo(url), connections=settings.threads + 1, seconds=settings.request_seconds, wait=2.0
    )
    try:
        return ReplicaReader(store, replica)
    except StartError:
        replica.close()
        raise


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
