"""Backup and restore of Apothecary's tables in a PostgreSQL database, by PostgreSQL's own programs.

https://www.postgresql.org/docs/current/app-pgdump.html and https://www.postgresql.org/docs/current/app-pgrestore.html
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import LockNotAvailable
from sqlalchemy.engine import URL

from apothecary.errors import StartError
from apothecary.settings import child_environment
from apothecary.store import poolers, schema
from apothecary.store.backup_files import Copied, accepted, refuse_replacing
from apothecary.store.postgresql import stamp
from apothecary.store.postgresql_alone import SERVERS
from apothecary.store.url import conninfo, shown

TABLES = schema.TABLES

# Debian keeps the programs of each release here, and only one of them on the PATH.
_DEBIAN = Path("/usr/lib/postgresql")
# `215; 1259 16385 TABLE public resource postgres`, as `pg_restore --list` has it.
_ENTRY = re.compile(r"\d+; \d+ \d+ (TABLE DATA|TABLE|CONSTRAINT|INDEX|COMMENT|STATISTICS DATA) (\S+) (.+) \S*")
# Another session that looks at the tables is awaited for so long, in seconds.
PATIENCE = 10

Connection = psycopg.Connection[Any]


def dump(url: URL, beside: Path) -> Copied:
    """Write Apothecary's tables, as they are at one moment, into `beside`. Raises StartError."""
    with _connection(url) as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        if not stamp(connection):
            raise StartError(f"{shown(url)} holds no tables of Apothecary's, so there is nothing to back up")
        program = _program("pg_dump", connection)
        where, snapshot, resources = _one(connection, _MOMENT)
        chosen = [f'--table="{where}"."{name}"' for name in TABLES]
        chosen += [f'--exclude-table-data="{where}"."{name}"' for name in schema.PASSING]
        plain = ("--format=custom", "--no-owner", "--no-privileges", f"--lock-wait-timeout={PATIENCE}s")
        _run(url, program, *plain, *chosen, f"--snapshot={snapshot}", f"--file={beside}", _address(url))
    return Copied(_verified(_program("pg_restore"), beside), resources)


# What is counted is what will be dumped.
_MOMENT = """SELECT relnamespace::regnamespace::text, pg_export_snapshot(), (SELECT count(*) FROM resource)
    FROM pg_class WHERE oid = to_regclass('resource')"""


def restore(file: Path, url: URL, force: bool) -> Copied:
    """Make Apothecary's tables what `file` holds, in one transaction. Raises StartError."""
    with _connection(url) as connection:
        program = _program("pg_restore", connection)
        revision = _verified(program, file)
        found = stamp(connection)
        held = _one(connection, "SELECT count(*) FROM resource")[0] if found else 0
        refuse_replacing(shown(url), found, held, force)
        _refuse_in_use(url, connection)
    whole = ("--single-transaction", "--exit-on-error", "--clean", "--if-exists", "--no-owner", "--no-privileges")
    _run(url, program, *whole, _address(url), str(file))
    with _connection(url) as connection:
        if stamp(connection) != revision:
            raise StartError(f"the tables were restored into another schema than those that {shown(url)} looks into")
        kept = _named(program, file)
        for name in TABLES:
            table = sql.Identifier(name)
            # The planner knows nothing of a table that was just filled. One that the dump lacks is of a later revision:
            # `apothecary migrate` will make it again.
            what = sql.SQL("ANALYZE {}") if name in kept else sql.SQL("DROP TABLE IF EXISTS {}")
            connection.execute(what.format(table))
        return Copied(revision, _one(connection, "SELECT count(*) FROM resource")[0])


def _refuse_in_use(url: URL, connection: Connection) -> None:
    """Raises StartError where a server is connected, or anybody else holds a lock on the tables."""
    servers = _one(connection, SERVERS)[0]
    if servers:
        said = f"{servers} connection{'s' if servers > 1 else ''} of Apothecary"
        raise StartError(f"{shown(url)} is in use ({said}): stop the servers, then restore")
    # pg_restore itself waits for ever.
    present = [name for name in TABLES if _one(connection, "SELECT to_regclass(%s) IS NOT NULL", name)[0]]
    if not present:
        return
    try:
        with connection.transaction():
            connection.execute(f"SET LOCAL lock_timeout = '{PATIENCE}s'")
            names = sql.SQL(", ").join(map(sql.Identifier, present))
            connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(names))
    except LockNotAvailable:
        raise StartError(f"{shown(url)} is in use: another session holds its tables. End it, then restore") from None


