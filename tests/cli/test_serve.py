"""`apothecary serve` says that it serves when it does, and what cannot start says why in one line."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from apothecary.cli import main
from apothecary.cli.serve import patiently, serve
from apothecary.cli.serve_listen import bind, listen, reachable, start_listening, url
from apothecary.errors import Busy, StartError, Unreachable
from apothecary.settings import Settings
from apothecary.store.migrate import migrate
from apothecary.store.postgresql import await_server
from tests.cli.serving import PATIENCE, environment, started

SECRET = "hunter2"  # noqa: S105 (nobody's)


def run(*words: object, **variables: str) -> Result:
    return CliRunner().invoke(
        main, [str(word) for word in words], env={f"APOTHECARY_{k}": v for k, v in variables.items()}
    )


def refused(result: Result) -> str:
    """The one line that a command which could not run wrote."""
    assert result.exit_code == 2, result.output
    line = result.stderr
    assert line.startswith("Error: ")
    assert line.endswith("\n")
    assert line.count("\n") == 1
    assert SECRET not in result.output
    return line.removeprefix("Error: ").rstrip()


# -- the port


@contextmanager
def taken(host: str = "127.0.0.1") -> Iterator[int]:
    """A port that another program listens on."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as other:
        other.bind((host, 0))
        other.listen()
        yield other.getsockname()[1]


def test_a_port_in_use_is_refused_before_the_database_is_touched(tmp_path: Path) -> None:
    with taken() as port:
        line = refused(run("serve", "--port", port, "--content", "", "--database", f"sqlite:///{tmp_path}/new.db"))
    assert line.startswith(f"cannot listen on 127.0.0.1:{port}: it is in use by another program")
    assert list(tmp_path.iterdir()) == []


def test_a_second_server_does_not_share_the_port_unless_both_are_told_to(tmp_path: Path) -> None:
    for share, database in (("false", "one"), ("true", "two")):
        with started(database=f"sqlite:///{tmp_path}/{database}.db", share_port=share) as first:
            assert first.get() == 200
            again = ("serve", "--port", first.port, "--content", "", "--database", f"sqlite:///{tmp_path}/other.db")
            assert "is in use" in refused(run(*again))


def test_servers_that_share_a_port_take_over_from_each_other(sqlite_database_url: str) -> None:
    with started(database=sqlite_database_url, share_port="true") as first:
        assert first.get() == 200
        with started(database=sqlite_database_url, share_port="true", port=first.port) as second:
            assert second.port == first.port
            second.until(lambda: "Started worker" in second.log, "has a worker")
            first.process.terminate()
            assert first.ends() == 0
            assert second.get() == 200


def test_of_two_that_bind_at_once_the_second_to_listen_is_refused() -> None:
    with bind(Settings(port=0)) as first:
        port = first.getsockname()[1]
        with bind(Settings(port=port)) as second:
            listen(first)
            with pytest.raises(StartError, match=f"cannot listen on 127.0.0.1:{port}: it is in use"):
                listen(second)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system does not divide connections")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_connections_are_divided_among_workers_and_the_port_is_kept_from_others(host: str) -> None:
    with bind(Settings(host=host, port=0)) as bound:
        first, second = listen(bound, 2)
        assert first is bound
        with pytest.raises(StartError, match="it is in use"):
            bind(Settings(host=host, port=reachable(bound)[1]))
        with ExitStack() as stack:
            stack.enter_context(second)

            def connect() -> None:
                for _ in range(64):
                    stack.enter_context(socket.create_connection(reachable(bound), timeout=PATIENCE))

            # Until a worker is there, and while it is replaced, the others have all connections.
            connect()
            assert _taken(first) == 64
            for _ in range(2):
                start_listening(second)
                connect()
                assert _taken(first)
                assert _taken(second)
                second.shutdown(socket.SHUT_RDWR)
                connect()
                assert _taken(first) == 64


