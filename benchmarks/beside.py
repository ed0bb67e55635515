"""Readers beside writers: what is left of the rate of reads while others write, and how long the writers wait.

A server in processes of its own, readers and writers as clients in two others, over HTTP. In each round everything is
measured in turn, and the ratios are of one round: rates belong to the machine and to what else it does. The readers ask
for resources by id and by a code in turn; each writer creates one resource after the other.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import click

from benchmarks import content, servers
from benchmarks.http import Sample, Target, check, load, measure, paths

CREATE = Path(__file__).parent / "create.lua"


@dataclass(frozen=True)
class Creates:
    """What became of the creates of some writers: how many a second; times in milliseconds."""

    rate: float
    p50: float
    p99: float
    longest: float
    refused: int = 0
    """How many were answered otherwise than with 201."""


@dataclass(frozen=True)
class Measured:
    """One setting in one round: so many readers and writers at a time. `cpu` is the processor time of the server and of
    PostgreSQL's processes for its connections, in seconds a second.
    """

    readers: int
    writers: int
    reads: Sample | None
    creates: Creates | None
    cpu: float


@dataclass(frozen=True)
class Result:
    """The medians of all rounds; `kept` is the median of the rate of reads over that without writers in the same round,
    `longest` the longest create of all rounds.
    """

    readers: int
    writers: int
    kept: float | None
    reads: float
    read_p99: float
    creates: float
    create_p50: float
    create_p99: float
    longest: float
    refused: int
    cpu: float


def parse_creates(output: str) -> Creates:
    """Read what `create.lua` prints. Raises RuntimeError where a connection failed: then a rate is none."""
    found = json.loads(output.splitlines()[-1])
    if found["errors"]:
        raise RuntimeError(f"creating failed: {output}")
    rate = found["created"] / found["seconds"]
    return Creates(rate, found["p50"], found["p99"], found["longest"], found["refused"])


class Writers:
    """Clients that create in a process of their own."""

    _runs = 0

    def __init__(self, port: int, count: int, seconds: int) -> None:
        # What is created in one run differs from what is created in another.
        Writers._runs += 1
        command = [*load(count, seconds, CREATE), f"http://{servers.HOST}:{port}", "--", f"run{Writers._runs}"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def ended(self) -> Creates:
        """What became of them, once they are done. Raises RuntimeError."""
        output, _ = self._process.communicate()
        if self._process.returncode:
            raise RuntimeError(f"wrk failed: {output}")
        return parse_creates(output)


def side_by_side(target: Target, readers: int, writers: int, seconds: int, database: str) -> Measured:
    """Readers and writers at a time; of either there may be none."""
    before = target.server.processor_seconds() + servers.database_seconds(database)
    writing = Writers(target.port, writers, seconds) if writers else None
    reads = measure(target, seconds, readers) if readers else None
    creates = writing.ended() if writing is not None else None
    used = target.server.processor_seconds() + servers.database_seconds(database) - before
    return Measured(readers, writers, reads, creates, used / seconds)


def summarize(rounds: list[list[Measured]]) -> list[Result]:
    """The medians of rounds, each of the same settings; the first is that of the readers alone."""
    results = []
    for at_once in zip(*rounds, strict=True):
        reads = [one.reads for one in at_once if one.reads is not None]
        creates = [one.creates for one in at_once if one.creates is not None]
        alone = [first.reads.rate for first, *_ in rounds if first.reads is not None]
        kept = [one.rate / most for one, most in zip(reads, alone, strict=False)]
        results.append(
            Result(
                at_once[0].readers,
                at_once[0].writers,
                kept=median(kept) if kept else None,
                reads=median(one.rate for one in reads) if reads else 0.0,
                read_p99=median(one.p99 for one in reads) if reads else 0.0,
                creates=median(one.rate for one in creates) if creates else 0.0,
                create_p50=median(one.p50 for one in creates) if creates else 0.0,
                create_p99=median(one.p99 for one in creates) if creates else 0.0,
                longest=max((one.longest for one in creates), default=0.0),
                refused=sum(one.refused for one in creates),
                cpu=median(one.cpu for one in at_once),
            )
        )
    return results


@click.command()
@click.option("--rounds", default=5, show_default=True, help="How often everything is measured.")
@click.option("--seconds", default=4, show_default=True, help="How long each measurement takes.")
@click.option("--resources", default=2000, show_default=True, help="How many Medications to serve.")
@click.option("--workers", default=2, show_default=True, help="Processes of the server.")
@click.option("--threads", default=2, show_default=True, help="Threads in each process.")
@click.option("--readers", default=8, show_default=True, help="Readers at a time.")
@click.option("--cache", is_flag=True, help="Let the server give answers again; without, each is computed.")
@click.option("--database", help="URL of an EMPTY database: its content is replaced. Default: a temporary SQLite file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def main(
    rounds: int,
    seconds: int,
    resources: int,
    workers: int,
    threads: int,
    readers: int,
    cache: bool,
    database: str | None,
    as_json: bool,
) -> None:
    """Measure readers without writers, beside 8 and 32 of them, and writers alone."""
    servers.require_wrk()
    with tempfile.TemporaryDirectory(prefix="apothecary-benchmark-") as temporary, ExitStack() as stack:
        folder = Path(temporary)
        content.write(folder / "content", resources)
        url = database or f"sqlite:///{folder / 'benchmark.db'}"
        port = servers.free_port()
        command = servers.apothecary(port, folder / "content", url, workers, threads, None if cache else 0)
        server = stack.enter_context(servers.running(command, port, "/readyz"))
        asked = paths(port, resources)
        mixed = [path for pair in zip(asked["read"], asked["search"], strict=True) for path in pair]
        target = Target("read", server, port, mixed)
        check(target)
        settings = [(readers, 0), (readers, 8), (readers, 32), (0, 1), (0, 8), (0, 32)]
        for at_once in settings[2:4]:
            side_by_side(target, *at_once, 1, url)  # warms up caches and connections
        results = summarize(
            [[side_by_side(target, *at_once, seconds, url) for at_once in settings] for _ in range(rounds)]
        )
    click.echo(json.dumps([asdict(result) for result in results], indent=2) if as_json else table(results))


def table(results: list[Result]) -> str:
    """`results` for people: rates a second, times in milliseconds."""
    names = ("readers", "writers", "reads/s", "kept", "p99", "creates/s", "p50", "p99", "longest", "refused", "cpu")
    lines = ["".join(f"{name:>10}" for name in names)]
    lines += [
        f"{r.readers:>10}{r.writers:>10}{r.reads:>10.0f}{'' if r.kept is None else format(r.kept, '.2f'):>10}"
        f"{r.read_p99:>10.1f}{r.creates:>10.0f}{r.create_p50:>10.1f}{r.create_p99:>10.1f}{r.longest:>10.0f}"
        f"{r.refused:>10}{r.cpu:>10.2f}"
        for r in results
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
