"""The validator beside what else checks resources: `python -m benchmarks.validators [--json] [--no-java]`.

In Python: one MedicationKnowledge of about 2 kB, one core, given parsed. What the others check is less: fhir.resources
checks structure and types, the JSON Schemas what a schema can say; neither checks invariants, references or codes of a
CodeableConcept. `pip install fhirkit-rs` adds one more (R4).

In Java: HL7's own engine, on the same files, where Java and Maven are installed: one file from a cold start, and each
of many once it is warm, reading included on both sides.
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import click
import jsonschema
import jsonschema_rs
from fhir.resources.medicationknowledge import MedicationKnowledge

from apothecary.fhir.json import dumps, parse
from apothecary.fhir.releases import FhirVersion
from apothecary.validation import validate
from apothecary.validation.schema import json_schema
from benchmarks.reference.engine import Missing, Reference, build, cost
from benchmarks.validation import knowledge

# So many files are checked before time counts, and so many after: Java compiles what is hot as it runs.
WARM_UP, MEASURED = 200, 200
OURS = [sys.executable, "-c", "from apothecary.cli import main; main()", "validate", "--quiet", "--jobs", "1"]


def rate(check: Callable[[Any], object], resources: list[Any], at_least: float = 0.5) -> float:
    """Resources a second, over as many rounds as `at_least` seconds hold."""
    check(resources[0])
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < at_least:
        for one in resources:
            check(one)
        done += len(resources)
    return done / (time.perf_counter() - start)


def measure() -> dict[str, float]:
    """Resources a second of each validator, all given the parsed resource."""
    texts = [dumps(knowledge(number)) for number in range(50)]
    plain = [json.loads(text) for text in texts]
    schema = json_schema(FhirVersion.R5, "MedicationKnowledge")
    compiled = jsonschema_rs.validator_for(schema)
    reference = jsonschema.validators.validator_for(schema)(schema)
    found = {
        "apothecary, every base rule": rate(lambda one: validate(one, FhirVersion.R5), [parse(text) for text in texts]),
        "jsonschema-rs, our schema": rate(compiled.is_valid, plain),
        "fhir.resources": rate(MedicationKnowledge.model_validate, plain),
        "jsonschema, our schema": rate(reference.is_valid, plain[:5]),
    }
    try:
        fhirkit = importlib.import_module("fhirkit")
    except ImportError:
        return found
    found["fhirkit-rs (R4)"] = rate(fhirkit.validate, texts)
    return found


def beside(reference: Reference, files: int = WARM_UP + MEASURED) -> dict[str, dict[str, float]]:
    """What both cost on the same files: `cold` one file, process and all; `warm` the median of the last half of
    `files`, in milliseconds.
    """
    with tempfile.TemporaryDirectory(prefix="apothecary-benchmark-") as temporary:
        paths = [Path(temporary) / f"{number}.json" for number in range(files)]
        for number, path in enumerate(paths):
            path.write_text(json.dumps(knowledge(number)))
        found = {
            "apothecary": _cost([*OURS, str(paths[0])]),
            "HL7, Java": _cost(reference.command(FhirVersion.R5, str(paths[0]))),
        }
        ours = [_milliseconds(path) for path in paths]
        theirs = [one["milliseconds"] for one in reference.check(FhirVersion.R5, paths)]
    for name, times in zip(found, (ours, theirs), strict=True):
        found[name]["warm ms"] = median(times[len(times) // 2 :])
    return found


def _cost(command: list[str]) -> dict[str, float]:
    cost(command)  # The first run fills the file cache.
    wall, processor, megabytes = cost(command)
    return {"cold s": wall, "cold processor s": processor, "cold MB": megabytes}


def _milliseconds(path: Path) -> float:
    start = time.perf_counter()
    validate(parse(path.read_bytes()), FhirVersion.R5)
    return (time.perf_counter() - start) * 1000


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")
@click.option("--java/--no-java", default=True, help="Build and run HL7's engine, too.")
def main(as_json: bool, java: bool) -> None:
    """Measure each, and say how many times the validator is as fast."""
    found = measure()
    ours = next(iter(found.values()))
    both: dict[str, dict[str, float]] = {}
    if java:
        try:
            both = beside(build())
        except Missing as missing:
            click.echo(f"HL7's engine is not measured: {missing}", err=True)
    if as_json:
        click.echo(json.dumps({**found, **both}))
        return
    for name, per_second in found.items():
        click.echo(f"{name:30} {per_second:10,.0f}/s   {ours / per_second:8.2f}")
    for name, costs in both.items():
        click.echo(f"{name:30} " + "   ".join(f"{value:.3g} {unit}" for unit, value in costs.items()))


if __name__ == "__main__":
    main()
