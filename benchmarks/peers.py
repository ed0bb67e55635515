"""Other FHIR servers, by their URL, beside this one: one data set and one set of requests, in turns of one run.

All of it is FHIR R4, which most servers speak. Each server computes its answers: ours runs without its cache, and the
others are told that a kept answer will not do (`Cache-Control: no-cache`). docs/performance.md says how to start one.
"""

from __future__ import annotations

import json
import random
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import click

from benchmarks import http, servers
from benchmarks.http import Sample, parse_wrk
from benchmarks.load import processor_seconds

SCRIPT = Path(__file__).parent / "requests.lua"
SYSTEM = "https://example.org/benchmark-codes"
# Medications that share a code, and those of one manufacturer.
SHARING, PRODUCTS = 5, 50
# The code of what is written while it is measured: no search finds it, so that a second run asks for the same.
WRITTEN = "new"
# So many entries are loaded in one transaction.
ENTRIES = 100
# Rates are steady when the last three differ by no more than this.
STEADY = 0.1


class Request(NamedTuple):
    """What is sent in turn for one row of the table."""

    method: str
    path: str
    body: str = ""
    unless: str = ""
    """A search that makes a create conditional: https://hl7.org/fhir/R4/http.html#ccreate"""


class Server(NamedTuple):
    """A server to measure: what the table calls it, the address of its base, and whose processor time is its own."""

    name: str
    base: str
    pids: Sequence[int] = ()
    """It, and the database server that it shares with others: while it is asked, they do nothing for anybody else."""

    def processor_seconds(self) -> float:
        """The processor time so far of all of it that is known."""
        return sum(map(processor_seconds, self.pids))


def organization(number: int) -> dict[str, Any]:
    """https://hl7.org/fhir/R4/organization.html"""
    return {"resourceType": "Organization", "id": f"bench-o{number}", "active": True, "name": f"Maker{number} Limited"}


def medication(number: int | str, code: int | str, maker: int) -> dict[str, Any]:
    """About 600 bytes: https://hl7.org/fhir/R4/medication.html"""
    return {
        "resourceType": "Medication",
        "identifier": [{"system": "https://example.org/products", "value": f"product-{number}"}],
        "code": {
            "coding": [{"system": SYSTEM, "code": f"c{code}", "display": f"Substance {code}"}],
            "text": f"Product {number}, film-coated tablet",
        },
        "status": "active",
        "manufacturer": {"reference": f"Organization/bench-o{maker}"},
        "form": {"text": "tablet"},
        "batch": {"lotNumber": f"lot-{number}"},
    }


