"""What the literal of a primitive is in JSON: https://hl7.org/fhir/R5/json.html#primitive

For formats that write every primitive the same way, XML and YAML. A literal that does not fit its type stays text, so
that validation can say so at its place.
"""

from __future__ import annotations

import re

from server.fhir.json import FhirDecimal

_INTEGERS = frozenset({"integer", "positiveInt", "unsignedInt"})
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


def typed(literal: str, type_code: str) -> str | int | bool | FhirDecimal:
    """The JSON value that `literal` writes for the primitive type `type_code`; integer64 is a string in JSON."""
    if type_code == "boolean":
        return literal == "true" if literal in ("true", "false") else literal
    if type_code == "decimal" and _DECIMAL.fullmatch(literal):
        # As in JSON, a decimal without fraction or exponent is read as an int.
        return int(literal) if _is_small_integer(literal) else FhirDecimal(literal)
    if type_code in _INTEGERS and _is_small_integer(literal):
        return int(literal)
    return literal


def _is_small_integer(literal: str) -> bool:
    return _INTEGER.fullmatch(literal) is not None and literal != "-0" and len(literal) <= 4000
