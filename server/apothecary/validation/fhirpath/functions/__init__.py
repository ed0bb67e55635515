"""The functions of FHIRPath and of FHIR's additions to it, by name
(https://hl7.org/fhirpath/N1/#functions, https://hl7.org/fhir/R5/fhirpath.html#functions).

A group is a module with `FUNCTIONS`. It is imported when a name is looked for that those before it do not have: most
validations meet invariants that need the first of them only.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

from apothecary.validation.fhirpath.functions.base import Offered

_GROUPS = ("existence", "collections", "fhir", "strings", "utility", "conversion", "boundaries", "mathematics")


@cache
def offered(name: str) -> Offered | None:
    """The function of that name; None where there is none."""
    for group in _GROUPS:
        found: Offered | None = import_module(f"{__name__}.{group}").FUNCTIONS.get(name)
        if found is not None:
            return found
    return None