def entries(count: int) -> Iterator[dict[str, Any]]:
    """The data set: makers first, so that every reference leads to what is there."""
    for number in range(-(-count // PRODUCTS)):
        yield _put(organization(number))
    for number in range(count):
        yield _put(medication(number, number // SHARING, number // PRODUCTS) | {"id": f"bench-m{number}"})


def _put(resource: dict[str, Any]) -> dict[str, Any]:
    url = f"{resource['resourceType']}/{resource['id']}"
    return {"resource": resource, "request": {"method": "PUT", "url": url}}


def transaction(some: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """https://hl7.org/fhir/R4/http.html#transaction"""
    return {"resourceType": "Bundle", "type": "transaction", "entry": list(some)}


def requests(count: int) -> dict[str, list[Request]]:
    """What is measured over the data set; always the same, and up to 200 of each."""
    some = random.Random(5).sample(range(count), min(200, count))
    codes = [number // SHARING for number in some]
    posts = [
        {"resource": medication(f"%n-{number}", WRITTEN, 0), "request": {"method": "POST", "url": "Medication"}}
        for number in range(20)
    ]
    new = json.dumps(medication("%n", WRITTEN, 0))
    updates = [json.dumps(medication("%n", WRITTEN, 0) | {"id": f"bench-u{number}"}) for number in range(50)]
    return {
        "read": [Request("GET", f"Medication/bench-m{number}") for number in some],
        "token": [Request("GET", f"Medication?code={SYSTEM}%7Cc{code}") for code in codes],
        "string": [Request("GET", f"Organization?name=maker{number // PRODUCTS}") for number in some],
        "_include": [
            Request("GET", f"Medication?code={SYSTEM}%7Cc{code}&_include=Medication:manufacturer") for code in codes
        ],
        "create": [Request("POST", "Medication", new)],
        "update": [Request("PUT", f"Medication/bench-u{at}", body) for at, body in enumerate(updates)],
        "transaction of 20": [Request("POST", "", json.dumps(transaction(posts)))],
    }


def load(server: Server, count: int) -> float:
    """Send the data set in transactions; how many resources a second. Raises ClickException where one is refused."""
    every = list(entries(count))
    begin = time.perf_counter()
    for at in range(0, len(every), ENTRIES):
        body = json.dumps(transaction(every[at : at + ENTRIES])).encode()
        headers = {"Content-Type": "application/fhir+json", "Accept": "application/fhir+json"}
        _fetch(urllib.request.Request(server.base, body, headers))
    return len(every) / (time.perf_counter() - begin)


def _fetch(request: urllib.request.Request) -> bytes:
    try:
        with urllib.request.urlopen(request, timeout=300) as answer:
            return bytes(answer.read())
    except OSError as error:
        said = error.read()[:300] if isinstance(error, urllib.error.HTTPError) else b""
        raise click.ClickException(f"{request.full_url}: {error} {said.decode(errors='replace')}".strip()) from None


def check(server: Server, count: int) -> None:
    """See that a server finds what it is asked for, before its speed is worth anything."""
    for name, wanted in (("token", SHARING), ("string", 1), ("_include", SHARING + 1)):
        path = requests(count)[name][0].path
        headers = {"Accept": "application/fhir+json", "Cache-Control": "no-cache"}
        found = json.loads(_fetch(urllib.request.Request(f"{server.base}/{path}", headers=headers)))
        if len(found.get("entry", [])) != wanted:
            raise click.ClickException(
                f"{server.base}/{path} has {len(found.get('entry', []))} entries and not {wanted}"
            )


class Load:
    """Sends one kind of request to one server."""

    def __init__(self, server: Server, asked: Sequence[Request], connections: int, folder: Path) -> None:
        parts = urlsplit(server.base)
        self._server, self._address, self._connections = server, f"{parts.scheme}://{parts.netloc}", connections
        self._what = f"{server.name}, {asked[0].method} {asked[0].path}".rstrip()
        self._file = folder / f"{len(list(folder.iterdir()))}.requests"
        lines = ((one.method, f"{parts.path}/{one.path}".rstrip("/"), one.unless, one.body) for one in asked)
        self._file.write_text("".join("\t".join(one) + "\n" for one in lines))

    def sample(self, seconds: int) -> Sample:
        """The rate and the latencies of so many seconds; where nothing was answered yet, zeros. Raises ClickException
        where a request was refused.
        """
        # What is written is new each time, since the clock goes on.
        command = [*http.load(self._connections, seconds, SCRIPT), self._address, "--", str(self._file)]
        before = self._server.processor_seconds()
        done = subprocess.run([*command, str(time.time_ns() // 1000)], capture_output=True, text=True, check=True)
        used = self._server.processor_seconds() - before
        try:
            found = parse_wrk(done.stdout)
        except RuntimeError as error:
            raise click.ClickException(f"{self._what}: {error}") from None
        return replace(found, cpu=used * 1e6 / (found.rate * seconds) if found.rate else 0.0)

    def measure(self, seconds: int) -> Sample:
        """A sample that counts. Raises ClickException where nothing was answered, too: that is no rate."""
        found = self.sample(seconds)
        if not found.rate:
            raise click.ClickException(f"{self._what}: answered nothing within {seconds} s: see --seconds")
        return found

    def warm_up(self, seconds: int, most: int) -> str:
        """Send until the rate is steady, for at most so many samples; how that went. Where processor time is known it
        is the rate by that: a compiler that still works shows in it, and other work on the machine does not.
        """
        rates: list[float] = []
        while len(rates) < most and not steady(rates):
            found = self.sample(seconds)
            rates.append(1e6 / found.cpu if found.cpu else found.rate)
        return f"{'steady' if steady(rates) else 'not steady'} after {len(rates)} samples"


def steady(rates: Sequence[float]) -> bool:
    """Whether the last three of some rates are alike. That nothing was answered yet is no rate."""
    last = rates[-3:]
    return len(last) == 3 and min(last) > 0 and max(last) - min(last) <= STEADY * max(last)


class Row(NamedTuple):
    """The medians of one kind of request on one server. `ratio` is that of our rate to its rate within each round, and
    `cpu_ratio` that of its processor time for a request to ours; 0 where it is not known.
    """

    request: str
    server: str
    rate: float
    p50: float
    p99: float
    cpu: float
    ratio: float
    cpu_ratio: float


def summarize(request: str, rounds: Sequence[dict[str, Sample]], ours: str) -> list[Row]:
    """`rounds` have a sample of each server by its name."""
    return [
        Row(
            request,
            name,
            rate=median(each[name].rate for each in rounds),
            p50=median(each[name].p50 for each in rounds),
            p99=median(each[name].p99 for each in rounds),
            cpu=median(each[name].cpu for each in rounds),
            ratio=median(each[ours].rate / each[name].rate for each in rounds),
            cpu_ratio=median(each[name].cpu / each[ours].cpu if each[ours].cpu else 0.0 for each in rounds),
        )
        for name in rounds[0]
    ]


@click.command()
@click.argument("urls", nargs=-1, required=True)
@click.option("--rounds", default=5, show_default=True, help="How often everything is measured.")
@click.option("--seconds", default=3, show_default=True, help="How long each measurement takes.")
@click.option("--warmings", default=20, show_default=True, help="How many measurements until it is steady, at most.")
@click.option("--only", multiple=True, help="What to measure, by its name in the table. May stand again; default: all.")
@click.option("--resources", default=5000, show_default=True, help="How many Medications to load into each server.")
@click.option("--connections", default=4, show_default=True, help="Clients at once.")
@click.option("--workers", default=2, show_default=True, help="Processes of our server.")
@click.option("--database", help="URL of an EMPTY database of our server. Default: a temporary SQLite file.")
@click.option("--pid", "pids", multiple=True, type=int, help="Process id of the server at each URL, in the same order.")
@click.option("--database-pid", default=0, help="Process id of the PostgreSQL server that all of them use.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def main(
    urls: tuple[str, ...],
    rounds: int,
    seconds: int,
    warmings: int,
    only: tuple[str, ...],
    resources: int,
    connections: int,
    workers: int,
    database: str | None,
    pids: tuple[int, ...],
    database_pid: int,
    as_json: bool,
) -> None:
    """Measure FHIR R4 servers, each by the URL of its base, beside this one. Their content grows by what is sent.

    With their process ids, which must be of this machine, the processor time for a request is measured as well.
    """
    if len(pids) > len(urls):
        raise click.BadParameter("there are more of them than URLs", param_hint="--pid")
    shared = [database_pid] if database_pid else []
    for pid in (*pids, *shared):
        if not Path(f"/proc/{pid}/stat").exists():
            raise click.BadParameter(f"{pid} is no process of this machine", param_hint="--pid, --database-pid")
    servers.require_wrk()
    with tempfile.TemporaryDirectory(prefix="apothecary-benchmark-") as temporary, ExitStack() as stack:
        folder = Path(temporary)
        for name in ("content", "requests"):
            (folder / name).mkdir()
        port = servers.free_port()
        url = database or f"sqlite:///{folder / 'benchmark.db'}"
        command = servers.apothecary(port, folder / "content", url, workers, connections, cache_bytes=0)
        running = stack.enter_context(servers.running(command, port, "/readyz"))
        ours = Server("apothecary", f"http://{servers.HOST}:{port}/fhir/r4", [running.group, *shared])
        others = zip_longest(urls, pids)
        measured = [ours, *(Server(url, url.rstrip("/"), [pid, *shared] if pid else []) for url, pid in others)]
        for one in measured:
            click.echo(f"{one.name}: loaded {load(one, resources):.0f} resources/s", err=True)
            check(one, resources)
        rows: list[Row] = []
        chosen = {name: asked for name, asked in requests(resources).items() if not only or name in only}
        try:
            for name, asked in chosen.items():
                loads = {one.name: Load(one, asked, connections, folder / "requests") for one in measured}
                for server, sent in loads.items():
                    click.echo(f"{name}: {server} is {sent.warm_up(seconds, warmings)}", err=True)
                rounded = [{server: sent.measure(seconds) for server, sent in loads.items()} for _ in range(rounds)]
                rows += summarize(name, rounded, ours.name)
        finally:
            # What was measured before a server refused a request took minutes, and stands.
            click.echo(json.dumps([row._asdict() for row in rows], indent=2) if as_json else table(rows))


def table(rows: Sequence[Row]) -> str:
    """`rows` for people; processor time in milliseconds."""
    names = ("req/s", "p50 ms", "p99 ms", "cpu ms", "ours", "by cpu")
    lines = [f"{'':<20}{'':<32}" + "".join(f"{name:>10}" for name in names)]
    lines += [
        f"{r.request:<20}{r.server[:31]:<32}{r.rate:>10.0f}{r.p50:>10.2f}{r.p99:>10.2f}{r.cpu / 1000:>10.2f}"
        f"{r.ratio:>9.1f}x{r.cpu_ratio:>9.1f}x"
        for r in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
