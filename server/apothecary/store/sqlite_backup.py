"""Backup and restore of a SQLite database, by SQLite itself: https://www.sqlite.org/backup.html

Files of a database are never copied as files: what is in the write-ahead log would be missing, and a log that belongs
to another file would be replayed into this one (https://www.sqlite.org/howtocorrupt.html).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from urllib.parse import quote

from sqlalchemy.engine import URL

from apothecary.errors import StartError
from apothecary.store import schema
from apothecary.store.backup_files import SIDECARS, Copied, Progress, accepted, refuse_replacing, settle
from apothecary.store.sqlite import integrity, stamp

# Pages that are copied between two words of progress.
PAGES = 4096
# How long the end of somebody's last look at the database is awaited, in seconds.
PATIENCE = 5.0
# The bytes that SQLite locks for as long as a connection in WAL mode is open: https://www.sqlite.org/src/file/src/os.h
_SHARED_FIRST, _SHARED_SIZE = 0x40000002, 510


def copy(url: URL, file: Path, beside: Path, progress: Progress) -> Copied:
    """Copy the database of `url` into `beside`, which will become `file`. Raises StartError."""
    path = Path(url.database or "")
    if not path.is_file():
        raise StartError(f"{path}: there is no such database")
    if str(file.resolve()) in {f"{path.resolve()}{suffix}" for suffix in ("", *SIDECARS)}:
        raise StartError(f"{file} is the database itself: name another file")
    with _opened(path) as source, _opened(beside) as target:
        found = stamp(source)
        if not found:
            raise StartError(f"{path} is not a database of Apothecary's, so there is nothing to back up")
        _copy(source, target, progress)
        copied = _verified(beside, target)
    shutil.copymode(path, beside)
    return copied


def restore(file: Path, url: URL, force: bool, progress: Progress) -> Copied:
    """Make the database of `url` what `file` holds. Raises StartError."""
    path = Path(url.database or "")
    if not path.parent.is_dir():
        raise StartError(f"{path.parent}: there is no such folder")
    if path.exists() and path.samefile(file):
        raise StartError(f"{file} is the database itself: name a backup of it")
    with _opened(file) as source:
        # In one transaction of reading: what was verified is what is copied.
        source.execute("BEGIN")
        copied = _verified(file, source)
        damaged = False
        if path.exists() and path.stat().st_size:
            try:
                _overwrite(source, path, force, progress)
                return copied
            except StartError as error:
                damaged = _code(error.__cause__) in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
                if not damaged:
                    raise
                if not force:
                    raise StartError(f"{error}: --force puts it aside and restores") from error
        _place(source, path, damaged, progress)
    return copied


def _overwrite(source: sqlite3.Connection, path: Path, force: bool, progress: Progress) -> None:
    """Replace the content of a database in one transaction of its own: a crash at any moment leaves the old or the new.

    The file stays the same, so that nobody who waits for it meets one that is no longer there.
    """
    with _opened(path) as target:
        found = stamp(target)
        names = target.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        held = target.execute("SELECT count(*) FROM resource").fetchone()[0] if found else 0
        refuse_replacing(str(path), schema.UNSTAMPED if names and not found else found, held, force)
        try:
            # Only a connection that is alone may leave WAL mode; then the log is in the file and gone, and in exclusive
            # mode nobody else gets in before the end.
            target.execute("PRAGMA locking_mode=EXCLUSIVE")
            target.execute("PRAGMA journal_mode=DELETE")
            target.execute("BEGIN EXCLUSIVE")
            target.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise _in_use(path) from error
            raise
        _copy(source, target, progress)


def _place(source: sqlite3.Connection, path: Path, damaged: bool, progress: Progress) -> None:
    """Make a database where none is, or a `damaged` one, which is kept under another name."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with _opened(beside, "rwc") as target:
            _copy(source, target, progress)
            _verified(beside, target)
        with _put_aside(path) if damaged else nullcontext():
            settle(beside, path)
    except OSError as error:
        raise StartError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        for suffix in ("", *SIDECARS):
            Path(f"{beside}{suffix}").unlink(missing_ok=True)


@contextmanager
def _put_aside(path: Path) -> Iterator[None]:
    """A damaged database gets a further name, and what belongs to it that name. Raises StartError where somebody has it
    open, and keeps others out until the end of the block.
    """
    with path.open("rb+") as stream:
        try:
            fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB, _SHARED_SIZE, _SHARED_FIRST)
        except OSError:
            raise _in_use(path) from None
        number = next(n for n in range(1, 1_000_000) if not Path(f"{path}.damaged-{n}").exists())
        aside = f"{path}.damaged-{number}"
        os.link(path, aside)
        for suffix in SIDECARS:
            if Path(f"{path}{suffix}").exists():
                os.rename(f"{path}{suffix}", f"{aside}{suffix}")
        yield


def _in_use(path: Path) -> StartError:
    return StartError(f"{path} is in use: a server or another program has it open. Stop it, then restore")


def _copy(source: sqlite3.Connection, target: sqlite3.Connection, progress: Progress) -> None:
    """All pages, as they are when it begins: a transaction of reading keeps them while others write."""
    if not source.in_transaction:
        source.execute("BEGIN")
    source.execute("SELECT count(*) FROM sqlite_master").fetchone()
    source.backup(target, pages=PAGES, progress=lambda _status, left, total: progress(total - left, total))
    # One file, that opens where nothing can be written beside it. A store that opens it switches the log on.
    target.execute("PRAGMA journal_mode=DELETE")


def _verified(file: Path, connection: sqlite3.Connection) -> Copied:
    """What a copy holds, of which every page was looked at. Raises StartError."""
    if damage := integrity(connection):
        raise StartError(f"{file} is damaged: {damage[0]}")
    revision = accepted(file, stamp(connection))
    return Copied(revision, int(connection.execute("SELECT count(*) FROM resource").fetchone()[0]))


@contextmanager
def _opened(path: Path, mode: str = "rw") -> Iterator[sqlite3.Connection]:
    """A connection that makes no file where there is none. Raises StartError for what SQLite cannot do with it."""
    name = f"file:{quote(str(path.absolute()))}?mode={mode}"
    try:
        connection = sqlite3.connect(name, uri=True, timeout=PATIENCE, isolation_level=None)
        try:
            yield connection
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        raise StartError(f"{path}: {error}") from error


def _code(error: BaseException | None) -> int:
    """SQLite's primary result code: https://www.sqlite.org/rescode.html"""
    return error.sqlite_errorcode & 0xFF if isinstance(error, sqlite3.Error) else sqlite3.SQLITE_OK
