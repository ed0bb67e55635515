"""What loading costs: processor time of all processes, memory at its peak, and the disk that it takes.

    python -m benchmarks.ndc .cache/ndc.ndjson
    python -m benchmarks.load .cache/ndc.ndjson --count 50000
    python -m benchmarks.load .cache/ndc.ndjson --database postgresql+psycopg://user@host/empty --server PID

The database must be empty; without one a temporary SQLite file is made. On a machine that does other things as well,
compare processor time, not that of the clock.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from itertools import islice
from pathlib import Path

import click
from sqlalchemy import create_engine, text


def processor_seconds(server: int) -> float:
    """The processor time of a PostgreSQL server with this process id: its own, that of its processes, and of those that
    have ended.
    """
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # Behind the name, which may hold anything: the second field is the parent, the 12th to 15th are times.
            fields = stat.read_text().rpartition(")")[2].split()
            if int(stat.parent.name) == server:
                ticks += sum(map(int, fields[11:15]))
            elif int(fields[1]) == server:
                ticks += sum(map(int, fields[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


class Memory:
    """How many bytes a process and those that it starts hold together, at the most: what they share counts once, and
    what is mapped from files not at all. Looked at four times a second.
    """

    def __init__(self, root: int) -> None:
        self.peak = 0
        self._root = root
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.25):
            self.peak = max(self.peak, self._now())

    def _now(self) -> int:
        parents = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        kilobytes, waiting = 0, [self._root]
        while waiting:
            process = waiting.pop()
            waiting += [child for child, parent in parents.items() if parent == process]
            with suppress(OSError):
                for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
                    kilobytes += int(line.split()[1]) if line.startswith(("Pss_Anon:", "Pss_Shmem:")) else 0
        return kilobytes * 1024


def first(path: Path, count: int, folder: Path) -> tuple[Path, int]:
    """The first `count` lines of a file, and how many they are; 0 stands for all."""
    with path.open("rb") as lines:
        if not count:
            return path, sum(1 for _ in lines)
        part = folder / "part.ndjson"
        some = list(islice(lines, count))
    part.write_bytes(b"".join(some))
    return part, len(some)


def parts(url: str) -> list[tuple[str, int]]:
    """The bytes of each table and index of a database, the largest first: https://www.sqlite.org/dbstat.html and
    https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-DBSIZE
    """
    lite = "SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC"
    post = (
        "SELECT relname, pg_relation_size(oid) + CASE WHEN reltoastrelid > 0 THEN "
        "pg_total_relation_size(reltoastrelid) ELSE 0 END FROM pg_class "
        "WHERE relkind IN ('r', 'i') AND relnamespace = 'public'::regnamespace ORDER BY 2 DESC"
    )
    engine = create_engine(url)
    with engine.connect() as connection:
        rows = connection.execute(text(lite if engine.dialect.name == "sqlite" else post))
        return [(str(name), int(size)) for name, size in rows]


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True))
@click.option("--count", default=0, help="Only so many resources; 0 for all.")
@click.option("--database", default="", help="SQLAlchemy URL of an empty database.")
@click.option("--server", default=0, help="Process id of the PostgreSQL server, to count its time as well.")
@click.option("--validate/--no-validate", "validation", default=True)
def main(file: Path, count: int, database: str, server: int, validation: bool) -> None:
    """Load FILE, NDJSON, and print what that cost for each resource."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, total = first(file, count, folder)
        url = database or f"sqlite:///{folder / 'load.db'}"
        words = [sys.executable, "-m", "apothecary", "load", "--database", url, str(path)]
        words += [] if validation else ["--no-validate"]
        begun, before = time.monotonic(), processor_seconds(server) if server else 0.0
        with subprocess.Popen(words) as process, Memory(process.pid) as memory:
            if process.wait():
                sys.exit(process.returncode)
        seconds = time.monotonic() - begun
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        ours, theirs = used.ru_utime + used.ru_stime, processor_seconds(server) - before if server else 0.0
        click.echo(f"{total} resources, {path.stat().st_size / total:.0f} bytes each")
        rate, load = total / seconds, os.getloadavg()[1]
        click.echo(f"{seconds:8.1f} s by the clock, {rate:.0f} a second, at a load of {load:.0f}")
        click.echo(f"{ours:8.1f} s of processor, {ours / total * 1000:.2f} ms a resource")
        if server:
            click.echo(f"{theirs:8.1f} s of the database's, {theirs / total * 1000:.2f} ms a resource")
        click.echo(f"{used.ru_maxrss / 1024:8.0f} MB, the largest process")
        click.echo(f"{memory.peak / 2**20:8.0f} MB, all processes together")
        sizes = parts(url)
        click.echo(f"{sum(size for _, size in sizes) / total:8.0f} bytes of disk a resource")
        for name, size in sizes[:40]:
            click.echo(f"{size / total:8.0f}   {name}")


if __name__ == "__main__":
    main()
