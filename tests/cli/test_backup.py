"""A backup is whole and sound while servers write, and a restore is all of it or nothing."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from apothecary.cli import main
from apothecary.content.sync import Report, sync
from apothecary.settings import Settings
from apothecary.store import postgresql_backup, schema
from apothecary.store.open import open_store
from tests.conformance.harness import ROOT, served, write_content
from tests.databases import fresh_database
from tests.durability.health import always_healthy
from tests.durability.processes import server_on, unsound
from tests.durability.test_crashes import Writer
from tests.waiting import until

TABLES = sorted(set(postgresql_backup.TABLES) - {"index_text"})


@pytest.fixture
def other_url(database_url: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A second empty database on the same engine."""
    if database_url.startswith("sqlite"):
        yield f"sqlite:///{tmp_path / 'other.db'}"
        return
    with fresh_database(request.getfixturevalue("postgresql_url")) as url:
        yield url


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def done(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stderr


def refused(result: Result) -> str:
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return result.stderr


def fill(url: str, folder: Path, count: int = 3, value: str = "active") -> Report:
    """A content folder of `count` medications in the database."""
    resources = [{"resourceType": "Medication", "id": f"m{number}", "status": value} for number in range(count)]
    write_content(folder, resources)
    store = open_store(Settings(database=url))
    try:
        return sync(Settings(database=url, content=str(folder)), store)
    finally:
        store.close()


def everything(url: str) -> dict[str, list[str]]:
    """Every row of every table."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        found = {
            name: sorted(repr(tuple(row)) for row in connection.execute(text(f"SELECT * FROM {name}")))
            for name in TABLES
        }
        found["index_text"] = sorted(
            repr(tuple(row))
            for row in connection.execute(text("SELECT type, id, parameter, row, words, length FROM index_text"))
        )
    return found


@pytest.mark.slow
def test_a_backup_under_load_has_all_that_was_acknowledged_before_it_began(
    database_url: str, other_url: str, tmp_path: Path
) -> None:
    server = server_on(database_url, tmp_path)
    server.start()
    writers = [Writer(server.port) for _ in range(3)]
    for writer in writers:
        writer.start()
    try:
        with always_healthy(server.port):
            assert until(lambda: all(len(writer.created) > 15 for writer in writers))
            before = [(set(writer.created), set(writer.done)) for writer in writers]
            done(run("backup", str(tmp_path / "copy"), "--database", database_url))
            at_its_end = [len(writer.created) for writer in writers]
            assert until(lambda: all(len(one.created) > count for one, count in zip(writers, at_its_end, strict=True)))
    finally:
        for writer in writers:
            writer.stop()
        server.kill()
    done(run("restore", str(tmp_path / "copy"), "--database", other_url))
    store = open_store(Settings(database=other_url))
    held = {stored.id for stored in store.all_of_type("Medication")}
    store.close()
    for created, _ in before:
        assert created <= held
    # Versions, resources and index are those of one moment: transactions are whole, too.
    assert unsound(other_url) == []
    assert run("check", "--database", other_url).exit_code == 0


def test_what_is_restored_is_what_was_there_to_the_byte(database_url: str, other_url: str, tmp_path: Path) -> None:
    content, file = tmp_path / "content", tmp_path / "copy"
    fill(database_url, content)
    fill(database_url, content, 2, "inactive")
    (content / "Medication" / "m2.json").unlink()
    fill(database_url, content, 2, "inactive")
    before = everything(database_url)
    assert f"3 resources, revision {schema.REVISION}" in done(run("backup", str(file), "--database", database_url))
    assert "restored 3 resources" in done(run("restore", str(file), "--database", other_url))
    assert everything(other_url) == before
    # Over a database that went on meanwhile, too, and the next start finds nothing to do.
    fill(database_url, content, 5, "entered-in-error")
    assert everything(database_url) != before
    assert "--force" in refused(run("restore", str(file), "--database", database_url))
    done(run("restore", str(file), "--database", database_url, "--force"))
    assert everything(database_url) == before
    for number in (2, 3, 4):
        (content / "Medication" / f"m{number}.json").unlink()
    assert fill(database_url, content, 2, "inactive") == Report(unchanged=2)


def test_a_file_that_exists_is_replaced_only_by_force(database_url: str, tmp_path: Path) -> None:
    fill(database_url, tmp_path / "content")
    file = tmp_path / "copy"
    file.write_bytes(b"precious")
    assert "exists already" in refused(run("backup", str(file), "--database", database_url))
    assert file.read_bytes() == b"precious"
    # What SQLite kept beside an older copy would be replayed into the new one.
    Path(f"{file}-wal").write_bytes(b"stale")
    done(run("backup", str(file), "--database", database_url, "--force"))
    assert not Path(f"{file}-wal").exists()
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []


def test_no_restore_into_a_database_that_a_server_uses(database_url: str, tmp_path: Path) -> None:
    fill(database_url, tmp_path / "content")
    done(run("backup", str(tmp_path / "copy"), "--database", database_url))
    given = {"database": database_url, "content": str(tmp_path / "content")}
    with served(given) as server, always_healthy(server.port):
        before = everything(database_url)
        said = refused(run("restore", str(tmp_path / "copy"), "--database", database_url, "--force"))
        assert "in use" in said
        assert everything(database_url) == before
        assert server.ask("GET", "/fhir/Medication/m0").status == 200
    done(run("restore", str(tmp_path / "copy"), "--database", database_url, "--force"))


def test_a_session_that_holds_the_tables_is_not_waited_for_for_ever(
    postgresql_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(postgresql_database_url, tmp_path / "content")
    done(run("backup", str(tmp_path / "copy"), "--database", postgresql_database_url))
    monkeypatch.setattr(postgresql_backup, "PATIENCE", 1)
    engine = create_engine(postgresql_database_url, poolclass=NullPool)
    with engine.connect() as other:
        other.execute(text("SELECT * FROM resource"))
        said = refused(run("restore", str(tmp_path / "copy"), "--database", postgresql_database_url, "--force"))
    assert "another session holds its tables" in said


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("absent", "No such file"),
        ("empty", "is no backup"),
        ("text", "is no backup"),
        ("folder", "Is a directory"),
        ("truncated", ""),
        ("cut short", ""),
        ("newer", "a newer version made it"),
        ("other tables", ""),
        ("other engine", "and the database is"),
    ],
)
def test_what_is_no_sound_backup_is_refused_and_changes_nothing(
    database_url: str, tmp_path: Path, name: str, said: str, postgresql_url: str
) -> None:
    fill(database_url, tmp_path / "content", 200)
    before = everything(database_url)
    file = tmp_path / "copy"
    bad(name, file, database_url, postgresql_url)
    found = refused(run("restore", str(file), "--database", database_url, "--force"))
    assert said in found
    assert str(file) in found or "pg_restore" in found
    assert everything(database_url) == before


def bad(name: str, file: Path, url: str, postgresql_url: str) -> None:
    """Make a file that is no backup for the database at `url`."""
    sqlite = url.startswith("sqlite")
    if name in ("truncated", "cut short"):
        done(run("backup", str(file), "--database", url))
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2] if name == "cut short" else whole[:-4096])
    elif name == "newer":
        rows(url, "UPDATE alembic_version SET version_num = '9999'")
        if sqlite:
            with closing(sqlite3.connect(make_url(url).database or "")) as source, closing(sqlite3.connect(file)) as to:
                source.backup(to)
        else:
            dump(url, file, *(f"--table={table}" for table in postgresql_backup.TABLES))
        rows(url, f"UPDATE alembic_version SET version_num = '{schema.REVISION}'")
    elif name == "other tables":
        if sqlite:
            with closing(sqlite3.connect(file)) as connection:
                connection.execute("CREATE TABLE other (a)")
        else:
            rows(url, "CREATE TABLE other (a int)")
            dump(url, file)
            rows(url, "DROP TABLE other")
    elif name == "other engine":
        file.write_bytes(b"PGDMP\1\16\0" if sqlite else b"SQLite format 3\0" + bytes(84))
    elif name == "folder":
        file.mkdir()
    elif name != "absent":
        file.write_bytes({"empty": b"", "text": b"no backup"}[name])


def rows(url: str, statement: str) -> None:
    with create_engine(url, poolclass=NullPool).begin() as connection:
        connection.execute(text(statement))


def dump(url: str, file: Path, *options: str) -> None:
    parts = make_url(url)
    address = f"host={parts.host} port={parts.port} user={parts.username} dbname={parts.database}"
    subprocess.run(["pg_dump", "--format=custom", *options, f"--file={file}", f"--dbname={address}"], check=True)


def test_a_database_that_is_not_apothecarys_is_never_replaced(
    database_url: str, other_url: str, tmp_path: Path
) -> None:
    fill(database_url, tmp_path / "content")
    done(run("backup", str(tmp_path / "copy"), "--database", database_url))
    rows(other_url, "CREATE TABLE resource (precious int)")
    rows(other_url, "INSERT INTO resource VALUES (1)")
    said = refused(run("restore", str(tmp_path / "copy"), "--database", other_url, "--force"))
    assert "not Apothecary's" in said
    assert "not" in refused(run("backup", str(tmp_path / "second"), "--database", other_url))
    assert not (tmp_path / "second").exists()


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'none.db'}"
    assert "there is no such database" in refused(run("backup", str(tmp_path / "copy"), "--database", url))
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_does_not_answer_is_a_sentence_without_its_password(tmp_path: Path) -> None:
    url = "postgresql://somebody:tell-nobody@127.0.0.1:1/none"
    said = refused(run("backup", str(tmp_path / "copy"), "--database", url))
    assert "tell-nobody" not in said
    assert list(tmp_path.iterdir()) == []


def test_the_database_itself_is_no_place_for_its_backup(sqlite_database_url: str, tmp_path: Path) -> None:
    fill(sqlite_database_url, tmp_path / "content")
    for suffix in ("", "-wal"):
        file = f"{make_url(sqlite_database_url).database}{suffix}"
        assert "is the database itself" in refused(run("backup", file, "--database", sqlite_database_url, "--force"))
    path = str(make_url(sqlite_database_url).database)
    assert "is the database itself" in refused(run("restore", path, "--database", sqlite_database_url, "--force"))
    assert fill(sqlite_database_url, tmp_path / "content") == Report(unchanged=3)


def test_a_damaged_database_is_put_aside_and_replaced(sqlite_database_url: str, tmp_path: Path) -> None:
    fill(sqlite_database_url, tmp_path / "content")
    before = everything(sqlite_database_url)
    done(run("backup", str(tmp_path / "copy"), "--database", sqlite_database_url))
    path = Path(str(make_url(sqlite_database_url).database))
    path.write_bytes(b"not a database at all" * 1000)
    Path(f"{path}-wal").write_bytes(b"stale")
    assert "--force puts it aside" in refused(run("restore", str(tmp_path / "copy"), "--database", sqlite_database_url))
    done(run("restore", str(tmp_path / "copy"), "--database", sqlite_database_url, "--force"))
    assert everything(sqlite_database_url) == before
    assert Path(f"{path}.damaged-1").read_bytes().startswith(b"not a database")
    assert not Path(f"{path}-wal").exists() or b"stale" not in Path(f"{path}-wal").read_bytes()


def test_a_log_that_was_left_by_another_file_is_not_replayed(sqlite_database_url: str, tmp_path: Path) -> None:
    fill(sqlite_database_url, tmp_path / "content")
    before = everything(sqlite_database_url)
    done(run("backup", str(tmp_path / "copy"), "--database", sqlite_database_url))
    path = Path(str(make_url(sqlite_database_url).database))
    # A server that is killed leaves its log; then somebody removes the database alone.
    store = open_store(Settings(database=sqlite_database_url))
    store.write(lambda transaction: transaction.set_state("more", "x" * 100_000))
    log = Path(f"{path}-wal").read_bytes()
    store.close()
    path.unlink()
    Path(f"{path}-wal").write_bytes(log)
    done(run("restore", str(tmp_path / "copy"), "--database", sqlite_database_url))
    assert everything(sqlite_database_url) == before


# Restores, and kills itself when so many pages are written.
KILLED = """
import os, pathlib, signal, sys
from apothecary.settings import Settings
from apothecary.store import backup, sqlite_backup

sqlite_backup.PAGES = 2
file, database, part = sys.argv[1:]

def progress(done, total):
    if total * float(part) <= done < total:
        os.kill(os.getpid(), signal.SIGKILL)

backup.restore(Settings(database=database), pathlib.Path(file), force=True, progress=progress)
"""


def test_a_restore_that_is_killed_half_way_leaves_the_old_database(sqlite_database_url: str, tmp_path: Path) -> None:
    content, file = tmp_path / "content", tmp_path / "copy"
    fill(sqlite_database_url, content, 200, "inactive")
    new = everything(sqlite_database_url)
    done(run("backup", str(file), "--database", sqlite_database_url))
    fill(sqlite_database_url, content, 250)
    old = everything(sqlite_database_url)
    for part in ("0.0", "0.5", "0.9"):
        command = [sys.executable, "-c", KILLED, str(file), sqlite_database_url, part]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "server")}
        assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL
        assert everything(sqlite_database_url) == old
    assert run("check", "--database", sqlite_database_url).exit_code == 0
    done(run("restore", str(file), "--database", sqlite_database_url, "--force"))
    assert everything(sqlite_database_url) == new


@pytest.mark.slow
def test_a_restore_that_is_killed_leaves_the_old_or_the_new(postgresql_database_url: str, tmp_path: Path) -> None:
    url, content, file, old_file = postgresql_database_url, tmp_path / "content", tmp_path / "new", tmp_path / "old"
    fill(url, content, 800, "inactive")
    new = everything(url)
    done(run("backup", str(file), "--database", url))
    fill(url, content, 850)
    old = everything(url)
    done(run("backup", str(old_file), "--database", url))
    command = [sys.executable, "-m", "apothecary", "restore", str(file), "--database", url, "--force"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "server")}
    restoring = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND pid IN"
    restoring += " (SELECT pid FROM pg_stat_activity WHERE application_name = 'pg_restore')"
    for part in range(5):
        done(run("restore", str(old_file), "--database", url, "--force"))
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)
        # Killed while it holds locks, a little later each time. Where it was done before, the new one must be there.
        while process.poll() is None and not counted(url, restoring):
            pass
        time.sleep(part / 50)
        with suppress(ProcessLookupError):  # it was done before
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert until(lambda: not counted(url, OTHERS))
        assert everything(url) in (old, new)


# PostgreSQL ends the transaction of a client that is gone when it notices.
OTHERS = """SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"""


def counted(url: str, statement: str) -> int:
    with create_engine(url, poolclass=NullPool).connect() as connection:
        return int(connection.execute(text(statement)).scalar() or 0)


def test_the_password_is_on_no_command_line(
    postgresql_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(postgresql_database_url, tmp_path / "content")
    record = tmp_path / "record"
    for name in ("pg_dump", "pg_restore"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        noted = f'echo "$0 $@" >>{record}\necho "$PGPASSWORD" >>{record}.secret'
        program.write_text(f'#!/bin/sh\n{noted}\nexec {shutil.which(name)} "$@"\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    url = postgresql_database_url.replace("postgres@", "postgres:tell-nobody@")
    done(run("backup", str(tmp_path / "copy"), "--database", url))
    done(run("restore", str(tmp_path / "copy"), "--database", url, "--force"))
    assert "pg_dump" in record.read_text()
    assert "tell-nobody" not in record.read_text()
    assert "tell-nobody" in Path(f"{record}.secret").read_text()


def test_a_program_that_is_missing_or_too_old_is_named(
    postgresql_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(postgresql_database_url, tmp_path / "content")
    monkeypatch.setattr(postgresql_backup, "_DEBIAN", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    command = ("backup", str(tmp_path / "copy"), "--database", postgresql_database_url)
    assert "pg_dump is not installed" in refused(run(*command))
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "pg_dump"
    program.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6'\n")
    program.chmod(0o755)
    assert "pg_dump is of PostgreSQL 9" in refused(run(*command))
    assert not (tmp_path / "copy").exists()


def test_after_a_restore_the_planner_knows_the_tables(postgresql_database_url: str, tmp_path: Path) -> None:
    fill(postgresql_database_url, tmp_path / "content", 50)
    done(run("backup", str(tmp_path / "copy"), "--database", postgresql_database_url))
    rows(postgresql_database_url, "DROP TABLE vocabulary")
    done(run("restore", str(tmp_path / "copy"), "--database", postgresql_database_url, "--force"))
    with create_engine(postgresql_database_url, poolclass=NullPool).connect() as connection:
        known = connection.execute(text("SELECT reltuples FROM pg_class WHERE relname = 'resource'")).scalar()
    assert known == 50


def test_a_table_of_a_later_revision_does_not_stay(
    postgresql_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(postgresql_database_url, tmp_path / "content")
    done(run("backup", str(tmp_path / "copy"), "--database", postgresql_database_url))
    monkeypatch.setattr(postgresql_backup, "TABLES", (*postgresql_backup.TABLES, "later"))
    rows(postgresql_database_url, "CREATE TABLE later (a int)")
    done(run("restore", str(tmp_path / "copy"), "--database", postgresql_database_url, "--force"))
    with create_engine(postgresql_database_url, poolclass=NullPool).connect() as connection:
        assert connection.execute(text("SELECT to_regclass('later')")).scalar() is None


# A limit on the size of files stands in for a full disk.
FULL = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); from apothecary.cli import main"


def test_a_full_disk_is_a_sentence_and_leaves_nothing_behind(database_url: str, tmp_path: Path) -> None:
    fill(database_url, tmp_path / "content", 300)
    limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))"
    program = f"{FULL}; {limit}; main()"
    command = [sys.executable, "-c", program, "backup", str(tmp_path / "copy"), "--database", database_url]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "server")}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not any("copy" in one.name for one in tmp_path.iterdir())


def test_a_restore_onto_a_full_disk_keeps_the_old_database(sqlite_database_url: str, tmp_path: Path) -> None:
    fill(sqlite_database_url, tmp_path / "content", 300)
    done(run("backup", str(tmp_path / "copy"), "--database", sqlite_database_url))
    fill(sqlite_database_url, tmp_path / "content", 100, "inactive")
    before = everything(sqlite_database_url)
    limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))"
    program = f"{FULL}; {limit}; main()"
    command = [sys.executable, "-c", program, "restore", str(tmp_path / "copy"), "--force"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "server"), "APOTHECARY_DATABASE": sqlite_database_url}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    assert everything(sqlite_database_url) == before


def test_a_folder_without_permission_is_a_sentence(database_url: str, tmp_path: Path) -> None:
    fill(database_url, tmp_path / "content")
    # Nobody may write there, root included.
    said = refused(run("backup", "/proc/copy", "--database", database_url))
    assert "/proc/copy: cannot be written" in said
    said = refused(run("backup", str(tmp_path / "none" / "copy"), "--database", database_url))
    assert "there is no such folder" in said
