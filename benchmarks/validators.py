"""The validator beside what else checks resources in Python: `python -m benchmarks.validators [--json]`.

One MedicationKnowledge of about 2 kB, one core. What the others check is less: fhir.resources checks structure and
types, the JSON Schemas
what a schema can say; neither checks invariants, references or codes of a CodeableConcept. `pip install fhirkit-rs`
adds one more (R4).
"""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable
from typing import Any

import click
import jsonschema
import jsonschema_rs
from fhir.resources.medicationknowledge import MedicationKnowledge

from apothecary.fhir.json import dumps, parse
from apothecary.fhir.releases import FhirVersion
from apothecary.validation import validate
from apothecary.validation.schema import json_schema
from benchmarks.validation import knowledge


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


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")
def main(as_json: bool) -> None:
    """Measure each, and say how many times the validator is as fast."""
    found = measure()
    ours = next(iter(found.values()))
    if as_json:
        click.echo(json.dumps(found))
        return
    for name, per_second in found.items():
        click.echo(f"{name:30} {per_second:10,.0f}/s   {ours / per_second:8.2f}")


if __name__ == "__main__":
    main()
