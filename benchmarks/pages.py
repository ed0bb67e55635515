"""What a monograph page costs, beside the JSON of its resource and beside the JSON of all that it shows.

Processor time of a request inside the application, without a web server: the least of several rounds, in which all are
asked in turn, so that what else a machine does hardly counts.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from apothecary.app import create_app
from apothecary.content.sync import sync
from apothecary.settings import Settings
from apothecary.store.open import open_store
from benchmarks.in_process import Asked, environ

DRUG = "/fhir/MedicationKnowledge/clonazepam"
# All that the page shows: what the drug refers to, what that refers to, and what the editors questioned.
SHOWN = (
    "/fhir/MedicationKnowledge?_id=clonazepam&_include=*&_include:iterate=ClinicalUseDefinition:*"
    "&_revinclude:iterate=ArtifactAssessment:artifact"
)
STATEMENT = "/fhir/ClinicalUseDefinition/panic-disorder"
HTML = {"HTTP_ACCEPT": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


class Server:
    """The application over the content in a database of its own."""

    def __init__(self, folder: Path, cache: int, database: str | None = None) -> None:
        url = database or f"sqlite:///{folder / f'{cache}.db'}"
        settings = Settings(database=url, content="resources", cache_bytes=cache)
        self._store = open_store(settings)
        sync(settings, self._store)
        self.app: Any = create_app(settings, self._store)

    def ask(self, path: str, more: dict[str, str] | None = None, method: str = "GET", body: bytes = b"") -> bytes:
        """The body of an answer, which must be a good one."""
        status = ""

        def started(line: str, headers: list[tuple[str, str]], error: Any = None) -> Callable[[bytes], object]:
            nonlocal status
            status = line
            return lambda _: None

        answer = b"".join(self.app.wsgi_app(environ(Asked(path, method, body)) | (more or {}), started))
        if not status.startswith("2"):
            raise click.ClickException(f"{method} {path}: {status} {answer[:900]!r}")
        return answer

    def change(self) -> None:
        """Write another version of one statement that the page shows."""
        statement = json.loads(self.ask(STATEMENT))
        statement["meta"] = {"tag": [{"code": str(time.time_ns())}]}
        self.ask(STATEMENT, {}, "PUT", json.dumps(statement).encode())

    def forget(self) -> None:
        """Forget every page and part of one."""
        self.app.service.pages.clear()


def milliseconds(work: Callable[[], object], times: int, before: Callable[[], object] | None = None) -> float:
    """The processor time of `work`, each time after `before`."""
    spent = 0.0
    for _ in range(times):
        if before is not None:
            before()
        begin = time.thread_time()
        work()
        spent += time.thread_time() - begin
    return spent / times * 1000


@click.command()
@click.option("--rounds", default=7, show_default=True)
@click.option("--database", help="URL of an empty PostgreSQL database; SQLite by default")
def main(rounds: int, database: str | None) -> None:
    """Print a table: milliseconds, and how many times the JSON of the resource and of all that is shown."""
    with tempfile.TemporaryDirectory() as folder:
        computed, given = Server(Path(folder), 0, database), Server(Path(folder), 64 * 1024 * 1024, database)
        for path, more in ((DRUG, {}), (DRUG, HTML), (SHOWN, {})) * 3:
            given.ask(path, more)
        parts: dict[str, Callable[[], float]] = {
            "JSON": lambda: milliseconds(lambda: computed.ask(DRUG), 50),
            "JSON of all that the page shows": lambda: milliseconds(lambda: computed.ask(SHOWN), 20),
            "page": lambda: milliseconds(lambda: computed.ask(DRUG, HTML), 50),
            "page, one statement changed": lambda: milliseconds(lambda: computed.ask(DRUG, HTML), 5, computed.change),
            "page, nothing kept": lambda: milliseconds(lambda: computed.ask(DRUG, HTML), 3, computed.forget),
            "JSON, given again": lambda: milliseconds(lambda: given.ask(DRUG), 200),
            "page, given again": lambda: milliseconds(lambda: given.ask(DRUG, HTML), 200),
        }
        least = dict.fromkeys(parts, float("inf"))
        for _ in range(rounds):
            for name, part in parts.items():
                least[name] = min(least[name], part())
        shown, whole = computed.ask(SHOWN), len(computed.ask(DRUG, HTML))
        resources = len(json.loads(shown)["entry"])
        click.echo(f"page: {whole} bytes; JSON: {len(computed.ask(DRUG))}, {resources} resources of {len(shown)} bytes")
        for name, took in least.items():
            again = name.endswith("given again")
            base = least["JSON, given again" if again else "JSON"]
            of_all = "" if again else f"{took / least['JSON of all that the page shows']:8.2f}"
            click.echo(f"{name:32}{took:9.3f} ms{took / base:8.2f}{of_all}")


if __name__ == "__main__":
    main()
