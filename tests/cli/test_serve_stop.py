"""`apothecary serve` ends when it is asked to, at any moment and with nothing lost, and explains every other end."""

from __future__ import annotations

import ctypes
import json
import os
import random
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from http.client import HTTPConnection
from pathlib import Path

import psycopg
import pytest

from apothecary.settings import Settings
from apothecary.store.migrate import migrate
from tests.cli.serving import PATIENCE, Served, environment, started
from tests.durability.health import always_healthy
from tests.mass import much

# How a server is asked to stop: by a person at a terminal, by a service manager, by one that signals every process.
ASKED = [(signal.SIGINT, True), (signal.SIGTERM, False), (signal.SIGTERM, True), (signal.SIGHUP, True)]
# A terminal stops one that has a process for requests, a service manager one that has two.
SOME = [(*ASKED[0], 1), (*ASKED[1], 2)]
MEDICATION = json.dumps({"resourceType": "Medication", "identifier": [{"value": "acknowledged"}]})
HEADERS = {"Content-Type": "application/fhir+json"}


@contextmanager
def locked(url: str) -> Iterator[Callable[[Served], bool]]:
    """The database's tables, held by another writer until the block ends; gives what tells whether a server waits."""
    migrate(Settings(database=url))
    if url.startswith("sqlite"):
        path = url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            yield lambda server: asleep(server, path)
    else:
        plain = url.replace("+psycopg", "")
        with psycopg.connect(plain) as other, psycopg.connect(plain, autocommit=True) as observer:
            other.execute("LOCK TABLE resource, state IN ACCESS EXCLUSIVE MODE")
            # Other tests wait on the same server, each in a database of its own.
            waiting = """SELECT 1 FROM pg_locks JOIN pg_database ON pg_database.oid = database
                         WHERE NOT granted AND datname = current_database()"""
            yield lambda _: bool(observer.execute(waiting).fetchall())


def asleep(server: Served, path: str) -> bool:
    """Whether a server has opened a file, and then done nothing for a while: SQLite sleeps while it waits."""
    process = proc(server)
    try:
        if not any(os.readlink(one) == path for one in (process / "fd").iterdir()):
            return False
        used = (process / "stat").read_text().split()[13:15]
        time.sleep(0.5)
        return (process / "stat").read_text().split()[13:15] == used
    except FileNotFoundError:
        return False  # a file was closed meanwhile, or the process ended


def proc(server: Served) -> Path:
    """Where Linux shows the state of a server's first process."""
    if not Path("/proc/self/status").exists():
        pytest.skip("the state of a process is read from /proc")
    return Path(f"/proc/{server.process.pid}")


def content(folder: Path) -> Path:
    """A folder with one resource, so that the start has something to write."""
    (folder / "Substance").mkdir()
    resource = {"resourceType": "Substance", "id": "a", "instance": False, "code": {"concept": {"text": "a"}}}
    (folder / "Substance" / "a.json").write_text(json.dumps(resource))
    return folder


# Waits for others' locks for as long as they are held.
PATIENT = """
from apothecary.cli import main
from apothecary.store.sqlite import SqliteStore
SqliteStore.__init__.__kwdefaults__["lock_seconds"] = 3600
main(["serve"])
"""


@pytest.mark.mass
@pytest.mark.parametrize(("number", "group"), much(ASKED[:2], ASKED))
def test_a_start_that_waits_for_the_database_is_stopped_at_once(
    number: signal.Signals, group: bool, database_url: str, tmp_path: Path
) -> None:
    given = {"database": database_url, "content": content(tmp_path), "request_seconds": 3600}
    with locked(database_url) as waits, started("-c", PATIENT, **given) as server:
        server.until(lambda: waits(server), "waits for the lock")
        server.signal(number, group=group)
        assert server.ends() == 0
        assert server.log == f"stopped by {number.name} before it served\n"


def taken(server: Served) -> bool:
    """Whether the server blocks SIGTERM, that is, takes it in its own way."""
    status = (proc(server) / "status").read_text()
    mask = next(line for line in status.splitlines() if line.startswith("SigBlk:"))
    return bool(int(mask.split()[1], 16) & 1 << (signal.SIGTERM - 1))


@pytest.mark.mass
@pytest.mark.parametrize(
    ("number", "group", "workers"), much(SOME, [(*asked, workers) for workers in (1, 2) for asked in ASKED])
)
def test_a_server_ends_with_status_0_when_it_is_asked_to(
    number: signal.Signals, group: bool, workers: int, sqlite_database_url: str
) -> None:
    with started(database=sqlite_database_url, workers=workers) as server:
        assert server.get() == 200
        server.signal(number, group=group)
        server.signal(number, group=group)
        assert server.ends() == 0
        assert f"stopping on {number.name}" in server.log
        assert "another takes its place" not in server.log


