"""The PostgreSQL that the tests start for themselves keeps what its fixtures promise."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, text

from tests import databases
from tests.databases import (
    DatabaseUnavailable,
    copy_programs,
    find_binaries,
    fresh_database,
    packaged_binaries,
    running_cluster,
    shared_cluster,
)
from tests.missing import missing
from tests.waiting import until

ROOT = Path(__file__).parent.parent


@pytest.fixture
def has_binaries() -> None:
    """Only where PostgreSQL is installed; continuous integration must have it."""
    try:
        find_binaries()
    except DatabaseUnavailable as error:
        missing(str(error))


def run(url: str, *statements: str) -> list[object]:
    """Execute `statements` in one transaction; the rows of the last."""
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            for statement in statements[:-1]:
                connection.execute(text(statement))
            result = connection.execute(text(statements[-1]))
            return [row[0] for row in result] if result.returns_rows else []
    finally:
        engine.dispose()


@pytest.mark.parametrize("attempt", [1, 2])
def test_every_test_gets_an_empty_database(database_url: str, attempt: int) -> None:
    assert run(database_url, "CREATE TABLE note (body TEXT)", "SELECT count(*) FROM note") == [0]
    run(database_url, f"INSERT INTO note VALUES ('{attempt}')")


def test_postgresql_keeps_text_as_utf8_and_compares_it_by_bytes(postgresql_database_url: str) -> None:
    ordered = run(postgresql_database_url, "SELECT x FROM (VALUES ('é'), ('b'), ('A'), ('a'), ('Z')) v(x) ORDER BY x")
    assert ordered == ["A", "Z", "a", "b", "é"]


def test_a_fresh_database_is_dropped_although_a_connection_is_open(postgresql_url: str) -> None:
    with fresh_database(postgresql_url) as url:
        plain = url.replace("+psycopg", "")
        connection = psycopg.connect(plain)
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    connection.close()
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(plain)


def test_processes_of_one_session_share_one_server(
    tmp_path_factory: pytest.TempPathFactory, has_binaries: None
) -> None:
    with running_cluster() as cluster:
        (cluster.directory / "port").write_text(str(cluster.port))
        assert shared_cluster(cluster.directory, os.getpid()).url == cluster.url


@pytest.mark.slow
def test_a_crashed_server_comes_back_with_what_was_committed(has_binaries: None) -> None:
    with running_cluster(durable=True) as cluster:
        assert run(cluster.url, "SHOW fsync") == ["on"]
        run(cluster.url, "CREATE TABLE note (body TEXT)", "INSERT INTO note VALUES ('kept')")
        cluster.crash()
        with pytest.raises(Exception, match="refused"):
            run(cluster.url, "SELECT 1")
        cluster.start()
        assert run(cluster.url, "SELECT body FROM note") == ["kept"]


def test_a_server_that_cannot_start_says_why(has_binaries: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, running_cluster() as cluster:
        cluster.stop()
        cluster.port = taken.getsockname()[1]
        with pytest.raises(RuntimeError, match="could not bind"):
            cluster.start()


OWNER = """
from tests.databases import running_cluster
with running_cluster() as cluster:
    print(cluster.port, cluster.directory, flush=True)
    input()
"""


@pytest.mark.slow
def test_the_server_ends_when_its_session_is_killed(has_binaries: None) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        port, directory = owner.stdout.readline().split()
        owner.kill()
    assert until(lambda: not Path(directory).exists())
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(port)))


def test_a_machine_without_postgresql_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter(()))
    monkeypatch.setattr(databases, "PACKAGE", "no_such_package")
    with pytest.raises(DatabaseUnavailable, match="apt-get install postgresql"):
        find_binaries()


@pytest.fixture
def packaged() -> Path:
    """The programs that the development group brings; there are wheels for Linux, macOS and Windows."""
    folders = packaged_binaries()
    if not folders:
        missing("the package with PostgreSQL's programs is not installed")
    return folders[0]


def test_a_machine_without_postgresql_has_the_packaged_one(packaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "installed_binaries", list)
    assert find_binaries() == packaged
    with running_cluster() as cluster:
        (version,) = run(cluster.url, "SHOW server_version_num")
    assert packaged.parent.name == f"pginstall{int(str(version)) // 10_000}"


def test_packaged_programs_run_where_they_are_copied_to(packaged: Path, tmp_path: Path) -> None:
    copied = copy_programs(packaged, tmp_path)
    assert copied.is_relative_to(tmp_path)
    assert copy_programs(packaged, tmp_path) == copied
    said = subprocess.run([copied / "initdb", "--version"], capture_output=True, text=True, check=True).stdout
    assert said.startswith("initdb (PostgreSQL)")