def _taken(listening: socket.socket) -> int:
    """How many connections wait on a socket. They are closed."""
    found = 0
    while True:
        try:
            listening.accept()[0].close()
        except BlockingIOError:
            return found
        found += 1


@pytest.mark.parametrize("workers", [1, 2])
def test_the_line_that_says_serving_names_a_port_that_answers(workers: int, sqlite_database_url: str) -> None:
    with started(database=sqlite_database_url, workers=workers, log_level="info") as server:
        assert server.port > 0
        assert server.get("/readyz") == 200
        assert server.log == f"content: no content\nserving http://127.0.0.1:{server.port}/fhir\n"


# -- the host


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What host names mean during the test."""
    found: dict[str, list[str]] = {}

    def resolve(name: str, port: int, **_: Any) -> list[Any]:
        if name not in found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        kind = {True: socket.AF_INET6, False: socket.AF_INET}
        return [(kind[":" in one], socket.SOCK_STREAM, 6, "", (one, port)) for one in found[name]]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return found


@pytest.mark.parametrize(
    ("host", "bound", "shown"),
    [
        ("127.0.0.1", "127.0.0.1", "http://127.0.0.1:1"),
        ("localhost", "127.0.0.1", "http://localhost:1"),
        ("::1", "::1", "http://[::1]:1"),
        ("[::1]", "::1", "http://[::1]:1"),
        ("0.0.0.0", "0.0.0.0", "http://0.0.0.0:1"),  # noqa: S104 (refused to nobody)
        ("::", "::", "http://[::]:1"),
    ],
)
def test_a_host_is_an_address_or_a_name(host: str, bound: str, shown: str) -> None:
    if ":" in bound and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    with bind(Settings(host=host, port=0)) as found:
        assert found.getsockname()[0] == bound
        listen(found)
        # Also of an address that means every network, this machine reaches the port.
        socket.create_connection(reachable(found), timeout=PATIENCE).close()
        if host == "::":
            socket.create_connection(("127.0.0.1", found.getsockname()[1]), timeout=PATIENCE).close()
    assert url(host, 1) == shown


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("no.such.invalid", "--host no.such.invalid: "),
        ("192.0.2.1", "cannot listen on 192.0.2.1:0: that is no address of this machine"),
        ("", "--host is empty"),
        ("a" * 70 + ".example", "--host aaaa"),
    ],
)
def test_a_host_that_cannot_be_listened_on_is_refused(host: str, said: str, tmp_path: Path) -> None:
    words = ("serve", "--host", host, "--port", 0, "--content", "", "--database", f"sqlite:///{tmp_path}/new.db")
    assert refused(run(*words)).startswith(said)
    assert list(tmp_path.iterdir()) == []


def test_a_name_whose_other_address_somebody_else_answers_at_is_refused(names: dict[str, list[str]]) -> None:
    names["localhost"] = ["::1", "127.0.0.1"]
    with taken("::1") as port, pytest.raises(StartError, match=rf"\[::1\]:{port}: it is in use"):
        bind(Settings(host="localhost", port=port))


def test_an_address_that_is_not_there_does_not_matter_beside_one_that_is(names: dict[str, list[str]]) -> None:
    names["localhost"] = ["127.0.0.1", "2001:db8::1"]
    with taken() as port:
        pass
    bind(Settings(host="localhost", port=port)).close()


def test_localhost_must_be_this_machine_or_writes_would_be_open_to_others(names: dict[str, list[str]]) -> None:
    names["localhost"] = ["192.0.2.1"]
    with pytest.raises(StartError, match=r"it means 192\.0\.2\.1 here"):
        bind(Settings(host="localhost", port=0))


# -- the database


def text_file(folder: Path) -> None:
    (folder / "x.db").write_text("This is a letter to a friend, and not a database at all. " * 5)


def damaged(folder: Path) -> None:
    migrate(Settings(database=f"sqlite:///{folder}/x.db"))
    whole = (folder / "x.db").read_bytes()
    (folder / "x.db").write_bytes(whole[:4096] + b"Z" * (len(whole) - 4096))


def cut(folder: Path) -> None:
    migrate(Settings(database=f"sqlite:///{folder}/x.db"))
    os.truncate(folder / "x.db", 20_000)


def directory(folder: Path) -> None:
    (folder / "x.db").mkdir()


def nothing(_: Path) -> None:
    pass


FILES = [
    ("x.db", text_file, "the file is no SQLite database"),
    ("x.db", damaged, "the file is damaged; restore a backup"),
    ("x.db", cut, "the file is damaged; restore a backup"),
    ("x.db", directory, "it is a folder, not a file"),
    ("none/x.db", nothing, "there is no folder {folder}/none"),
]


@pytest.mark.parametrize("command", ["serve", "load", "export", "migrate", "migrate --check"])
@pytest.mark.parametrize(("name", "make", "said"), FILES, ids=[one[1].__name__ for one in FILES])
def test_a_file_that_cannot_be_used_is_named_with_the_reason(
    command: str, name: str, make: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    make(tmp_path)
    (tmp_path / "one.json").write_text('{"resourceType": "Substance", "id": "a"}')
    more = {"serve": ["--port", 0, "--content", ""], "load": [tmp_path / "one.json"]}.get(command, [])
    result = run(*command.split(), *more, "--database", f"sqlite:///{tmp_path}/{name}")
    if "none" in name and command in ("export", "migrate --check"):
        # They make nothing, so the folder is not what they miss.
        assert "there is no such database" in refused(result) if command == "export" else result.exit_code == 1
        return
    assert refused(result) == f"{tmp_path}/{name}: {said.format(folder=tmp_path)}"


# Runs the command as a user who may not do everything. What it will import is loaded before: it may be root's alone.
AS_NOBODY = """
import encodings.idna, os, sys
import apothecary.app, apothecary.cli.serve_workers, apothecary.content.sync
from apothecary.cli import main, serve
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
main(sys.argv[1:])
"""


def as_nobody(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", AS_NOBODY, *map(str, words)],
        env=environment({}),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.parametrize(
    ("file", "folder", "said"),
    [
        (0o000, 0o777, "{file}: there is no permission to read and write the file"),
        (0o444, 0o777, "{file}: there is no permission to read and write the file"),
        (0o666, 0o555, "{file}: there is no permission to write in the folder {folder}, where SQLite keeps its log"),
        (None, 0o555, "{file}: there is no permission to write in the folder {folder}, where SQLite keeps its log"),
    ],
)
def test_a_file_without_permission_is_named(file: int | None, folder: int, said: str, open_folder: Path) -> None:
    path = open_folder / "x.db"
    if file is not None:
        migrate(Settings(database=f"sqlite:///{path}"))
        path.chmod(file)
    open_folder.chmod(folder)
    ended = as_nobody("serve", "--port", 0, "--content", "", "--database", f"sqlite:///{path}")
    assert ended.stderr == f"Error: {said.format(file=path, folder=open_folder)}\n"
    assert ended.returncode == 2


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user reaches; pytest's own are for one user."""
    import tempfile

    made = Path(tempfile.mkdtemp())
    yield made
    made.chmod(0o777)
    shutil.rmtree(made)


