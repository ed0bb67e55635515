"""Medicinal and packaged products, which R4 does not have: https://hl7.org/fhir/R5/medication-definition-module.html."""

from __future__ import annotations

from apothecary.versions.maps.dividing import within
from apothecary.versions.rules import Map

MAPS = (
    Map(
        "MedicinalProductDefinition.name",
        "MedicinalProductDefinition.name",
        renames={"namePart": "part", "countryLanguage": "usage"},
    ),
    Map(
        "PackagedProductDefinition",
        "PackagedProductDefinition",
        renames={"package": "packaging"},
        values={"characteristic": within("type")},
    ),
    # Packages are inside packages.
    Map(
        "PackagedProductDefinition.package",
        "PackagedProductDefinition.packaging",
        renames={"package": "packaging"},
    ),
    Map("PackagedProductDefinition.package.shelfLifeStorage", "ProductShelfLife"),
)
