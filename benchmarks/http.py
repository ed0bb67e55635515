"""The server relative to a bare Flask app on the same granian, with its cache and without, in turns of one run.

To send more bytes takes longer: what is larger than the bare app's kilobyte is compared with as many bytes of it, too.

Ratios are what to compare: requests per second belong to the machine and to what else it does. That counts less in the
ratio of processor time, which also says how many requests a busy machine can answer.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from types import MappingProxyType

import click

from apothecary.settings import child_environment
from benchmarks import content, servers
from benchmarks.servers import Running
from benchmarks.tokens import clients, token

CONNECTIONS = 8
# An answer of so many bytes is compared with the bare app's answer of the same size, too.
LARGE = 2000
# How the targets are called that are asked with access tokens.
BY_TOKEN = " by token"  # noqa: S105 (a name)
ROTATE = Path(__file__).parent / "rotate.lua"


@dataclass(frozen=True)
class Target:
    """Something to measure: a server and its port, and the paths to ask it for in turn."""

    name: str
    server: Running
    port: int
    paths: list[str]
    beside: str = "bare"
    """The target of the bare app that sends as many bytes."""
    coding: str = "identity"
    """What the client takes: https://www.rfc-editor.org/rfc/rfc9110#section-12.5.3"""
    token: str = ""
    """The access token that each request has."""


@dataclass(frozen=True)
class Sample:
    """What one run of wrk found: requests per second, and latencies in milliseconds; and the processor time of the
    server for one request, in microseconds.
    """

    rate: float
    p50: float
    p99: float
    cpu: float = 0.0


@dataclass(frozen=True)
class Result:
    """A target's medians over all rounds. `ratio` is the median of its rate over the bare app's in the same round, and
    `cpu_ratio` that of the bare app's processor time for a request over its own; `size_ratio` is the same where the
    bare app sends as many bytes.
    """

    name: str
    rate: float
    p50: float
    p99: float
    cpu: float
    ratio: float
    cpu_ratio: float
    size_ratio: float = 0.0


def parse_wrk(output: str) -> Sample:
    """Read wrk's report. Raises RuntimeError when a request failed: a rate of errors is not a rate."""
    if failed := re.search(r"Non-2xx or 3xx responses: \d+|Socket errors: .*", output):
        raise RuntimeError(failed.group())
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    latencies = dict(re.findall(r"^\s+(50|99)%\s+([\d.]+(?:us|ms|s|m))\s*$", output, re.MULTILINE))
    if rate is None or latencies.keys() != {"50", "99"}:
        raise RuntimeError(f"not a report of wrk:\n{output}")
    return Sample(float(rate[1]), milliseconds(latencies["50"]), milliseconds(latencies["99"]))


def milliseconds(text: str) -> float:
    """wrk's `812.00us`, `1.02ms`, `1.20s` in milliseconds."""
    number = text.rstrip("ums")
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}[text.removeprefix(number)]


def load(connections: int, seconds: int, script: Path) -> list[str]:
    """The command that asks over so many connections for `seconds` what a script says. Nobody hangs up who waits."""
    command = ["wrk", "--threads=1", f"--connections={connections}", f"--duration={seconds}s", "--latency"]
    return [*command, "--timeout=60s", f"--script={script}"]


def measure(target: Target, seconds: int, connections: int = CONNECTIONS) -> Sample:
    """Load `target` for `seconds`."""
    accepted = f"--header=Accept-Encoding: {target.coding}"
    base = f"http://{servers.HOST}:{target.port}"
    command = [*load(connections, seconds, ROTATE), accepted, base, "--", *target.paths]
    before = target.server.processor_seconds()
    environment = child_environment(BENCHMARK_TOKEN=target.token)
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found = parse_wrk(done.stdout)
    used = target.server.processor_seconds() - before
    return replace(found, cpu=used * 1e6 / max(1.0, found.rate * seconds))


def summarize(rounds: list[dict[str, Sample]], beside: Mapping[str, str] = MappingProxyType({})) -> list[Result]:
    """The medians of `rounds`; each round has a sample of every target, `bare` among them. `beside` has the
    names of those targets of the bare app that send as many bytes.
    """

    def times(each: dict[str, Sample], name: str, other: str) -> float:
        return each[other].cpu / each[name].cpu if each[name].cpu else 0.0

    return [
        Result(
            name,
            rate=median(each[name].rate for each in rounds),
            p50=median(each[name].p50 for each in rounds),
            p99=median(each[name].p99 for each in rounds),
            cpu=median(each[name].cpu for each in rounds),
            ratio=median(each[name].rate / each["bare"].rate for each in rounds),
            cpu_ratio=median(times(each, name, "bare") for each in rounds),
            size_ratio=median(times(each, name, beside.get(name, "bare")) for each in rounds),
        )
        for name in rounds[0]
    ]


def paths(port: int, count: int, token: str = "") -> dict[str, list[str]]:
    """What to measure over `count` Medications: up to 200 of them, drawn evenly but always the same. `port` is of a
    server that is asked for links to pages, which are for whoever has asked.
    """
    numbers = random.Random(5).sample(range(count), min(200, count))
    _, body = servers.fetch(port, "/fhir/Medication?_count=5", token)
    following = next(one["url"] for one in json.loads(body)["link"] if one["relation"] == "next")
    return {
        "read": [f"/fhir/Medication/m{number}" for number in numbers],
        "vread": [f"/fhir/Medication/m{number}/_history/1" for number in numbers],
        "search": [f"/fhir/Medication?code={content.SYSTEM}|{content.code_of(number)}" for number in numbers],
        "page": [f"/fhir/{following.partition('/fhir/')[2]}"],
        "metadata": ["/fhir/metadata"],
    }


