"""The functions of FHIRPath and of FHIR's additions to it, by name
(https://hl7.org/fhirpath/N1/#functions, https://hl7.org/fhir/R5/fhirpath.html#functions).
"""

from __future__ import annotations

from collections.abc import Mapping

from apothecary.validation.fhirpath.functions import (
    boundaries,
    collections,
    conversion,
    existence,
    fhir,
    mathematics,
    strings,
    utility,
)
from apothecary.validation.fhirpath.functions.base import Offered

FUNCTIONS: Mapping[str, Offered] = {
    **existence.FUNCTIONS,
    **collections.FUNCTIONS,
    **conversion.FUNCTIONS,
    **strings.FUNCTIONS,
    **mathematics.FUNCTIONS,
    **boundaries.FUNCTIONS,
    **utility.FUNCTIONS,
    **fhir.FUNCTIONS,
}
