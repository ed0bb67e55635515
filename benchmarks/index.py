"""What the index costs that R4 and R4B find by their own parameters: rows, and the time to make them.

Each resource is read twice in one run: with the parameters of R5 alone, and with those of all releases. Compare the
ratios; the times belong to the machine. The resources are R5, so the older forms have to be made: what is written in R4
needs one conversion in either case.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import click

from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import parse
from apothecary.fhir.releases import FhirVersion
from apothecary.search.defined import Defining, Own
from apothecary.search.parameters import Registry
from apothecary.search.registries import make_registries
from apothecary.search.rows import ContainedRow, Indexed
from apothecary.settings import Settings
from benchmarks.writes import medication
from scripts.search_keys.generate import resources

# Types whose parameters differ most, served with APOTHECARY_RESOURCE_TYPES=*.
DIFFERENT = ("Consent", "Encounter", "MedicationRequest", "PractitionerRole", "Procedure")
CONTENT = Path(__file__).resolve().parents[1] / "resources"


def samples() -> dict[str, list[dict[str, Any]]]:
    """R5 resources by type: those of the content, plain Medications, and some that fill every element."""
    found = {"Medication (simple)": [medication(number) for number in range(50)]}
    for path in sorted(CONTENT.glob("[A-Z]*/*.json")):
        found.setdefault(path.parent.name, []).append(parse(path.read_bytes()))
    for name in DIFFERENT:
        found[f"{name} (filled)"] = list(islice(resources(FhirVersion.R5, name), 20))
    return found


def count(rows: Sequence[Indexed]) -> int:
    """Rows of the index, those of contained resources among them."""
    return sum(len(row.rows) if isinstance(row, ContainedRow) else 1 for row in rows)


def seconds(works: Sequence[Callable[[], object]], runs: int) -> list[float]:
    """The median processor time of each, run in turn."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(runs):
        for work, taken in zip(works, times, strict=True):
            begin = time.process_time()
            work()
            taken.append(time.process_time() - begin)
    return [statistics.median(taken) for taken in times]


def reading(registry: Registry, some: Sequence[dict[str, Any]]) -> Callable[[], list[list[Indexed]]]:
    """Makes the rows of all of them."""
    return lambda: [registry.rows(one) for one in some]


@click.command()
@click.option("--runs", default=15, show_default=True, help="How often each is measured.")
def main(runs: int) -> None:
    """Print rows and microseconds for each resource, with R5 alone and with all releases."""
    settings = Settings(resource_types="*")
    parameters = [Defining(parse(path.read_bytes())) for path in sorted((CONTENT / "SearchParameter").glob("*.json"))]
    types = definitions(FhirVersion.R5).resource_types()
    alone = Registry(FhirVersion.R5, types, Own(parameters, {FhirVersion.R5: frozenset(types)}))
    every = make_registries(settings, parameters)[FhirVersion.R5]
    click.echo(f"{'':<26}{'R5: rows':>10}{'µs':>8}{'all: rows':>12}{'µs':>8}{'rows':>8}{'time':>7}")
    for name, some in samples().items():
        works = [reading(alone, some), reading(every, some)]
        rows = [sum(count(one) for one in work()) / len(some) for work in works]
        took = [one / len(some) * 1e6 for one in seconds(works, runs)]
        line = f"{name:<26}{rows[0]:>10.1f}{took[0]:>8.0f}{rows[1]:>12.1f}{took[1]:>8.0f}"
        click.echo(f"{line}{rows[1] / rows[0]:>8.2f}{took[1] / took[0]:>7.2f}")


if __name__ == "__main__":
    main()