def test_a_folder_of_content_without_permission_is_named(open_folder: Path) -> None:
    closed = open_folder / "content" / "Substance"
    closed.mkdir(parents=True)
    open_folder.chmod(0o777)
    words = ("serve", "--port", 0, "--content", closed.parent, "--database", f"sqlite:///{open_folder}/x.db")
    for folder in (closed, closed.parent):
        folder.chmod(0o000)
        ended = as_nobody(*words)
        assert ended.stderr == f"Error: {folder}: cannot be read: Permission denied\n"
        assert ended.returncode == 2
    closed.parent.chmod(0o777)


def test_a_disk_that_is_full_stops_the_start_in_one_line(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "apothecary", "serve", "--port", "0", "--content", ""],
        env=environment({"database": f"sqlite:///{tmp_path}/x.db"}),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192)),
    )
    assert (ended.returncode, ended.stderr) == (2, f"Error: {tmp_path}/x.db: disk I/O error\n")


def test_a_database_that_another_keeps_locked_stops_the_start_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apothecary.store.sqlite import SqliteStore

    monkeypatch.setitem(SqliteStore.__init__.__kwdefaults__, "lock_seconds", 0.01)
    monkeypatch.setattr(patiently, "__defaults__", (0.01,))
    for begin in ("BEGIN EXCLUSIVE", "BEGIN IMMEDIATE"):
        path = tmp_path / f"{begin}.db"
        if "IMMEDIATE" in begin:
            migrate(Settings(database=f"sqlite:///{path}"))
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute(begin)
            line = refused(
                run("serve", "--port", 0, "--content", one_resource(tmp_path), "--database", f"sqlite:///{path}")
            )
        assert line.startswith(f"{path}: ")
        assert "lock" in line or "busy" in line


