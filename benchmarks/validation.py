"""How fast the validator is, all base rules on, on one core: `python -m benchmarks.validation [--json]`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import click

from apothecary.fhir.json import dumps, parse
from apothecary.fhir.releases import FhirVersion
from apothecary.validation import Options, validate
from benchmarks.content import medication

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
UCUM = "http://unitsofmeasure.org"
# Targets: resources a second, and seconds.
KNOWLEDGE_TARGET = 4_000
MEDICATION_TARGET = 10_000
BUNDLE_TARGET = 0.5
COLD_TARGET = 0.25

_COLD = """
from apothecary.fhir.json import parse
from apothecary.fhir.releases import FhirVersion
from apothecary.validation import validate
import sys
validate(parse(sys.stdin.buffer.read()), FhirVersion.R5)
"""


def knowledge(number: int) -> dict[str, Any]:
    """A MedicationKnowledge of about 2 kB: https://hl7.org/fhir/R5/medicationknowledge.html"""

    def quantity(value: float, code: str) -> dict[str, Any]:
        return {"value": value, "unit": code, "system": UCUM, "code": code}

    def concept(system: str, code: str, text: str) -> dict[str, Any]:
        return {"coding": [{"system": system, "code": code, "display": text}], "text": text}

    dosage = {
        "text": "0.25 mg twice a day",
        "timing": {"repeat": {"frequency": 2, "period": 1, "periodUnit": "d"}},
        "doseAndRate": [{"doseQuantity": quantity(0.25, "mg")}],
    }
    guideline = {
        "indication": [{"concept": concept("http://hl7.org/fhir/sid/icd-10-cm", "F41.0", "Panic disorder")}],
        "dosingGuideline": [{"dosage": [{"type": {"text": "initial"}, "dosage": [dosage]}]}],
    }
    strength = {"numerator": quantity(0.5, "mg"), "denominator": quantity(1, "{tbl}")}
    return {
        "resourceType": "MedicationKnowledge",
        "id": f"k{number}",
        "text": {
            "status": "generated",
            "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>Tablet {number}</p></div>',
        },
        "code": concept(RXNORM, "197527", "clonazepam 0.5 MG Oral Tablet"),
        "status": "active",
        "name": [f"Tablet {number}"],
        "associatedMedication": [{"reference": f"Medication/m{number}"}],
        "indicationGuideline": [guideline],
        "medicineClassification": [
            {"type": {"text": "ATC"}, "classification": [concept("http://www.whocc.no/atc", "N03AE01", "x")]}
        ],
        "packaging": [{"cost": [{"type": {"text": "AWP"}, "costMoney": {"value": 12.5, "currency": "USD"}}]}],
        "clinicalUseIssue": [{"reference": "ClinicalUseDefinition/c1"}, {"reference": "ClinicalUseDefinition/c2"}],
        "definitional": {
            "doseForm": concept("http://snomed.info/sct", "385055001", "Tablet"),
            "intendedRoute": [concept("http://snomed.info/sct", "26643006", "Oral route")],
            "ingredient": [{"item": {"concept": concept(RXNORM, "2598", "clonazepam")}, "strengthRatio": strength}],
            "drugCharacteristic": [{"type": {"text": "color"}, "valueString": "orange"}],
        },
    }


def simple(number: int) -> dict[str, Any]:
    """A Medication with a code and a status."""
    coding = {"system": RXNORM, "code": str(1000 + number), "display": f"Drug {number}"}
    return {"resourceType": "Medication", "id": f"m{number}", "code": {"coding": [coding]}, "status": "active"}


def bundle(make: Callable[[int], dict[str, Any]], size: int) -> dict[str, Any]:
    """A transaction that puts `size` resources."""
    entries = []
    for number in range(size):
        resource = make(number)
        url = f"{resource['resourceType']}/{resource['id']}"
        request = {"method": "PUT", "url": url}
        entries.append({"fullUrl": f"https://example.org/fhir/{url}", "resource": resource, "request": request})
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def seconds(resources: list[Any], rounds: int = 5) -> float:
    """The best time to validate all of `resources`; each must be free of errors."""
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        issues = [validate(resource, FhirVersion.R5, options=Options()) for resource in resources]
        best = min(best, time.perf_counter() - start)
        if any(issue.severity == "error" for found in issues for issue in found):
            raise SystemExit("the benchmark's own content is invalid")
    return best


def rate(make: Callable[[int], dict[str, Any]], count: int) -> float:
    """Resources a second."""
    return count / seconds([parse(dumps(make(number))) for number in range(count)])


def cold(rounds: int = 7) -> float:
    """The best wall time of a fresh process that validates a bundle of 20 resources."""
    text = dumps(bundle(knowledge, 20))
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", _COLD], input=text, check=True)
        best = min(best, time.perf_counter() - start)
    return best


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")
def main(as_json: bool) -> None:
    """Measure, and compare with the targets."""
    rows = {
        f"MedicationKnowledge of {len(dumps(knowledge(1)))} bytes, per second": (
            rate(knowledge, 2000),
            KNOWLEDGE_TARGET,
        ),
        f"Medication of {len(dumps(simple(1)))} bytes, per second": (rate(simple, 5000), MEDICATION_TARGET),
        f"Medication of {len(dumps(medication(1)))} bytes, per second": (rate(medication, 3000), MEDICATION_TARGET),
        "Bundle of 1,000 MedicationKnowledge, seconds": (
            seconds([parse(dumps(bundle(knowledge, 1000)))]),
            BUNDLE_TARGET,
        ),
        "Cold, one bundle of 20 resources, seconds": (cold(), COLD_TARGET),
    }
    if as_json:
        click.echo(json.dumps({name: value for name, (value, _) in rows.items()}))
        return
    for name, (value, target) in rows.items():
        click.echo(
            f"{name}: {value:,.3g} (target {target:,})" if value < 10 else f"{name}: {value:,.0f} (target {target:,})"
        )


if __name__ == "__main__":
    main()
