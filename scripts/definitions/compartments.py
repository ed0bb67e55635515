"""CompartmentDefinitions to `compartments.json` (https://hl7.org/fhir/R5/compartmentdefinition.html)."""

from __future__ import annotations

from apothecary.fhir.definitions import CompartmentDefinition
from scripts.definitions.packages import Source


def compartments(source: Source) -> dict[str, CompartmentDefinition]:
    """By the type whose compartments they are; of the types inside only those that some parameter leads from."""
    return {
        published["code"]: CompartmentDefinition(
            url, {one["code"]: tuple(one["param"]) for one in published["resource"] if one.get("param")}
        )
        for url, published in source.compartments.items()
        if published["code"] not in ("", None) and "example" not in published["id"]
    }
