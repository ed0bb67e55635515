"""The processor time of a request inside the application, without a web server, beside that of a bare Flask app.

It says less than `benchmarks.http` of what clients see, and more of a change: what else a machine does hardly counts.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import click
import psycopg

from apothecary.app import create_app
from apothecary.settings import Settings
from apothecary.store.url import conninfo, database_url
from benchmarks import bare, content

NUMBERS = range(200)


class Asked(NamedTuple):
    """A request: a path, and what is sent to it."""

    path: str
    method: str = "GET"
    body: bytes = b""


def environ(asked: Asked) -> dict[str, Any]:
    """What a WSGI server hands over for a request by loopback: https://peps.python.org/pep-3333/#environ-variables"""
    address, _, query = asked.path.partition("?")
    sent = {"CONTENT_LENGTH": str(len(asked.body)), "CONTENT_TYPE": "application/fhir+json"} if asked.body else {}
    return {
        "REQUEST_METHOD": asked.method,
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
        "wsgi.input": BytesIO(asked.body),
        **sent,
    }


class Backends:
    """The processes of PostgreSQL that work for Apothecary, on this machine; none with SQLite."""

    def __init__(self, database: str | None) -> None:
        self._connection = None
        if database is not None and database.startswith("postgresql"):
            self._connection = psycopg.connect(conninfo(database_url(database)), autocommit=True)

    def seconds(self) -> float:
        """Their processor time so far: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html"""
        if self._connection is None:
            return 0.0
        asked = (
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'apothecary' AND datname = current_database()"
        )
        numbers = [number for (number,) in self._connection.execute(asked).fetchall()]
        fields = [Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split() for number in numbers]
        return sum(int(one[11]) + int(one[12]) for one in fields) / os.sysconf("SC_CLK_TCK")


def microseconds(
    app: Any, asked: Sequence[Asked], rounds: int, requests: int = 2000, backends: Backends | None = None
) -> tuple[float, float]:
    """The processor time of a request, and what the backends have for it: the least of the first, the mean of the
    second over all `rounds`, each of which sends so many requests in turn. What is sent is new in each round.
    """
    backends = backends or Backends(None)
    lines: list[str] = []
    best, at = float("inf"), 0
    before = backends.seconds()
    for _ in range(rounds):
        given = [environ(asked[(at + number) % len(asked)]) for number in range(requests)]
        at += requests
        begin = time.thread_time()
        for one in given:
            b"".join(app(one, lambda line, *_: lines.append(line)))
        best = min(best, (time.thread_time() - begin) / requests)
    if not {line[:3] for line in lines} <= {"200", "201"}:
        raise click.ClickException(f"not every answer was 200: {sorted(set(lines))}")
    return best * 1e6, (backends.seconds() - before) / (rounds * requests) * 1e6


def reads() -> dict[str, list[Asked]]:
    """What is asked for again and again."""
    paths = {
        "read": [f"/fhir/Medication/m{number}" for number in NUMBERS],
        "vread": [f"/fhir/Medication/m{number}/_history/1" for number in NUMBERS],
        "search": [f"/fhir/Medication?code={content.SYSTEM}|{content.code_of(number)}" for number in NUMBERS],
        "metadata": ["/fhir/metadata"],
    }
    return {name: [Asked(path) for path in some] for name, some in paths.items()}


def writes(count: int) -> dict[str, list[Asked]]:
    """What changes something each time."""

    def body(number: int, identity: str | None = None) -> bytes:
        # The numbers are none of those that are searched for.
        made = content.medication(1_000_000 + number)
        made.pop("id")
        return json.dumps(made if identity is None else made | {"id": identity}).encode()

    def bundle(number: int) -> bytes:
        entries = [
            {"resource": json.loads(body(number * 100 + at)), "request": {"method": "POST", "url": "Medication"}}
            for at in range(100)
        ]
        return json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}).encode()

    return {
        "create": [Asked("/fhir/Medication", "POST", body(number)) for number in range(count)],
        "update": [Asked(f"/fhir/Medication/m{at % 20}", "PUT", body(at, f"m{at % 20}")) for at in range(count)],
        "of 100": [Asked("/fhir", "POST", bundle(number)) for number in range(count // 100)],
    }


@click.command()
@click.option("--rounds", default=7, show_default=True, help="How often everything is measured.")
@click.option("--database", help="URL of an EMPTY database. Default: a temporary SQLite file.")
def main(rounds: int, database: str | None) -> None:
    """Measure reads, a token search with five hits and writes; the processor time of PostgreSQL stands beside ours."""
    with tempfile.TemporaryDirectory(prefix="apothecary-benchmark-") as temporary:
        url = database or f"sqlite:///{Path(temporary) / 'benchmark.db'}"
        computing = create_app(Settings(database=url, content="", cache_bytes=0))
        client = computing.test_client()
        for number in NUMBERS:
            client.put(f"/fhir/Medication/m{number}", json=content.medication(number))
        cached = create_app(Settings(database=url, content=""))
        backends = Backends(database)
        click.echo(f"{'us':<10}{'computed':>10}{'database':>10}{'again':>10}{'database':>10}")
        click.echo(f"{'bare':<10}{microseconds(bare.app, [Asked('/')], rounds)[0]:>10.0f}")
        for name, some in reads().items():
            found = [microseconds(app, some, rounds, backends=backends) for app in (computing, cached)]
            click.echo(f"{name:<10}" + "".join(f"{one:>10.0f}" for pair in found for one in pair))
        for name, some in writes(rounds * 200).items():
            own, theirs = microseconds(computing, some, rounds, len(some) // rounds, backends)
            click.echo(f"{name:<10}{own:>10.0f}{theirs:>10.0f}")
        for app in (computing, cached):
            app.service.store.close()


if __name__ == "__main__":
    main()
