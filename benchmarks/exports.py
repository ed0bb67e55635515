"""What an export of very many resources costs: processor time, and memory beside the database's own cache.

    python -m benchmarks.exports --resources 1000000

The resources are rows of a temporary SQLite file, without an index, which an export does not read.
"""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path

import click
import sqlalchemy

from apothecary.app import make_service
from apothecary.bulk.exports import Asking, Exports
from apothecary.bulk.job import read
from apothecary.bulk.worker import Worker
from apothecary.fhir.json import dumps
from apothecary.fhir.releases import FhirVersion
from apothecary.settings import Settings
from apothecary.store.bulk import Bulk
from apothecary.store.contract import Store
from apothecary.store.open import open_store
from apothecary.store.tables import resource

MOMENT = 1_700_000_000_000_000


def row(number: int) -> dict[str, object]:
    """A Medication of some 600 bytes, as it is stored."""
    strength = {"numerator": {"value": number % 40 * 5 + 5, "unit": "mg"}, "denominator": {"value": 1}}
    identity = f"m{number:08}"
    body = {
        "resourceType": "Medication",
        "id": identity,
        "meta": {"versionId": "1", "lastUpdated": "2023-11-14T22:13:20.000Z"},
        "identifier": [{"system": "urn:example:generated", "value": str(number)}],
        "code": {
            "coding": [{"system": "http://hl7.org/fhir/sid/ndc", "code": f"{number % 99991:05}-{number % 9973:04}"}],
            "text": f"Generated Drug {number}",
        },
        "status": "active",
        "doseForm": {"text": "TABLET"},
        "ingredient": [{"item": {"concept": {"text": f"SUBSTANCE {number % 5000}"}}, "strengthRatio": strength}],
    }
    stored = {"type": "Medication", "id": identity, "version": 1, "updated": MOMENT, "fhir_version": "R5"}
    return {**stored, "deleted": False, "body": dumps(body)}


def anonymous() -> float:
    """The memory of this process in MB that is no file's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("RssAnon"))


def fill(url: str, resources: int) -> None:
    """Write so many rows into the database, which has its tables."""
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        for begin in range(0, resources, 10_000):
            some = range(begin, min(begin + 10_000, resources))
            connection.execute(resource.insert(), [row(number) for number in some])
    engine.dispose()


def measure(settings: Settings, store: Store) -> str:
    """Export everything in this process, without its rests; what it cost."""
    service, bulk = make_service(settings, store), Bulk(store)
    idle = Worker(service, bulk)
    idle.stop()
    base = "http://localhost/fhir/r5"
    identity = Exports(service, bulk, idle).kick_off(
        Asking(service), FhirVersion.R5, base, f"{base}/$export", [], lenient=False
    )
    worker = Worker(service, bulk)
    worker.pause = lambda _: None
    peak = anonymous()
    over = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.02):
            peak = max(peak, anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    begun = time.process_time()
    worker.run()
    spent = time.process_time() - begun
    over.set()
    watcher.join()
    row = bulk.job(identity)
    assert row is not None
    job = read(row.data)
    size = sum(one.size for one in job.files) / 1e6
    return (
        f"{job.resources} resources, {size:.0f} MB in {len(job.files)} files: {spent:.1f} s of processor time, "
        f"{peak:.0f} MB of memory at its peak"
    )


@click.command()
@click.option("--resources", default=1_000_000, show_default=True)
@click.option("--cache", default=2, show_default=True, help="Megabytes that SQLite keeps for each thread.")
def main(resources: int, cache: int) -> None:
    """Measure one export of so many resources."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(database=f"sqlite:///{folder}/export.db", content="", sqlite_cache=cache)
        store = open_store(settings)
        fill(settings.database, resources)
        click.echo(measure(settings, store))
        store.close()


if __name__ == "__main__":
    main()
