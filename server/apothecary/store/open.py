"""A store from a database URL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.engine import URL

from apothecary.errors import StartError
from apothecary.settings import Settings
from apothecary.store.faults import told
from apothecary.store.sql import SqlStore
from apothecary.store.url import conninfo, database_url

if TYPE_CHECKING:
    from apothecary.store.replica import ReplicaReader


@contextmanager
def opened(settings: Settings, *, make: bool = True) -> Iterator[SqlStore]:
    """`open_store` for a command: the store is closed at the end, and a fault of the database on the way (a full disk,
    a damaged file, a server that went away, a lock that others hold) becomes a StartError.
    """
    with told(database_url(settings.database)):
        store = open_store(settings, make=make)
        try:
            yield store
        finally:
            store.close()


def open_store(settings: Settings, *, make: bool = True) -> SqlStore:
    """The store that `settings.database` names. In an empty database the tables are made, unless `make` is false: then
    neither a file nor a table is made, for commands that only read.

    Raises StartError for a URL that names no database, and for one that cannot be used, with the reason; SchemaError
    for tables of another version.
    """
    url = database_url(settings.database)
    with told(url):
        if not make and is_missing(url):
            raise StartError(f"{url.database}: there is no such database")
        store = _store(settings, url)
        try:
            store.prepare(make=make)
        except BaseException:
            store.close()
            raise
        return store


def is_missing(url: URL) -> bool:
    """Whether a SQLite file is not there: opening it would make it."""
    return url.get_backend_name() == "sqlite" and not Path(url.database or "").exists()


def _store(settings: Settings, url: URL) -> SqlStore:
    if url.get_backend_name() == "sqlite":
        from apothecary.store.sqlite import SqliteStore

        return SqliteStore(
            url.database or "",
            durability=settings.durability,
            seconds=settings.request_seconds,
            cache=settings.sqlite_cache,
        )
    from apothecary.store.postgresql import PostgresqlStore

    return PostgresqlStore(
        conninfo(url),
        connections=2 * settings.threads + 1,
        writers=settings.threads,
        seconds=settings.request_seconds,
        wait=settings.database_seconds,
    )


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
    with told(url):
        replica = PostgresqlStore(
            conninfo(url),
            connections=settings.threads + 1,
            seconds=settings.request_seconds,
            wait=min(2.0, settings.database_seconds),
        )
        try:
            return ReplicaReader(store, replica)
        except BaseException:
            replica.close()
            raise