@pytest.mark.mass
@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_no_moment_of_the_start_loses_the_signal(workers: int, sqlite_database_url: str, tmp_path: Path) -> None:
    folder = content(tmp_path)
    for turn in range(much(2, 12)):
        number, group = ASKED[turn % len(ASKED)]
        with started(database=sqlite_database_url, content=folder, workers=workers) as server:
            server.until(lambda server=server: taken(server), "handles signals")  # type: ignore[misc] # called at once
            time.sleep(random.uniform(0, 1.5))
            server.signal(number, group=group)
            assert server.ends() == 0, server.log
            assert "Traceback" not in server.log


def test_a_request_in_flight_is_answered_before_the_end_and_kept(sqlite_database_url: str) -> None:
    with started(database=sqlite_database_url, workers=2, stop_seconds=PATIENCE) as server:
        connection = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        connection.putrequest("POST", "/fhir/Medication")
        for name, value in {**HEADERS, "Content-Length": str(len(MEDICATION))}.items():
            connection.putheader(name, value)
        connection.endheaders(MEDICATION[:10].encode())
        assert server.get() == 200  # so the connection before is taken by now
        server.signal(signal.SIGTERM, group=False)
        server.says("stopping on SIGTERM")
        connection.send(MEDICATION[10:].encode())
        assert connection.getresponse().status == 201
        connection.close()
        assert server.ends() == 0
    with started(database=sqlite_database_url) as server:
        answer = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        answer.request("GET", "/fhir/Medication?identifier=acknowledged&_summary=count")
        assert json.loads(answer.getresponse().read())["total"] == 1
        answer.close()


def test_a_connection_that_is_kept_open_does_not_hold_up_the_end(sqlite_database_url: str) -> None:
    with started(database=sqlite_database_url, stop_seconds=PATIENCE) as server:
        connection = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        server.signal(signal.SIGINT, group=True)
        assert server.ends() == 0
        assert "warning" not in server.log
        connection.close()