def check(target: Target) -> None:
    """See that `target` answers what it is meant to, before its speed is worth anything."""
    status, body = servers.fetch(target.port, target.paths[0], target.token)
    answer = json.loads(body) if status == 200 else {}
    hits = [entry for entry in answer.get("entry", []) if entry.get("search", {}).get("mode") == "match"]
    if status != 200 or (target.name.split()[0] in ("search", "page") and len(hits) != content.SHARING):
        raise click.ClickException(f"{target.paths[0]}: status {status}, {len(hits)} hits, {body[:300]!r}")


@click.command()
@click.option("--rounds", default=7, show_default=True, help="How often everything is measured.")
@click.option("--seconds", default=3, show_default=True, help="How long each measurement takes.")
@click.option("--resources", default=5000, show_default=True, help="How many Medications to serve.")
@click.option("--workers", default=2, show_default=True, help="Processes, of both servers.")
@click.option("--threads", default=2, show_default=True, help="Threads in each process, of both servers.")
@click.option("--database", help="URL of an EMPTY database: its content is replaced. Default: a temporary SQLite file.")
@click.option("--audit", is_flag=True, help="Also with a record of each request in files, without the cache.")
@click.option("--authorization", is_flag=True, help="Measure the same with access tokens, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def main(
    rounds: int,
    seconds: int,
    resources: int,
    workers: int,
    threads: int,
    database: str | None,
    audit: bool,
    authorization: bool,
    as_json: bool,
) -> None:
    """Measure read, token search with five hits and other GETs against a bare Flask app, without the cache and with."""
    servers.require_wrk()
    with tempfile.TemporaryDirectory(prefix="apothecary-benchmark-") as temporary, ExitStack() as stack:
        folder = Path(temporary)
        content.write(folder / "content", resources)
        bare_port, port, cached_port, asking_port, asking_cached_port, recording_port = (
            servers.free_port() for _ in range(6)
        )
        url = database or f"sqlite:///{folder / 'benchmark.db'}"

        def serving(at: int, cache_bytes: int | None, *variables: str) -> Running:
            command = servers.apothecary(at, folder / "content", url, workers, threads, cache_bytes)
            command[1:1] = variables
            return stack.enter_context(servers.running(command, at, "/readyz"))

        bare = stack.enter_context(servers.running(servers.bare(bare_port, workers, threads), bare_port, "/"))
        computing, cached = serving(port, 0), serving(cached_port, None)
        asked = paths(port, resources)
        sizes = {name: len(servers.fetch(port, some[0])[1]) for name, some in asked.items()}
        measured = [Target("bare", bare, bare_port, ["/"])]
        measured += [
            Target(f"bare {name}", bare, bare_port, [f"/{size}"]) for name, size in sizes.items() if size > LARGE
        ]
        beside = {name: f"bare {name}" if size > LARGE else "bare" for name, size in sizes.items()}
        measured += [Target(name, computing, port, some, beside[name]) for name, some in asked.items()]
        measured += [Target(f"{name} again", cached, cached_port, some, beside[name]) for name, some in asked.items()]
        measured.append(Target("metadata in gzip again", cached, cached_port, asked["metadata"], coding="gzip"))
        if audit:
            recording = serving(
                recording_port, 0, "APOTHECARY_AUDIT=file", f"APOTHECARY_AUDIT_FOLDER={folder / 'audit'}"
            )
            recorded = [(name, asked[name]) for name in ("read", "vread", "search")]
            measured += [
                Target(f"{name} audit", recording, recording_port, some, beside[name]) for name, some in recorded
            ]
        if authorization:
            variables = clients(folder / "clients")
            for at, cache_bytes, again in ((asking_port, 0, ""), (asking_cached_port, None, " again")):
                asking = serving(at, cache_bytes, *variables)
                given = token(at, folder / "clients")
                measured += [
                    Target(f"{one}{again}{BY_TOKEN}", asking, at, some, beside[one], token=given)
                    for one, some in paths(at, resources, given).items()
                ]
        for target in measured:
            check(target)
            measure(target, 1)  # warms up caches and connections
        rounded = [{target.name: measure(target, seconds) for target in measured} for _ in range(rounds)]
        results = summarize(rounded, {target.name: target.beside for target in measured})
    click.echo(json.dumps([asdict(result) for result in results], indent=2) if as_json else table(results))
    for line in compared(rounded):
        click.echo(line, err=True)


def compared(rounds: list[dict[str, Sample]]) -> list[str]:
    """What access tokens cost: the median, over all rounds, of the rate with them in that without, and the same by
    processor time.
    """
    lines = []
    for name in (one for one in rounds[0] if one.endswith(BY_TOKEN)):
        without = name.removesuffix(BY_TOKEN)
        rate = median(each[name].rate / each[without].rate for each in rounds)
        cpu = median(each[without].cpu / each[name].cpu for each in rounds if each[name].cpu)
        lines.append(f"{without} with an access token: {rate:.2f} of the rate without, {cpu:.2f} by processor time")
    return lines


def table(results: list[Result]) -> str:
    """`results` for people."""
    names = ("", "req/s", "p50 ms", "p99 ms", "cpu us", "of bare", "by cpu", "of its size")
    lines = [f"{names[0]:<24}" + "".join(f"{name:>12}" for name in names[1:])]
    lines += [
        f"{r.name:<24}{r.rate:>12.0f}{r.p50:>12.2f}{r.p99:>12.2f}{r.cpu:>12.0f}{r.ratio:>12.2f}{r.cpu_ratio:>12.2f}"
        f"{r.size_ratio:>12.2f}"
        for r in results
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
