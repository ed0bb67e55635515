"""Start a server, wait until it answers, and stop it."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import click
import psycopg

BIN = Path(sys.executable).parent
HOST = "127.0.0.1"


class Running(NamedTuple):
    """A server that answers: the seconds from its start to its first 200, and the group of its processes."""

    seconds: float
    group: int

    def processor_seconds(self) -> float:
        """The processor time of all of its processes so far."""
        found = [one for stat in Path("/proc").glob("[0-9]*/stat") for one in _times(stat)]
        return sum(ticks for ticks, group in found if group == self.group) / os.sysconf("SC_CLK_TCK")


def database_seconds(database: str) -> float:
    """The processor time so far of PostgreSQL's processes for the connections to a database; 0 for SQLite, which has no
    process of its own.
    """
    if not database.startswith("postgresql"):
        return 0.0
    question = """SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"""
    with psycopg.connect(database.replace("+psycopg", "")) as connection:
        pids = [pid for (pid,) in connection.execute(question)]
    return sum(ticks for pid in pids for ticks, _ in _times(Path(f"/proc/{pid}/stat"))) / os.sysconf("SC_CLK_TCK")


def _times(stat: Path) -> Iterator[tuple[int, int]]:
    """The processor time of a process in the system's ticks, and its group; nothing where it ended.
    https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
    """
    with suppress(OSError):
        # Behind the name, which may hold anything, the third field is the group; the 12th and 13th are times.
        fields = stat.read_text().rpartition(")")[2].split()
        yield sum(map(int, fields[11:13])), int(fields[2])


def apothecary(
    port: int, content: Path, database: str, workers: int, threads: int = 2, cache_bytes: int | None = None
) -> list[str]:
    """The command that serves `content`."""
    options = {"--host": HOST, "--port": port, "--workers": workers, "--content": content, "--database": database}
    words = [str(word) for option in options.items() for word in option]
    variables = [f"APOTHECARY_THREADS={threads}"]
    variables += [f"APOTHECARY_CACHE_BYTES={cache_bytes}"] if cache_bytes is not None else []
    return ["env", *variables, str(BIN / "apothecary"), "serve", *words]


def bare(port: int, workers: int, threads: int) -> list[str]:
    """The command that serves the bare Flask application, on the same server with the same workers and threads."""
    options = {"--host": HOST, "--port": port, "--workers": workers, "--blocking-threads": threads}
    words = [str(word) for option in options.items() for word in option]
    return [str(BIN / "granian"), "--interface", "wsgi", "--no-ws", *words, "benchmarks.bare:app"]


def require_wrk() -> None:
    """Raises ClickException where the program is not there that sends the requests: https://github.com/wg/wrk"""
    if shutil.which("wrk") is None:
        raise click.ClickException("this needs wrk: apt-get install wrk, or brew install wrk")


def free_port() -> int:
    """A port of the loopback address that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: list[str], port: int, path: str, *, seconds: float = 120.0) -> Iterator[Running]:
    """Run `command` until the block ends, once it answers `path` with 200.

    Raises RuntimeError with what the command wrote when it ends early or does not answer within `seconds`.
    """
    with tempfile.TemporaryFile() as output:
        # A group of its own, so that the workers end with it.
        begin = time.perf_counter()
        with subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True) as process:
            try:
                while status(port, path) != 200:
                    if process.poll() is not None or time.perf_counter() - begin > seconds:
                        output.seek(0)
                        raise RuntimeError(f"{' '.join(command)} does not answer:\n{output.read().decode()[-2000:]}")
                    time.sleep(0.002)
                yield Running(time.perf_counter() - begin, process.pid)
            finally:
                stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End `process` as a service manager would: ask, wait, then kill what is left of its group."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=10)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, 9)


def status(port: int, path: str) -> int | None:
    """The status of a GET, or None when nobody answers."""
    try:
        return fetch(port, path)[0]
    except (OSError, http.client.HTTPException):
        return None


def fetch(port: int, path: str, token: str = "") -> tuple[int, bytes]:
    """Status and body of a GET for FHIR JSON, with an access token where there is one."""
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    try:
        given = {"Authorization": f"Bearer {token}"} if token else {}
        connection.request("GET", path, headers={"Accept": "application/fhir+json"} | given)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
