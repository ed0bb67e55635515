"""What is wrong with a database that cannot be used, in one line: https://www.sqlite.org/rescode.html"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from apothecary.errors import Busy, InsufficientStorage, StartError
from apothecary.store.url import shown

# What SQLite's primary result codes mean to whoever runs the command, where its own words do not say.
_SQLITE = {
    sqlite3.SQLITE_BUSY: "another process keeps it locked",
    sqlite3.SQLITE_LOCKED: "another process keeps it locked",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; restore a backup",
    sqlite3.SQLITE_NOTADB: "the file is no SQLite database",
    sqlite3.SQLITE_FULL: "the disk is full",
}


@contextmanager
def told(url: URL) -> Iterator[None]:
    """Turns a fault of the database at `url`, inside the block, into a StartError of one line without a password.

    An interrupted statement becomes the KeyboardInterrupt that it was.
    """
    try:
        yield
    except DBAPIError as error:
        raise _fault(url, error.orig or error) from error
    except (sqlite3.Error, Busy, InsufficientStorage) as error:
        # What a request would be told has less to say than what SQLite said.
        raise _fault(url, error.__cause__ if isinstance(error.__cause__, sqlite3.Error) else error) from error
    except Exception as error:
        # Loaded only where the database is PostgreSQL.
        psycopg = sys.modules.get("psycopg")
        if psycopg is None or not isinstance(error, psycopg.Error):
            raise
        raise _fault(url, error) from error


def _fault(url: URL, error: BaseException) -> StartError | KeyboardInterrupt:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_INTERRUPT:
        # Ctrl-C while a statement ran: SQLite calls back into Python, where the signal is seen, and gives up.
        return KeyboardInterrupt()
    reason = _SQLITE.get(code) or (_why_not(url.database or "") if code else None) or str(error)
    return StartError(one_line(f"{shown(url)}: {reason}"))


def one_line(text: str) -> str:
    return " ".join(text.split())


def _why_not(path: str) -> str | None:
    """Why a file cannot be used. It is not opened: closing it would lose the locks of this process on it."""
    folder = Path(path).absolute().parent
    if not folder.is_dir():
        return f"there is no folder {folder}"
    if Path(path).is_dir():
        return "it is a folder, not a file"
    if Path(path).exists() and not os.access(path, os.R_OK | os.W_OK):
        return "there is no permission to read and write the file"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"there is no permission to write in the folder {folder}, where SQLite keeps its log"
    return None