def one_resource(folder: Path) -> Path:
    (folder / "content" / "Substance").mkdir(parents=True, exist_ok=True)
    (folder / "content" / "Substance" / "a.json").write_text(
        '{"resourceType": "Substance", "id": "a", "instance": false, "code": {"concept": {"text": "a"}}}'
    )
    return folder / "content"


@pytest.mark.parametrize(
    ("database", "said"),
    [
        (f"mysql://u:{SECRET}@h/db", "'mysql' is no database that is known here"),
        (f"postgres://u:{SECRET}@h/db", "did you mean postgresql?"),
        (f"postgresql:u:{SECRET}@h", "'postgresql:***@h' is not a database URL"),
        (f"postgresql://u:{SECRET}@h:port/db", "'postgresql://***@h:port/db' is not a database URL"),
        (f"postgresql://u:x@y:{SECRET}/z@h:port/db", "'postgresql://***@h:port/db' is not a database URL"),
        (f"postgresql://h:port/db?password={SECRET}", "'postgresql://h:port/db?***' is not a database URL"),
        (f"postgresql+nonsense://u:{SECRET}@h/db", "'postgresql+nonsense' names no driver of postgresql"),
        (f"postgresql://u:{SECRET}@127.0.0.1:1/db?nonsense=1", '"nonsense"'),
        ("sqlite+nonsense:///x.db", "'sqlite+nonsense' names no driver of sqlite"),
        ("sqlite://data/x.db", "the path of a file begins after the third slash: sqlite:///data/x.db"),
        ("sqlite://x.db", "the path of a file begins after the third slash: sqlite:///x.db"),
        ("sqlite://", "a database in memory cannot be shared"),
        ("sqlite:///:memory:", "a database in memory cannot be shared"),
        ("", "'' is not a database URL"),
    ],
)
@pytest.mark.parametrize("command", ["serve", "export", "migrate", "migrate --check"])
def test_a_database_url_that_is_wrong_is_refused_without_its_password(command: str, database: str, said: str) -> None:
    more = ["--port", 0, "--content", ""] if command == "serve" else []
    assert said in refused(run(*command.split(), *more, "--database", database))


@pytest.mark.parametrize("command", ["serve", "export", "migrate --check"])
def test_what_postgresql_refuses_is_told_in_one_line(command: str, postgresql_url: str) -> None:
    database = postgresql_url.replace("postgres@", f"postgres:{SECRET}@").rpartition("/")[0] + "/none"
    more = ["--port", 0, "--content", ""] if command == "serve" else []
    line = refused(run(*command.split(), *more, "--database", database))
    assert 'database "none" does not exist' in line
    assert "postgres:***@" in line


