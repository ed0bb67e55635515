"""A copy of a whole database in one file, every version and the index with it, and the way back.

SQLite by its online backup (https://www.sqlite.org/backup.html), PostgreSQL by pg_dump and pg_restore
(https://www.postgresql.org/docs/current/app-pgdump.html). A copy is given its name only after it was read through, and
a database is replaced wholly or not at all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from apothecary.errors import StartError
from apothecary.settings import Settings
from apothecary.store.backup_files import Copied, Progress, written
from apothecary.store.url import database_url

Engine = Literal["sqlite", "postgresql"]
_MAGIC: dict[bytes, Engine] = {b"SQLite format 3\0": "sqlite", b"PGDMP": "postgresql"}


def backup(settings: Settings, file: Path, *, force: bool, progress: Progress) -> Copied:
    """Copy the database into `file`, while servers write. What was committed before it began is in it.

    Raises StartError where there is no such database, where `file` exists and `force` is not given, and where the copy
    cannot be made; then nothing of it is left.
    """
    if file.exists() and not force:
        raise StartError(f"{file} exists already: name another file, or replace it with --force")
    if not file.parent.is_dir():
        raise StartError(f"{file.parent}: there is no such folder")
    if file.is_dir():
        raise StartError(f"{file} is a folder: name a file")
    url = database_url(settings.database)
    with written(file) as beside:
        if url.get_backend_name() == "sqlite":
            from apothecary.store import sqlite_backup

            return sqlite_backup.copy(url, file, beside, progress)
        from apothecary.store import postgresql_backup

        return postgresql_backup.dump(url, beside)


def restore(settings: Settings, file: Path, *, force: bool, progress: Progress) -> Copied:
    """Make the database what `file` holds, all of it or nothing.

    Raises StartError for a file that is no sound backup of this kind of database, for one of a newer version, where a
    server uses the database, and where it holds resources and `force` is not given.
    """
    url = database_url(settings.database)
    made_by, wanted = _engine_of(file), url.get_backend_name()
    if made_by != wanted:
        raise StartError(f"{file} is a backup of {_NAMES[made_by]}, and the database is {_NAMES[wanted]}")
    if made_by == "sqlite":
        from apothecary.store import sqlite_backup

        return sqlite_backup.restore(file, url, force, progress)
    from apothecary.store import postgresql_backup

    return postgresql_backup.restore(file, url, force)


_NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


def _engine_of(file: Path) -> Engine:
    try:
        with file.open("rb") as stream:
            start = stream.read(16)
    except OSError as error:
        raise StartError(f"{file}: cannot be read: {error.strerror}") from error
    for magic, engine in _MAGIC.items():
        if start.startswith(magic):
            return engine
    raise StartError(f"{file} is no backup: neither a SQLite database nor a dump of pg_dump's custom format")
