"""The JSON Schemas are standard, agree with the walk, and mean the same to two implementations."""

import copy
import json
import re
from typing import Any

import jsonschema
import jsonschema_rs
import pytest

from apothecary.fhir.definitions import definitions
from apothecary.fhir.releases import FhirVersion
from apothecary.validation import validate
from apothecary.validation.schema import DIALECT, json_schema
from tests.validation.corpus import FOLDER
from tests.validation.test_mutations import mutants, objects, replaced

# What no schema says; a defect of these alone leaves the schema content.
BEYOND = {
    "bad-date",
    "bad-number",
    "reference-target",
    "bad-reference",
    "unresolved-reference",
    "primitive-array-length",
    "extension-url",
    "extension-context",
    "extension-value",
    "extension-modifier",
    "bundle-full-url",
    "bundle-request",
    "bundle-duplicate",
    "bad-unit",
    "bad-mime-type",
    "bad-language",
}


INSIDE_CONTAINED = re.compile(r"\.contained\[\d+\]\.")


def examples() -> list[Any]:
    # Plain floats: neither validator knows the decimals that keep their digits.
    return [
        pytest.param(
            FhirVersion(file.parent.name.upper()), json.loads(file.read_bytes()), id=f"{file.parent.name}-{file.stem}"
        )
        for file in sorted(FOLDER.glob("*/*.json"))
        if not file.name.startswith("Bundle")
    ]


def structural(resource: Any, version: FhirVersion) -> set[str | None]:
    """The broken rules that a schema of this resource alone can know."""
    return {
        issue.rule
        for issue in validate(resource, version)
        if issue.severity == "error"
        and issue.code not in ("invariant", "business-rule")
        and issue.rule not in BEYOND
        and not any(INSIDE_CONTAINED.search(place) for place in issue.expression)
    }


@pytest.mark.parametrize(("version", "resource"), examples())
def test_schema_and_walk_agree_on_an_example_and_its_mutants(version: FhirVersion, resource: Any) -> None:
    tables = definitions(version)
    schema = jsonschema_rs.validator_for(json_schema(version, resource["resourceType"]))
    assert schema.is_valid(resource)
    for at, value, structure in objects(tables, resource, resource["resourceType"]):
        if "contained" in at:
            continue
        for label, _, broken, rules in mutants(tables, at, value, structure):
            if not rules <= BEYOND and not (at and "coding" in at and rules == {"code-not-in-value-set"}):
                mutant = replaced(resource, at, broken)
                assert schema.is_valid(mutant) == (not structural(mutant, version)), (label, at)


@pytest.mark.parametrize(("version", "resource"), examples())
def test_two_implementations_read_a_schema_alike(version: FhirVersion, resource: Any) -> None:
    document = json_schema(version, resource["resourceType"])
    fast = jsonschema_rs.validator_for(document)
    reference = jsonschema.Draft202012Validator(document)
    tables = definitions(version)
    assert reference.is_valid(resource)
    sample = list(mutants(tables, (), resource, resource["resourceType"]))[::7]
    for label, _, broken, _ in sample:
        assert fast.is_valid(broken) == reference.is_valid(broken), label


@pytest.mark.slow
@pytest.mark.parametrize("version", FhirVersion)
def test_every_resource_type_has_a_schema_that_is_one(version: FhirVersion) -> None:
    for name in definitions(version).resource_types():
        document = json_schema(version, name)
        assert document["$schema"] == DIALECT
        jsonschema_rs.meta.validate(document)


def test_a_schema_holds_only_what_its_resource_reaches() -> None:
    names = json_schema(FhirVersion.R5, "Medication")["$defs"].keys()
    assert {"Medication.ingredient", "Ratio", "Extension", "codes.medication-status"} <= names
    assert not {"MedicationKnowledge", "Bundle", "ElementDefinition"} & names


def test_there_is_no_schema_for_what_is_no_resource_type() -> None:
    with pytest.raises(KeyError):
        json_schema(FhirVersion.R5, "Quantity")


def test_a_schema_is_the_callers_to_copy() -> None:
    document = json_schema(FhirVersion.R5, "Medication")
    assert copy.deepcopy(document) == json_schema(FhirVersion.R5, "Medication")
