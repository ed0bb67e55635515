"""How fast resources are written, through the whole application: creates one by one, and transactions.

The requests go through the app without a network: what is measured is reading, validating, indexing and storing, and
the commit. Each runs for some seconds on an empty database.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

import click
from werkzeug.test import Client

from apothecary.app import create_app
from apothecary.settings import Settings
from apothecary.store.open import open_store

# Writes are open to who comes from this machine only.
LOOPBACK = {"REMOTE_ADDR": "127.0.0.1"}
HEADERS = {"Content-Type": "application/fhir+json", "Prefer": "return=minimal"}
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"


@dataclass(frozen=True)
class Result:
    """Resources a second, in one way of writing."""

    name: str
    rate: float
    requests: int


def medication(number: int) -> dict[str, Any]:
    """A simple resource with what a Medication usually says."""
    return {
        "resourceType": "Medication",
        "identifier": [{"system": "http://example.org/sku", "value": f"sku-{number}"}],
        "code": {"coding": [{"system": RXNORM, "code": str(number)}], "text": f"Medication {number}"},
        "status": "active",
        "doseForm": {"coding": [{"system": "http://snomed.info/sct", "code": "385049006"}]},
    }


def transaction(numbers: range) -> str:
    """A transaction that creates a Medication for each number."""
    request = {"method": "POST", "url": "Medication"}
    entries = [{"resource": medication(number), "request": request} for number in numbers]
    return json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})


def measure(name: str, client: Client, path: str, size: int, body_of: Callable[[int], str], seconds: float) -> Result:
    """POST bodies of `size` resources to `path` for `seconds`; making them does not count. Raises RuntimeError where
    one is refused.
    """
    spent, requests = 0.0, 0
    for number in count():
        body = body_of(number)
        begin = time.perf_counter()
        answer = client.post(path, data=body, headers=HEADERS, environ_base=LOOPBACK)
        took = time.perf_counter() - begin
        if answer.status_code not in (200, 201):
            raise RuntimeError(f"{name}: {answer.status} {answer.get_data(as_text=True)[:500]}")
        if number:  # the first compiles and caches
            spent, requests = spent + took, requests + 1
        if spent > seconds:
            break
    return Result(name, requests * size / spent, requests)


def run(database: str, seconds: float, entries: int) -> list[Result]:
    """Measure on one database, which must be empty."""
    settings = Settings(database=database, content="")
    store = open_store(settings)
    try:
        client = Client(create_app(settings, store))
        return [
            measure("create", client, "/fhir/Medication", 1, lambda number: json.dumps(medication(number)), seconds),
            measure(
                f"transaction of {entries}",
                client,
                "/fhir",
                entries,
                lambda number: transaction(range(number * entries, (number + 1) * entries)),
                seconds,
            ),
        ]
    finally:
        store.close()


@click.command()
@click.option("--seconds", default=5.0, show_default=True, help="How long each measurement takes.")
@click.option("--entries", default=1000, show_default=True, help="Entries of a transaction.")
@click.option("--database", help="URL of an EMPTY database. Default: a temporary SQLite file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def main(seconds: float, entries: int, database: str | None, as_json: bool) -> None:
    """Measure creates and transactions, in resources a second."""
    with tempfile.TemporaryDirectory(prefix="apothecary-benchmark-") as folder:
        results = run(database or f"sqlite:///{Path(folder) / 'benchmark.db'}", seconds, entries)
    if as_json:
        click.echo(json.dumps([asdict(result) for result in results], indent=2))
    else:
        click.echo("\n".join(f"{result.name:<24}{result.rate:>10.0f} resources/s" for result in results))


if __name__ == "__main__":
    main()
