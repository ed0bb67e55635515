"""What a read and a 20-hit search cost on /fhir/r4 relative to /fhir/r5, over content that is written in R5.

Warm: everything was asked for before, so that the conversions are remembered; throughput under load. Cold: each
request is the first for its resources, which are converted then; the latency of one client. Ratios are taken within one
run.
"""

from __future__ import annotations

import http.client
import json
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import click

from benchmarks import content, servers
from benchmarks.http import Target, measure
from benchmarks.servers import Running

HITS = 20
SHARED = HITS // content.SHARING
TARGET = 1.6


@dataclass(frozen=True)
class Comparison:
    """Cost of one kind of request: microseconds for R5 and R4, and how many times R5's cost R4's is."""

    name: str
    r5: float
    r4: float
    ratio: float


def reads(version: str, numbers: Iterable[int]) -> list[str]:
    """A read of each of the Medications `numbers`."""
    return [f"/fhir/{version}/Medication/m{number}" for number in numbers]


def searches(version: str, numbers: Iterable[int]) -> list[str]:
    """A search for 20 Medications from each of `numbers` on, which are multiples of 20."""
    wanted = ([content.code_of(number + step * content.SHARING) for step in range(SHARED)] for number in numbers)
    return [
        f"/fhir/{version}/Medication?code={','.join(f'{content.SYSTEM}|{code}' for code in codes)}" for codes in wanted
    ]


def check(port: int, path: str, hits: int | None, form: str) -> None:
    """See that an answer is what it is meant to be: `hits` matches, or one resource with its form in `form`."""
    status, body = servers.fetch(port, path)
    answer = json.loads(body) if status == 200 else {}
    found = [one["resource"] for one in answer.get("entry", ())] if hits is not None else [answer]
    if status != 200 or len(found) != (hits or 1) or not all(form in one for one in found):
        raise click.ClickException(f"{path}: status {status}, {len(found)} resources, {body[:300]!r}")


def warm(
    server: Running, port: int, name: str, old: Sequence[str], new: Sequence[str], rounds: int, seconds: int
) -> Comparison:
    """Load both bases in turn; the cost of a request is the reciprocal of the rate."""
    targets = Target("r5", server, port, list(new)), Target("r4", server, port, list(old))
    for target in targets:
        measure(target, 1)
    samples = [[1e6 / measure(target, seconds).rate for target in targets] for _ in range(rounds)]
    return summarize(name, samples)


def cold(port: int, name: str, old: Sequence[str], new: Sequence[str]) -> Comparison:
    """Ask once for each path of both bases, the first of each pair in turn."""
    connection = http.client.HTTPConnection(servers.HOST, port, timeout=30)
    samples = []
    for number, pair in enumerate(zip(new, old, strict=True)):
        order = (0, 1) if number % 2 else (1, 0)
        taken = {one: latency(connection, pair[one]) for one in order}
        samples.append([taken[0], taken[1]])
    connection.close()
    return summarize(name, samples)


def latency(connection: http.client.HTTPConnection, path: str) -> float:
    """Microseconds from a request to the end of its answer."""
    begin = time.perf_counter()
    connection.request("GET", path, headers={"Accept": "application/fhir+json"})
    response = connection.getresponse()
    response.read()
    if response.status != 200:
        raise RuntimeError(f"{path}: status {response.status}")
    return (time.perf_counter() - begin) * 1e6


def summarize(name: str, samples: Sequence[Sequence[float]]) -> Comparison:
    """The medians of (R5, R4) costs, and the median of their ratios."""
    return Comparison(
        name,
        median(one[0] for one in samples),
        median(one[1] for one in samples),
        median(one[1] / one[0] for one in samples),
    )


@click.command()
@click.option("--rounds", default=7, show_default=True, help="How often everything warm is measured.")
@click.option("--seconds", default=3, show_default=True, help="How long each warm measurement takes.")
@click.option("--resources", default=4000, show_default=True, help="How many Medications to serve; a multiple of 40.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def main(rounds: int, seconds: int, resources: int, as_json: bool) -> None:
    """Compare /fhir/r4 with /fhir/r5, warm and cold; fails where a warm request costs more than 1.6 times R5's."""
    servers.require_wrk()
    with tempfile.TemporaryDirectory(prefix="apothecary-benchmark-") as temporary:
        folder = Path(temporary)
        content.write(folder / "content", resources)
        port = servers.free_port()
        # One worker: each has a memory of its own, and a second would be cold when the first is warm.
        # What it computes is compared, so it gives no answer again.
        url = f"sqlite:///{folder / 'benchmark.db'}"
        command = servers.apothecary(port, folder / "content", url, 1, cache_bytes=0)
        with servers.running(command, port, "/readyz") as server:
            half = resources // 2
            check(port, reads("r4", [0])[0], None, "form")
            check(port, reads("r5", [0])[0], None, "doseForm")
            check(port, searches("r4", [0])[0], HITS, "form")
            check(port, searches("r5", [0])[0], HITS, "doseForm")
            # The first half for reads, the second for searches: what one has warmed, the other must not find.
            first, second = range(HITS, half), range(half, resources, HITS)
            results = [
                cold(port, "read, cold", reads("r4", first), reads("r5", first)),
                cold(port, "search, cold", searches("r4", second), searches("r5", second)),
            ]
            some = range(HITS, HITS + 200)
            results += [
                warm(server, port, "read, warm", reads("r4", some), reads("r5", some), rounds, seconds),
                warm(server, port, "search, warm", searches("r4", second), searches("r5", second), rounds, seconds),
            ]
    click.echo(json.dumps([asdict(result) for result in results], indent=2) if as_json else table(results))
    if slow := [one.name for one in results if "warm" in one.name and one.ratio > TARGET]:
        raise click.ClickException(f"more than {TARGET} times the cost of R5: {', '.join(slow)}")


def table(results: Sequence[Comparison]) -> str:
    """`results` for people."""
    lines = [f"{'':<14}{'R5 µs':>10}{'R4 µs':>10}{'R4 / R5':>10}"]
    lines += [f"{one.name:<14}{one.r5:>10.0f}{one.r4:>10.0f}{one.ratio:>10.2f}" for one in results]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
