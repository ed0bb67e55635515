"""The vendored official examples, for the tests of the validator."""

from pathlib import Path
from typing import Any

from apothecary.fhir.json import parse
from apothecary.fhir.releases import FhirVersion

FOLDER = Path(__file__).parent / "examples"


def vendored() -> list[tuple[FhirVersion, str, Any]]:
    """Release, file name and parsed resource of each vendored example."""
    return [
        (FhirVersion(folder.name.upper()), file.name, parse(file.read_bytes()))
        for folder in sorted(FOLDER.iterdir())
        if folder.is_dir()
        for file in sorted(folder.glob("*.json"))
    ]