@pytest.mark.slow
def test_a_postgresql_server_that_is_not_there_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(await_server.__kwdefaults__, "seconds", 0.1)
    with taken() as port:
        pass
    database = f"postgresql://u:{SECRET}@127.0.0.1:{port}/db"
    assert "Connection refused" in refused(run("serve", "--port", 0, "--content", "", "--database", database))


# -- what the rest needs


@pytest.mark.parametrize(("content", "said"), [("none", "there is no such folder"), ("x.txt", "this is no folder")])
def test_content_that_is_no_folder_is_refused(content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("{}")
    words = ("serve", "--port", 0, "--content", tmp_path / content, "--database", f"sqlite:///{tmp_path}/x.db")
    assert refused(run(*words)).startswith(f"{tmp_path / content}: {said}")


def test_a_folder_for_metrics_is_made_and_one_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    database = f"sqlite:///{tmp_path}/x.db"
    words = ("serve", "--port", 0, "--content", "", "--database", database)
    line = refused(run(*words, METRICS_FOLDER=f"{tmp_path}/file/x"))
    assert line == f"APOTHECARY_METRICS_FOLDER: {tmp_path}/file/x cannot be made: Not a directory"
    with started(database=database, metrics_folder=tmp_path / "a" / "b") as server:
        assert server.get() == 200
        server.until(lambda: any((tmp_path / "a" / "b").iterdir()), "publishes")


def test_help_shows_the_default_and_the_variable_of_every_option() -> None:
    text = " ".join(run("serve", "--help").stdout.split())
    defaults = Settings()
    options = [option.name for option in serve.params if option.name]
    assert len(options) > 5
    for name in options:
        value = getattr(defaults, name)
        shown = str(value).lower() if isinstance(value, bool) else value or "none"
        assert f"[env var: APOTHECARY_{name.upper()}; default: {shown}]" in text


@pytest.mark.parametrize("words", [("export",), ("migrate", "--check")])
def test_a_command_that_only_reads_makes_no_database(words: tuple[str, ...], tmp_path: Path) -> None:
    result = run(*words, "--database", f"sqlite:///{tmp_path}/none.db")
    if words[0] == "export":
        assert refused(result) == f"{tmp_path}/none.db: there is no such database"
    else:
        assert result.exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_an_export_of_an_empty_database_makes_no_tables_in_it(database_url: str) -> None:
    if database_url.startswith("sqlite"):
        Path(database_url.removeprefix("sqlite:///")).touch()
    for _ in range(2):
        assert refused(run("export", "--database", database_url)) == (
            "the database holds no resources yet: apothecary serve or apothecary load makes the tables"
        )


class Crowded:
    """Work that is told several times that others write."""

    def __init__(self, times: int, error: Busy) -> None:
        self.times, self.error = times, error

    def __call__(self) -> str:
        self.times -= 1
        if self.times >= 0:
            raise self.error
        return "done"


def test_a_start_goes_on_trying_while_other_servers_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apothecary.cli.serve.PAUSE", 0)
    assert patiently(Crowded(20, Busy("others write"))) == "done"
    with pytest.raises(Busy):
        patiently(Crowded(20, Busy("others write")), seconds=0)
    for error in (Unreachable("no database"), Busy("too long", code="timeout")):
        crowded = Crowded(20, error)
        with pytest.raises(Busy):
            patiently(crowded)
        assert crowded.times == 19


def test_the_collector_of_a_worker_passes_over_what_stays(tmp_path: Path) -> None:
    code = (
        "import gc; from apothecary.cli.serve_workers import _application; from apothecary.settings import Settings\n"
        f"_application(Settings(database='sqlite:///{tmp_path}/a.db', content=''))\n"
        "print(gc.get_freeze_count() > 20 * len(gc.get_objects()))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    assert (ended.stdout, ended.returncode) == ("True\n", 0), ended.stderr