def _verified(program: str, file: Path) -> str:
    """The revision of the tables in a dump, after all of it was read. Raises StartError."""
    if schema.STAMP not in _named(program, file):
        accepted(file, None)
    # Everything is decompressed and written to nowhere.
    _call(program, f"--file={os.devnull}", str(file))
    written = _call(program, "--data-only", f"--table={schema.STAMP}", "--file=-", str(file))
    rows = re.search(r"^COPY .*\n(.*)\n", written, re.MULTILINE)
    return accepted(file, rows[1] if rows else None)


def _named(program: str, file: Path) -> set[str]:
    """The tables in a dump. Raises StartError where it holds anything that is not Apothecary's."""
    listed = [line for line in _call(program, "--list", str(file)).splitlines() if line and not line.startswith(";")]
    names = set()
    for line in listed:
        entry = _ENTRY.fullmatch(line)
        name = entry[3].removeprefix("TABLE ").removeprefix("COLUMN ") if entry else ""
        first = re.split(r"[ .]", name)[0]
        if entry is None or (entry[1] != "INDEX" and first not in TABLES and not entry[3].startswith("INDEX ")):
            raise StartError(
                f"{file} holds more than the tables of Apothecary ({line.partition(' ')[2]}): it was made by other "
                "means, so restore it with pg_restore"
            )
        if entry[1] == "TABLE":
            names.add(name)
    return names


def _program(name: str, connection: Connection | None = None) -> str:
    """Where one of PostgreSQL's programs is, not older than the server. Raises StartError where there is none."""
    wanted = connection.info.server_version // 10000 if connection is not None else 0
    on_path = shutil.which(name)
    found = [
        *([on_path] if on_path else []),
        *(str(one) for one in sorted(_DEBIAN.glob(f"*/bin/{name}"), reverse=True)),
    ]
    if not found:
        raise StartError(f"{name} is not installed: it comes with PostgreSQL's client (Debian: postgresql-client)")
    releases = []
    for program in found:
        said = re.search(r"(\d+)", _call(program, "--version"))
        releases.append(said[1] if said else "?")
        if said and int(said[1]) >= wanted:
            return program
    raise StartError(
        f"{name} is of PostgreSQL {' and '.join(releases)}, and the server of {wanted}: install the client of {wanted}"
    )


def _address(url: URL) -> str:
    """The option that names the database, without the password: everybody on the machine can read it."""
    parts = conninfo_to_dict(conninfo(url))
    if "sslpassword" in parts:
        raise StartError("pg_dump cannot be given an sslpassword without showing it: name a key that needs none")
    public = {name: str(value) for name, value in parts.items() if name != "password"}
    return f"--dbname={make_conninfo('', **public)}"


def _run(url: URL, program: str, *arguments: str) -> None:
    password = conninfo_to_dict(conninfo(url)).get("password")
    _call(program, "--no-password", *arguments, **({"PGPASSWORD": str(password)} if password is not None else {}))


def _call(program: str, *arguments: str, **environment: str) -> str:
    """What a program writes. Raises StartError with the first line of what it complains about."""
    command = [program, *arguments]
    try:
        done = subprocess.run(  # noqa: S603 (PostgreSQL's own programs)
            command, capture_output=True, env=child_environment(**environment), check=False
        )
    except OSError as error:
        raise StartError(f"{program} cannot be run: {error.strerror}") from error
    if done.returncode:
        lines = [line for line in done.stderr.decode(errors="replace").splitlines() if "error:" in line]
        said = lines[0].partition("error:")[2].strip() if lines else f"it ended with status {done.returncode}"
        raise StartError(f"{Path(program).name}: {said}")
    return done.stdout.decode(errors="replace")


@contextmanager
def _connection(url: URL) -> Iterator[Connection]:
    """A connection that is no server's. Raises StartError where the database does not answer, or refuses."""
    try:
        with psycopg.connect(
            conninfo(url), autocommit=True, connect_timeout=PATIENCE, application_name="apothecary backup"
        ) as connection:
            poolers.refuse(connection)
            yield connection
    except psycopg.Error as error:
        raise StartError(f"{shown(url)}: {str(error).strip()}") from error


def _one(connection: Connection, statement: LiteralString, *bound: str) -> tuple[Any, ...]:
    row: tuple[Any, ...] = connection.execute(statement, bound or None).fetchone() or ()
    return row
