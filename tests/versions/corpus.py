"""What conversion is tried on: the content and the vendored examples; and whether a result is valid."""

from __future__ import annotations

import importlib
import warnings
from itertools import permutations
from pathlib import Path
from typing import Any

from apothecary.fhir.json import JSON, dumps, parse
from apothecary.fhir.releases import FhirVersion
from apothecary.validation import Options, validate
from apothecary.versions import convertible

ROOT = Path(__file__).parents[2]
PAIRS = tuple(permutations(FhirVersion, 2))
# What a served R4 or R4B resource may be about; the types with a map of their own among them.
FAMILY = (
    "Medication",
    "MedicationKnowledge",
    "ClinicalUseDefinition",
    "Substance",
    "Organization",
    "Provenance",
    "DocumentReference",
    "Composition",
    "Group",
    "Binary",
    "List",
    "Bundle",
    "OperationOutcome",
    "Parameters",
    "CodeSystem",
    "ValueSet",
    "ConceptMap",
    "SearchParameter",
    "OperationDefinition",
    "CapabilityStatement",
    "Evidence",
    "MedicationAdministration",
    "Basic",
)
_MODELS = {FhirVersion.R4B: "fhir.resources.R4B", FhirVersion.R5: "fhir.resources"}


def content() -> list[Path]:
    """The files of the content, which are R5."""
    return sorted((ROOT / "resources").glob("[A-Z]*/*.json"))


def vendored() -> list[tuple[FhirVersion, Path]]:
    """The examples that stand in the repository, with their release."""
    folders = (ROOT / "tests/versions/examples", ROOT / "tests/validation/examples")
    return [
        (version, file)
        for folder in folders
        for version in FhirVersion
        for file in sorted((folder / version.segment).glob("*.json"))
    ]


def cases() -> list[tuple[FhirVersion, FhirVersion, Path]]:
    """Each file of the content and of the vendored examples with each release it can be converted to."""
    return [
        (source, target, file)
        for source, file in [*((FhirVersion.R5, file) for file in content()), *vendored()]
        for target in FhirVersion
        if target is not source and convertible(parse(file.read_bytes())["resourceType"], source, target)
    ]


def broken_rules(resource: JSON, version: FhirVersion) -> set[str]:
    """The rules that the project's validator finds broken."""
    issues = validate(resource, version, options=Options(max_issues=10**9))
    return {str(issue.rule) for issue in issues if issue.severity == "error"}


def refused_by_models(resource: JSON, version: FhirVersion) -> str | None:
    """Why fhir.resources refuses the resource; None when it does not, or has no models of the release."""
    if version not in _MODELS:
        return None
    name = resource["resourceType"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = importlib.import_module(f"{_MODELS[version]}.{name.lower()}")
        try:
            getattr(module, name).model_validate_json(dumps(_as_models_read(resource)))
        except Exception as refusal:
            return str(refusal)
    return None


def _as_models_read(value: Any) -> Any:
    """Without the companions of extension values: FHIR has them, the models do not."""
    if isinstance(value, dict):
        inner = {key: _as_models_read(one) for key, one in value.items()}
        return {
            key: one
            for key, one in inner.items()
            if not (key.startswith("_value") and "url" in value and key[1:] in value)
        }
    return [_as_models_read(one) for one in value] if isinstance(value, list) else value


def case_id(value: object) -> str:
    """How a case is named in the report of the tests."""
    return f"{value.parent.name}-{value.stem}" if isinstance(value, Path) else str(value)
