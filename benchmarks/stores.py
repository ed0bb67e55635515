"""What a request costs on PostgreSQL, and what it costs on SQLite: over HTTP, in turns of one run.

Processor time of the server and, on PostgreSQL, of the database server's processes for its connections, which must be
on this machine. No answer is given from the cache. Ratios are what to compare.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import click

from benchmarks import content, servers
from benchmarks.peers import PRODUCTS, Load, Request, Server, organization, transaction

CODE = f"code={content.SYSTEM}%7C"


class Cost(NamedTuple):
    """Processor time of one request in microseconds: of the server, and of the database server."""

    own: float
    database: float = 0.0


class Row(NamedTuple):
    """The medians of one kind of request; `ratio` is that of PostgreSQL's sum to SQLite's, within each round."""

    request: str
    sqlite: float
    own: float
    database: float
    ratio: float


def medication(number: int | str, maker: int = 0) -> dict[str, Any]:
    """That of `content`, with a holder to include: https://hl7.org/fhir/R5/medication.html"""
    made = content.medication(number if isinstance(number, int) else 0)
    if not isinstance(number, int):
        made["identifier"][0]["value"] = number
        made["code"]["coding"][0]["code"] = "new"
    return made | {"marketingAuthorizationHolder": {"reference": f"Organization/bench-o{maker}"}}


def write(folder: Path, count: int) -> None:
    """Write the data set into `folder`, in the layout of a content folder."""
    made = [organization(number) for number in range(-(-count // PRODUCTS))]
    made += [medication(number, number // PRODUCTS) for number in range(count)]
    for one in made:
        path = folder / one["resourceType"] / f"{one['id']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(one))


def requests(count: int) -> dict[str, list[Request]]:
    """What is measured over the data set; always the same, and up to 200 of each. `%n` is another number each time."""
    some = random.Random(5).sample(range(count), min(200, count))

    def get(pattern: str) -> list[Request]:
        named = [{"id": f"m{n}", "code": CODE + content.code_of(n), "maker": n // PRODUCTS} for n in some]
        return [Request("GET", pattern.format(**one)) for one in named]

    def body() -> str:
        new = medication("product-%n")
        new.pop("id")
        return json.dumps(new)

    def put(number: int) -> Request:
        """An update to what is found by the same."""
        changed = medication(number, number // PRODUCTS) | {"doseForm": {"text": "tablet %n"}}
        return Request("PUT", f"Medication/m{number}", json.dumps(changed))

    created = {"resource": json.loads(body()), "request": {"method": "POST", "url": "Medication"}}
    updated = [put(number) for number in some]
    deleted = [*(Request("DELETE", one.path) for one in updated), *updated]
    unless = "identifier=https://example.org/products%7Cproduct-%n"
    holder = "Medication:marketingauthorizationholder"
    return {
        "read": get("Medication/{id}"),
        "vread": get("Medication/{id}/_history/1"),
        "history": get("Medication/{id}/_history"),
        "token search": get("Medication?{code}"),
        "two parts": get("Medication?{code}&status=active"),
        "_total=accurate": get("Medication?{code}&_total=accurate"),
        "_sort": get("Medication?{code}&_sort=-_lastUpdated"),
        "_include": get(f"Medication?{{code}}&_include={holder}"),
        "_revinclude": get(f"Organization?name=maker{{maker}}%20limited&_revinclude={holder}&_count=5"),
        "chain": get("Medication?marketingauthorizationholder.name=maker{maker}%20limited&_count=5"),
        "_has": get("Organization?_has:Medication:marketingauthorizationholder:{code}"),
        "create": [Request("POST", "Medication", body())],
        "conditional create": [Request("POST", "Medication", body(), unless)],
        "update": updated,
        "transaction of 1": [Request("POST", "", json.dumps(transaction([created])))],
        "transaction of 20": [Request("POST", "", json.dumps(transaction([created] * 20)))],
        # The last, since little is left for others. Every other one is a delete.
        "delete and create": deleted,
    }


class Measured:
    """One of both servers."""

    def __init__(self, running: servers.Running, base: str, database: str) -> None:
        self.at = Server(database.partition(":")[0], base)
        self._running, self._database = running, database

    def _seconds(self) -> Cost:
        return Cost(self._running.processor_seconds(), servers.database_seconds(self._database))

    def cost(self, load: Load, seconds: int) -> Cost:
        """What a request costs, while `load` is sent for so long. Raises RuntimeError where one was refused."""
        before = self._seconds()
        sent = max(1.0, load.sample(seconds).rate * seconds)
        used = (one - other for one, other in zip(self._seconds(), before, strict=True))
        return Cost(*(one / sent * 1e6 for one in used))


def summarize(request: str, rounds: Sequence[tuple[Cost, Cost]]) -> Row:
    """`rounds` have what one kind of request cost on SQLite and on PostgreSQL."""
    return Row(
        request,
        median(sum(sqlite) for sqlite, _ in rounds),
        median(postgresql.own for _, postgresql in rounds),
        median(postgresql.database for _, postgresql in rounds),
        median(sum(postgresql) / sum(sqlite) for sqlite, postgresql in rounds if sum(sqlite)),
    )


@click.command()
@click.argument("database")
@click.option("--rounds", default=5, show_default=True, help="How often everything is measured.")
@click.option("--seconds", default=2, show_default=True, help="How long each measurement takes.")
@click.option("--only", multiple=True, help="What to measure, by its name in the table. May stand again; default: all.")
@click.option("--resources", default=5000, show_default=True, help="How many Medications to serve.")
@click.option("--connections", default=4, show_default=True, help="Clients at once.")
@click.option("--workers", default=1, show_default=True, help="Processes of each server.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def main(
    database: str,
    rounds: int,
    seconds: int,
    only: tuple[str, ...],
    resources: int,
    connections: int,
    workers: int,
    as_json: bool,
) -> None:
    """Measure a server on the EMPTY PostgreSQL database of a URL, and one on a temporary SQLite file."""
    servers.require_wrk()
    with tempfile.TemporaryDirectory(prefix="apothecary-benchmark-") as temporary, ExitStack() as stack:
        folder = Path(temporary)
        write(folder / "content", resources)
        (folder / "requests").mkdir()
        both = []
        for url in (f"sqlite:///{folder / 'benchmark.db'}", database):
            port = servers.free_port()
            command = servers.apothecary(port, folder / "content", url, workers, connections, cache_bytes=0)
            running = stack.enter_context(servers.running(command, port, "/readyz"))
            both.append(Measured(running, f"http://{servers.HOST}:{port}/fhir", url))
        rows = []
        for name, asked in requests(resources).items():
            if only and name not in only:
                continue
            loads = [Load(one.at, asked, connections, folder / "requests") for one in both]
            for one, load in zip(both, loads, strict=True):
                one.cost(load, 1)  # warms up caches and connections
            (sqlite, postgresql), (first, second) = both, loads
            costs = [(sqlite.cost(first, seconds), postgresql.cost(second, seconds)) for _ in range(rounds)]
            rows.append(summarize(name, costs))
            if not as_json:
                click.echo(("" if len(rows) > 1 else f"{HEAD}\n") + line(rows[-1]))
    if as_json:
        click.echo(json.dumps([row._asdict() for row in rows], indent=2))


HEAD = f"{'us':<20}{'SQLite':>10}{'PostgreSQL':>12}{'+ database':>12}{'ratio':>8}"


def line(row: Row) -> str:
    """A row for people."""
    return f"{row.request:<20}{row.sqlite:>10.0f}{row.own:>12.0f}{row.database:>12.0f}{row.ratio:>8.2f}"


if __name__ == "__main__":
    main()
