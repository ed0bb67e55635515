"""What the releases name, nest or encode differently, one table a structure (https://hl7.org/fhir/R5/diff.html).

Everything not listed follows from the definitions: an element of the same name and a compatible type goes over, any
other is carried in its cross-version extension.
"""

from __future__ import annotations

from collections.abc import Mapping

from apothecary.versions.maps import (
    administration,
    clinical,
    conformance,
    datatypes,
    documents,
    medication,
    medicationknowledge,
    orders,
    people,
    products,
    provenance,
    substance,
    terminology,
)
from apothecary.versions.rules import Map

ALL: tuple[Map, ...] = (
    *medication.MAPS,
    *medicationknowledge.MAPS,
    *substance.MAPS,
    *people.MAPS,
    *provenance.MAPS,
    *documents.MAPS,
    *terminology.MAPS,
    *conformance.MAPS,
    *products.MAPS,
    *clinical.MAPS,
    *orders.MAPS,
    *administration.MAPS,
    *datatypes.MAPS,
)

BY_STRUCTURES: Mapping[tuple[str, str], Map] = {(table.older, table.newer): table for table in ALL}
