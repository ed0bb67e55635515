"""What every importer's resources must be, whatever they were made of."""

from __future__ import annotations

from collections.abc import Iterable

from apothecary.fhir.releases import FhirVersion
from apothecary.importers.formats import Made
from apothecary.validation import validate
from apothecary.versions import convert, convertible


def check(made: Iterable[Made]) -> None:
    """All of them are valid, in each release that has their type."""
    for one in made:
        for version in FhirVersion:
            resource = one.resource
            if version is not FhirVersion.R5:
                if not convertible(resource["resourceType"], FhirVersion.R5, version):
                    continue
                resource = convert(resource, FhirVersion.R5, version).resource
            errors = [issue for issue in validate(resource, version) if issue.severity in ("error", "fatal")]
            assert not errors, (one.place, version, errors, resource)
