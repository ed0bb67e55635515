"""The processor time of a request inside the application, without a web server, beside that of a bare Flask app.

It says less than `benchmarks.http` of what clients see, and more of a change: what else a machine does hardly counts.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import click

from apothecary.app import create_app
from apothecary.settings import Settings
from benchmarks import bare, content

NUMBERS = range(200)


def environ(path: str) -> dict[str, Any]:
    """What a WSGI server hands over for a GET by loopback: https://peps.python.org/pep-3333/#environ-variables"""
    address, _, query = path.partition("?")
    return {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": address,
        "QUERY_STRING": query,
        "SCRIPT_NAME": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1:8080",
        "HTTP_ACCEPT": "application/fhir+json",
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(),
    }


def microseconds(app: Any, paths: Iterable[str], rounds: int, requests: int = 2000) -> float:
    """The least processor time of a request, over `rounds`, each of which asks for all paths in turn."""
    given = [environ(path) for path in paths]
    lines: list[str] = []
    best = float("inf")
    for _ in range(rounds):
        asked = [dict(given[number % len(given)]) for number in range(requests)]
        begin = time.thread_time()
        for one in asked:
            b"".join(app(one, lambda line, *_: lines.append(line)))
        best = min(best, (time.thread_time() - begin) / requests)
    if {line[:3] for line in lines} != {"200"}:
        raise click.ClickException(f"not every answer was 200: {sorted(set(lines))}")
    return best * 1e6


@click.command()
@click.option("--rounds", default=7, show_default=True, help="How often everything is measured.")
@click.option("--database", help="URL of an EMPTY database. Default: a temporary SQLite file.")
def main(rounds: int, database: str | None) -> None:
    """Measure reads and a token search with five hits, computed and given again."""
    with tempfile.TemporaryDirectory(prefix="apothecary-benchmark-") as temporary:
        url = database or f"sqlite:///{Path(temporary) / 'benchmark.db'}"
        computing = create_app(Settings(database=url, content="", cache_bytes=0))
        client = computing.test_client()
        for number in NUMBERS:
            client.put(f"/fhir/Medication/m{number}", json=content.medication(number))
        cached = create_app(Settings(database=url, content=""))
        paths = {
            "read": [f"/fhir/Medication/m{number}" for number in NUMBERS],
            "vread": [f"/fhir/Medication/m{number}/_history/1" for number in NUMBERS],
            "search": [f"/fhir/Medication?code={content.SYSTEM}|{content.code_of(number)}" for number in NUMBERS],
            "metadata": ["/fhir/metadata"],
        }
        click.echo(f"{'us':<10}{'computed':>10}{'again':>10}")
        click.echo(f"{'bare':<10}{microseconds(bare.app, ['/'], rounds):>10.0f}")
        for name, some in paths.items():
            first, again = (microseconds(app, some, rounds) for app in (computing, cached))
            click.echo(f"{name:<10}{first:>10.0f}{again:>10.0f}")
        for app in (computing, cached):
            app.service.store.close()


if __name__ == "__main__":
    main()
