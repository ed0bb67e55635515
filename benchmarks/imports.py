"""What importing the NDC directory costs beside converting it: processor time of all processes, memory, the clock.

    python -m benchmarks.imports --products 12000
    python -m benchmarks.imports --database postgresql+psycopg://user@host/empty --server PID

Both are run in turns by the same command, into a file and into an empty database; without one a temporary SQLite file
is made. The conversion is measured without and with the check of what it makes; an import checks. On a machine that
does other things as well the clock says nothing: two quiet cores share the processor time of an import.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import click

from benchmarks.load import Memory, processor_seconds
from benchmarks.ndc import directory


class Cost(NamedTuple):
    """Seconds of processor and of the clock; bytes of memory at the most."""

    processor: float
    clock: float
    memory: int


def cost(*words: str | Path) -> Cost:
    """What `apothecary import ndc` with these words costs, the processes that it starts among them."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = [sys.executable, "-m", "apothecary", "import", "ndc", *map(str, words)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process, Memory(process.pid) as memory:
        status = process.wait()
    # Rows that no resource can be made of make it 1.
    if status not in (0, 1):
        sys.exit(status)
    after, clock = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - begun
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(used, clock, memory.peak)


def said(name: str, one: Cost, count: int, plain: Cost) -> str:
    """A line for a person: of a resource and in all, and how many times the plain conversion."""
    return (
        f"{name:24} {one.processor:8.1f} s of processor, {one.processor / count * 1e6:5.0f} µs each, "
        f"{one.processor / plain.processor:5.1f} times; {one.clock:7.1f} s by the clock, {one.memory / 2**20:5.0f} MB"
    )


@click.command()
@click.option("--products", default=0, help="Only so many products, and twice as many packages; 0 for all.")
@click.option("--database", default="", help="SQLAlchemy URL of an empty database.")
@click.option("--server", default=0, help="Process id of the PostgreSQL server, to count its time as well.")
def main(products: int, database: str, server: int) -> None:
    """Import and convert, and print what that costs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "ndc").mkdir()
        given, out = directory(folder / "ndc", products), folder / "ndc.ndjson"
        plain = cost(given, "--output", out, "--no-validate")
        theirs = processor_seconds(server) if server else 0.0
        into = cost(given, "--database", database or f"sqlite:///{folder / 'ndc.db'}")
        theirs = processor_seconds(server) - theirs if server else 0.0
        checked = cost(given, "--output", out)
        again = cost(given, "--output", out, "--no-validate")
        plain = Cost((plain.processor + again.processor) / 2, (plain.clock + again.clock) / 2, plain.memory)
        with out.open("rb") as lines:
            count = sum(1 for _ in lines)
    click.echo(f"{count} resources, at a load of {os.getloadavg()[1]:.0f}")
    click.echo(said("conversion", plain, count, plain))
    click.echo(said("conversion, checked", checked, count, plain))
    click.echo(said("import", into, count, plain))
    if server:
        click.echo(f"{theirs:33.1f} s of the database's, {theirs / count * 1e6:5.0f} µs each")
    cores = (into.processor + theirs) / 2
    click.echo(f"so on two quiet cores {cores:.0f} s, {cores / plain.processor:.1f} times the conversion")


if __name__ == "__main__":
    main()
