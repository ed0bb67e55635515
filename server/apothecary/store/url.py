"""The URL of a database: https://docs.sqlalchemy.org/en/20/core/engines.html#database-urls"""

from __future__ import annotations

import re

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from apothecary.errors import StartError

_EXAMPLES = "write sqlite:///file.db or postgresql+psycopg://user@host/name"
# Names that other programs use for the same.
_ALIASES = {"postgres": "postgresql", "pgsql": "postgresql", "sqlite3": "sqlite", "file": "sqlite"}


def database_url(text: str) -> URL:
    """The parts of a database URL. Raises StartError where it names no SQLite file and no PostgreSQL database; the
    message holds no password.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise StartError(f"{without_password(text)!r} is not a database URL: {_EXAMPLES}") from None
    backend = url.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        meant = f"; did you mean {_ALIASES[backend]}?" if backend in _ALIASES else ""
        raise StartError(f"{backend!r} is no database that is known here{meant}: {_EXAMPLES}")
    try:
        # Which driver it names makes no difference, as long as there is one of that name.
        url.get_dialect()
    except NoSuchModuleError:
        raise StartError(f"{url.drivername!r} names no driver of {backend}: {_EXAMPLES}") from None
    if backend == "sqlite":
        if url.host:
            meant = "/".join(part for part in (url.host, url.database) if part)
            raise StartError(f"the path of a file begins after the third slash: sqlite:///{meant}")
        if not url.database or url.database == ":memory:":
            raise StartError(
                "a database in memory cannot be shared by threads and processes; name a file: sqlite:///file.db"
            )
    return url


def conninfo(url: URL) -> str:
    """The same address as PostgreSQL's own library writes it. Several servers are named as SQLAlchemy does it,
    `?host=one:5432&host=other:5432`, or as that library does, `?host=one,other&port=5432,5432`:
    https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-MULTIPLE-HOSTS
    """
    from psycopg.conninfo import make_conninfo
    from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

    _, given = PGDialect_psycopg().create_connect_args(url)  # type: ignore[no-untyped-call] # not typed by SQLAlchemy
    return make_conninfo("", **{name: value for name, value in given.items() if name != "context"})


def shown(url: URL) -> str:
    """The database as a message names it: a file, or the address without password and parameters."""
    return url.database or "" if url.get_backend_name() == "sqlite" else url.set(query={}).render_as_string()


def without_password(text: str) -> str:
    """What looks like a URL, without what may be a password: all that stands before the last @, and the parameters."""
    return re.sub(r"\?.*", "?***", re.sub(r"^([^/:@]*:/*)?.*@", r"\1***@", text, flags=re.DOTALL), flags=re.DOTALL)