def test_a_request_that_does_not_end_is_cut_off(sqlite_database_url: str) -> None:
    with (
        started(database=sqlite_database_url, stop_seconds=0.2) as server,
        socket.create_connection(("127.0.0.1", server.port)) as never,
    ):
        never.sendall(b"POST /fhir/Medication HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        assert server.get() == 200
        server.signal(signal.SIGTERM, group=False)
        assert server.ends() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_that_is_killed_is_replaced_and_the_log_says_so(workers: int, sqlite_database_url: str) -> None:
    with started(database=sqlite_database_url, workers=workers) as server:
        assert server.get() == 200
        killed = server.worker_ids[-1]
        # Its own connections end with it. The only one leaves nobody to answer until the next is there.
        with always_healthy(server.port, gaps=True) if workers > 1 else nullcontext():
            os.kill(killed, signal.SIGKILL)
            server.says(f"worker {workers} (process {killed}) was killed by SIGKILL: another takes its place")
            server.until(lambda: len(server.worker_ids) == workers + 1, "a new worker")
            assert server.get() == 200
        server.signal(signal.SIGTERM, group=False)
        assert server.ends() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere workers share a socket")
def test_while_a_worker_ends_in_order_the_others_have_all_who_connect(sqlite_database_url: str) -> None:
    with started(database=sqlite_database_url, workers=2) as server, ExitStack() as stack:
        assert server.get() == 200
        ended = server.worker_ids[0]
        server.until(lambda: len(listening(server, ended)) == 2, "both listen")
        for _ in range(16):
            # Enough for each worker to have one, which it waits for.
            never = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            never.sendall(b"POST /fhir/Medication HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        assert server.get() == 200
        os.kill(ended, signal.SIGTERM)
        server.until(lambda: len(listening(server, ended)) == 1, "listens no more")
        for _ in range(32):
            assert server.get() == 200
        assert living(ended)


@pytest.mark.skipif(sys.platform != "linux", reason="threads have numbers of their own on Linux")
def test_a_worker_ends_though_the_thread_that_waits_did_not_have_the_signal(sqlite_database_url: str) -> None:
    with started(database=sqlite_database_url, workers=1) as server:
        assert server.get() == 200
        worker = server.worker_ids[0]
        thread = max(int(one.name) for one in Path(f"/proc/{worker}/task").iterdir())
        assert thread != worker
        assert ctypes.CDLL(None).tgkill(worker, thread, signal.SIGTERM) == 0
        server.says("Stopping worker-1")


def listening(server: Served, worker: int) -> list[str]:
    """The lines of Linux that tell of sockets which listen on a server's port, one each."""
    lines = Path(f"/proc/{worker}/net/tcp").read_text().splitlines()
    return [line for line in lines if f":{server.port:04X} 00000000:0000 0A" in line]


@pytest.mark.mass
@pytest.mark.parametrize("number", much([signal.SIGKILL], [signal.SIGKILL, signal.SIGSEGV]))
def test_workers_that_are_all_killed_at_once_are_all_replaced(number: signal.Signals, sqlite_database_url: str) -> None:
    with started(database=sqlite_database_url, workers=3) as server:
        assert server.get() == 200
        killed = server.worker_ids
        for one in killed:
            os.kill(one, number)
        server.until(lambda: len(server.worker_ids) == 6, "three new workers")
        for index, one in enumerate(killed):
            assert f"worker {index + 1} (process {one}) was killed by {number.name}: another" in server.log
        assert server.get() == 200
        server.signal(signal.SIGTERM, group=False)
        assert server.ends() == 0


def test_a_worker_that_ends_again_and_again_is_replaced_more_and_more_slowly(sqlite_database_url: str) -> None:
    with started(database=sqlite_database_url, workers=2) as server:
        assert server.get() == 200
        for turn in range(3):
            # The first worker's replacements: the other one lives.
            ended = server.worker_ids[0 if turn == 0 else -1]
            server.until(lambda ended=ended: living(ended), "lives")  # type: ignore[misc] # called at once
            os.kill(ended, signal.SIGKILL)
            server.says(f"(process {ended}) was killed by SIGKILL: another takes its place")
            server.until(lambda turn=turn: len(server.worker_ids) == 3 + turn, "a new worker")  # type: ignore[misc] # the turn as it is now
            assert server.get() == 200
        told = [line for line in server.log.splitlines() if "takes its place" in line]
        # On a machine so slow that one lived for long, there is no pause to be told of.
        assert told[0].endswith("another takes its place")
        pauses = [float(found) for line in told for found in re.findall(r"place in ([\d.]+) seconds", line)]
        assert pauses == sorted(pauses)
        server.signal(signal.SIGTERM, group=False)
        assert server.ends() == 0


def living(number: int) -> bool:
    """Whether a process is there and can be killed."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.mass
@pytest.mark.parametrize("workers", much([2], [1, 2, 3]))
def test_workers_do_not_outlive_their_supervisor(workers: int, sqlite_database_url: str) -> None:
    with started(database=sqlite_database_url, workers=workers) as server:
        port = server.port
        server.signal(signal.SIGKILL, group=False)
        server.process.wait(PATIENCE)
        server.leaves_nobody()
        assert f"its supervisor (process {server.process.pid}) is gone, so it stops, too" in server.log
        with socket.socket() as free:
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            free.bind(("127.0.0.1", port))
            free.listen()


# Workers that are not forked but begin anew, as on macOS, and with newer versions of Python everywhere.
SPAWNING = """
import multiprocessing
from apothecary.cli import main
if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    main(["serve"])
"""


@pytest.mark.mass
@pytest.mark.slow
@pytest.mark.parametrize("number", much([signal.SIGTERM], [signal.SIGINT, signal.SIGTERM, signal.SIGKILL]))
def test_workers_that_are_not_forked_end_as_others_do(
    number: signal.Signals, sqlite_database_url: str, tmp_path: Path
) -> None:
    script = tmp_path / "spawning.py"
    script.write_text(SPAWNING)
    with started(script, database=sqlite_database_url, workers=2) as server:
        assert server.get() == 200
        server.signal(number, group=number == signal.SIGINT)
        assert server.ends() == (-number if number == signal.SIGKILL else 0)
        assert "Traceback" not in server.log


def test_a_server_that_is_to_outlive_its_terminal_does(sqlite_database_url: str) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with started(database=sqlite_database_url, prepare=ignore) as server:
        assert server.get() == 200
        server.signal(signal.SIGHUP, group=True)
        assert server.get() == 200
        time.sleep(0.5)  # in which its workers would end
        assert "Stopping worker" not in server.log
        assert server.get() == 200
        server.signal(signal.SIGTERM, group=False)
        assert server.ends() == 0
        assert "SIGHUP" not in server.log


# Runs the command with an application that cannot be made in the workers.
BROKEN = """
import sys
from apothecary.cli import main, serve_workers
from apothecary.errors import StartError
def broken(settings): raise {error}
serve_workers.create_app = broken
main(["serve", "--content", "", "--port", "0"])
"""


@pytest.mark.parametrize("error", ["StartError('this and that is missing')", "KeyError('a fault of ours')"])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_whose_workers_cannot_start_ends_with_status_2(
    error: str, workers: int, sqlite_database_url: str
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", BROKEN.format(error=error)],
        env=environment({"database": sqlite_database_url, "workers": workers}),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == 2
    assert "serving" not in ended.stderr
    if error.startswith("StartError"):
        assert "Error: this and that is missing\n" in ended.stderr
        assert "Traceback" not in ended.stderr
    else:
        assert "KeyError: 'a fault of ours'" in ended.stderr
    assert "ended with status" in ended.stderr
