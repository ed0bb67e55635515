"""Search parameters of R4 and R4B that R5 knows by another name, or whose value has no element in R5.

A parameter of the same name and type in R5 needs no row here: both ask the same index. One that stands neither here nor
in R5 is read from
the resource converted to its release. Differences: https://hl7.org/fhir/R5/medication-search.html against R4's page.
"""

from __future__ import annotations

from collections.abc import Mapping

# (resource type, code in R4 and R4B) -> code in R5
RENAMED: Mapping[tuple[str, str], str] = {
    ("Medication", "manufacturer"): "marketingauthorizationholder",
}

_CARRIED = "http://hl7.org/fhir/{release}/StructureDefinition/extension-{path}"

# (resource type, code) -> the path of the R4 element that R5 does not have; its value stands in the cross-version
# extension.
_CARRIED_PATHS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("MedicationKnowledge", "manufacturer"): ("MedicationKnowledge.manufacturer", "Reference"),
}


def carried(resource_type: str, code: str) -> str | None:
    """The R5 expression of a parameter whose element R5 lost: over the extensions that carry it. None for any other."""
    found = _CARRIED_PATHS.get((resource_type, code))
    if found is None:
        return None
    path, kind = found
    urls = [_CARRIED.format(release=release, path=path) for release in ("4.0", "4.3")]
    return " | ".join(f"{resource_type}.extension('{url}').value.ofType({kind})" for url in urls)
