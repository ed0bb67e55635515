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
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path

import click


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


def first(path: Path, count: int, folder: Path) -> tuple[Path, int]:
    """The first `count` lines of a file, and how many they are; 0 stands for all."""
    with path.open("rb") as lines:
        if not count:
            return path, sum(1 for _ in lines)
        part = folder / "part.ndjson"
        some = list(islice(lines, count))
    part.write_bytes(b"".join(some))
    return part, len(some)


def parts(path: Path) -> list[tuple[str, int]]:
    """The bytes of each table and index of a SQLite file, the largest first: https://www.sqlite.org/dbstat.html"""
    with closing(sqlite3.connect(path)) as connection:
        found = "SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC"
        return [(str(name), int(size)) for name, size in connection.execute(found)]


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
        subprocess.run(words, check=True)
        seconds = time.monotonic() - begun
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        ours, theirs = used.ru_utime + used.ru_stime, processor_seconds(server) - before if server else 0.0
        click.echo(f"{total} resources, {path.stat().st_size / total:.0f} bytes each")
        click.echo(f"{seconds:8.1f} s by the clock, {total / seconds:.0f} a second")
        click.echo(f"{ours:8.1f} s of processor, {ours / total * 1000:.2f} ms a resource")
        if server:
            click.echo(f"{theirs:8.1f} s of the database's, {theirs / total * 1000:.2f} ms a resource")
        click.echo(f"{used.ru_maxrss / 1024:8.0f} MB, the largest process")
        if not database:
            made = folder / "load.db"
            click.echo(f"{made.stat().st_size / total:8.0f} bytes of disk a resource")
            for name, size in parts(made)[:25]:
                click.echo(f"{size / total:8.0f}   {name}")


if __name__ == "__main__":
    main()
